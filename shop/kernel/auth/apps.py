from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, their sessions, and the API keys of internal callers."""

    name = "shop.kernel.auth"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Describe the ways to authenticate in the OpenAPI document."""
        from shop.kernel.auth import schema  # noqa: F401, PLC0415  importing it registers the descriptions
