"""A consumer whose handler leaves one row an event, and fails for poisoned keys.

Its argument is a file: one line for each event, its key and the instant its effect was committed. Poisoned is whoever
stands in the table `bench_poison`. Every 5 s it tries again what is parked, as the worker does.
"""

import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import django

django.setup()

from django.db import connection

from integrations.kafka import consumer, delivery, parking
from integrations.kafka.envelope import Arrived
from integrations.kafka.groups import Group
from integrations.kafka.stopping import on_stop
from payments.events import PaymentSucceeded
from shop.kernel.clock import utc_now
from shop.kernel.processes import announce_ready

REDRIVE_SECONDS = 5.0
_EFFECT = """
INSERT INTO bench_effect SELECT %s, %s
RETURNING EXISTS (SELECT FROM bench_poison WHERE bench_poison.key = bench_effect.key)
"""


def note(*, event: PaymentSucceeded, event_id: UUID) -> None:
    """Leave a row, or fail."""
    with connection.cursor() as cursor:
        cursor.execute(_EFFECT, [event_id, event.order_id])
        if cursor.fetchone()[0]:
            raise ValueError("This key is poisoned.")


def main() -> None:
    """Consume until SIGTERM."""
    group = Group(name="bench", handlers={"payment.success.v1": note})
    stop = threading.Event()
    on_stop(stop.set)
    with Path(sys.argv[1]).open("w") as notes:

        def noted(*, group: Group, events: Sequence[Arrived], now: datetime) -> delivery.Outcome:
            outcome = delivery.deliver(group=group, events=events, now=now)
            at = time.time()
            notes.writelines(f"{event.key} {at}\n" for event in events)
            notes.flush()
            return outcome

        vars(consumer)["deliver"] = noted
        vars(parking)["group"] = lambda _name: group
        member = consumer.GroupConsumer(group=group, stop=stop)
        threading.Thread(target=_redrive, args=[stop], daemon=True).start()
        threading.Thread(target=_announce, args=[member], daemon=True).start()
        member.run()


def _announce(member: consumer.GroupConsumer) -> None:
    member.is_assigned.wait()
    announce_ready()


def _redrive(stop: threading.Event) -> None:
    while not stop.wait(REDRIVE_SECONDS):
        parking.redrive_due(now=utc_now())


if __name__ == "__main__":
    main()
