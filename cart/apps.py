from django.apps import AppConfig


class CartConfig(AppConfig):
    """What a shopper wants to buy."""

    name = "cart"
    label = "cart"
