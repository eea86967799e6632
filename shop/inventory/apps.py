from django.apps import AppConfig


class InventoryConfig(AppConfig):
    """Stock and the reservations that hold it."""

    name = "shop.inventory"
    label = "inventory"
    default_auto_field = "django.db.models.BigAutoField"
