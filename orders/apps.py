from django.apps import AppConfig


class OrdersConfig(AppConfig):
    """The agreement between shopper and shop."""

    name = "orders"
    label = "orders"
