from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OutboxConfig(AppConfig):
    """The log and the queue, and the writer that fills both just before a unit of work commits."""

    name = "shop.kernel.outbox"
    label = "outbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Name the writer of outgoing events, and keep the log's partitions with each migration."""
        from shop.kernel.outbox import services  # noqa: F401, PLC0415  importing it registers the writer

        post_migrate.connect(_keep_partitions, sender=self, dispatch_uid="outbox.keep_partitions")


def _keep_partitions(**_: Any) -> None:
    from django.db import connection  # noqa: PLC0415  models load after apps

    from shop.kernel.clock import utc_now  # noqa: PLC0415  the same
    from shop.kernel.outbox.partitions import keep_partitions  # noqa: PLC0415  the same

    # Migrating back to zero sends the signal too, when the log is gone.
    if "event_log" in connection.introspection.table_names():
        keep_partitions(now=utc_now())
