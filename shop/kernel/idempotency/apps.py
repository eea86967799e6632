from django.apps import AppConfig


class IdempotencyConfig(AppConfig):
    """The memory of POSTs that carried an Idempotency-Key."""

    name = "shop.kernel.idempotency"
    label = "idempotency"
    default_auto_field = "django.db.models.BigAutoField"
