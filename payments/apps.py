from django.apps import AppConfig
from django.conf import settings


class PaymentsConfig(AppConfig):
    """The money: attempts, callbacks, refunds, the ledger, polling and expiry."""

    name = "payments"
    label = "payments"
    verbose_name = "Payments"

    def ready(self) -> None:
        """Let the metrics begin with what settings plug in."""
        from payments import metrics  # noqa: PLC0415  counters are made when the app is, not when it is named

        metrics.begin(gateways=settings.GATEWAYS)
