"""A consumer that is killed after its batch has been committed to the database and before Kafka hears of it.

Run by test_consumer as a process of its own; its arguments are the group's name and the key whose batch it dies of.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterable

import django

django.setup()

from django.conf import settings

from integrations.kafka import consumer
from integrations.kafka.client import Received, Subscriber
from integrations.kafka.groups import group

NAME, KEY = sys.argv[1:]


class DyingSubscriber(Subscriber):
    """Dies instead of committing the offsets of the key's batch."""

    def done(self, records: Iterable[Received]) -> None:
        """Commit, or die."""
        if any(record.key.decode() == KEY for record in records):
            os.kill(os.getpid(), signal.SIGKILL)
        super().done(records)


if __name__ == "__main__":
    settings.CONSUMERS = {NAME: {"analytics.events.v1": "tests.integrations.kafka.effects.note"}}
    vars(consumer)["Subscriber"] = DyingSubscriber
    consumer.GroupConsumer(group=group(NAME), stop=threading.Event()).run()
