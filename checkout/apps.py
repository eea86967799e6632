from django.apps import AppConfig


class CheckoutConfig(AppConfig):
    """The frozen, priced offer."""

    name = "checkout"
    label = "checkout"
