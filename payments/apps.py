from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    """The money: attempts, callbacks, polling and expiry."""

    name = "payments"
    label = "payments"
    verbose_name = "Payments"
