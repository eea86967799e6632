from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from integrations.kafka.errors import BrokerError
from integrations.kafka.topics import ensure_topics


class Command(BaseCommand):
    """Create the topics that are missing, with KAFKA_TOPIC_PARTITIONS and KAFKA_TOPIC_REPLICATION."""

    help = __doc__

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print what became of each topic; fail when one is not there in the end."""
        try:
            outcome = ensure_topics()
        except BrokerError as error:
            raise CommandError(f"No broker answers at {settings.KAFKA_BOOTSTRAP_SERVERS}: {error}") from error
        for topic, became in outcome.items():
            self.stdout.write(f"{topic:<24} {became}")
        if missing := [topic for topic, became in outcome.items() if became not in {"there", "created"}]:
            raise CommandError(f"Not there: {', '.join(missing)}.")
