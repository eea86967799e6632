import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from integrations.kafka.relay import Relay
from integrations.kafka.republish import republish_unheard
from integrations.kafka.stopping import on_stop
from integrations.monitoring import Standing
from shop.kernel.processes import announce_ready, serve_metrics


class Command(BaseCommand):
    """Carry events from the outbox to Kafka until SIGTERM. Several relays may run at once."""

    help = __doc__
    # They load every URL, which doubles the start; `make check` runs them.
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run the relay in this process's only thread that works."""
        # What waits is asked of the database when Prometheus asks: by one process, and not by every web worker.
        serve_metrics(Standing())
        if settings.KAFKA_REPUBLISH_AT_BOOT_SECONDS:
            republish_unheard(seconds=settings.KAFKA_REPUBLISH_AT_BOOT_SECONDS)
        relay = Relay()
        on_stop(relay.stop)
        threading.Thread(target=_announce, args=[relay], daemon=True).start()
        relay.run()


def _announce(relay: Relay) -> None:
    relay.is_up.wait()
    announce_ready()
