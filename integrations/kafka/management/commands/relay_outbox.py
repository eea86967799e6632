import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from integrations.kafka.relay import Relay
from integrations.kafka.republish import republish_unheard
from integrations.kafka.stopping import on_stop
from integrations.kafka.topics import ensure_topics_when_reachable
from integrations.monitoring import Standing
from shop.kernel.processes import announce_ready, serve_metrics


class Command(BaseCommand):
    """Carry events from the outbox to Kafka until SIGTERM. Several relays may run at once.

    Refuses to start on topics that have not KAFKA_TOPIC_PARTITIONS partitions: see docs/kafka.md.
    """

    help = __doc__
    # They load every URL, which doubles the start; `make check` runs them.
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run the relay in this process's only thread that works."""
        # What waits is asked of the database when Prometheus asks: by one process, and not by every web worker.
        serve_metrics(Standing())
        if settings.KAFKA_REPUBLISH_AT_BOOT_SECONDS:
            republish_unheard(seconds=settings.KAFKA_REPUBLISH_AT_BOOT_SECONDS)
        stop = threading.Event()
        on_stop(stop.set)
        _require_partitions(stop=stop)
        relay = Relay(stop=stop)
        threading.Thread(target=_announce, args=[relay], daemon=True).start()
        relay.run()


def _require_partitions(*, stop: threading.Event) -> None:
    """Wait for a broker; CommandError when its topics are not what the settings say."""
    if found := ensure_topics_when_reachable(stop=stop):
        topics = ", ".join(f"{topic} has {partitions}" for topic, partitions in found.items())
        raise CommandError(
            f"KAFKA_TOPIC_PARTITIONS is {settings.KAFKA_TOPIC_PARTITIONS}, but {topics} partitions. What was told under"
            " one number stays in order only as long as it is the number: see docs/kafka.md."
        )


def _announce(relay: Relay) -> None:
    relay.is_up.wait()
    announce_ready()
