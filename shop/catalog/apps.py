from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """What the shop sells, and for how much."""

    name = "shop.catalog"
    label = "catalog"
    default_auto_field = "django.db.models.BigAutoField"
