"""Tell events on the database of DATABASE_URL, and print each as the relay would send it, one JSON a line.

Run by test_debezium as a process of its own: its database is another than the test run's.
"""

import json
from uuid import UUID

import django

django.setup()

from integrations.kafka.envelope import headers_of
from payments.events import PaymentFailed
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox import queue
from shop.kernel.outbox.services import SHARDS, publish
from shop.kernel.tracing import Trace, tracing
from shop.kernel.transactions import open_unit_of_work
from tests.shop.kernel.outbox.factories import AT, action, expired

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def declined(*, order_id: UUID) -> PaymentFailed:
    """Return an attempt that brought no money."""
    return PaymentFailed(
        occurred_at=AT,
        payment_id=new_id(),
        order_id=order_id,
        user_id=new_id(),
        guest=False,
        gateway="sandbox",
        amount=Money(1_000, "EUR"),
        reason="declined",
        code="card_declined",
    )


def main() -> None:
    """Tell of two orders and a shopper, the orders twice each."""
    first, second, shopper = new_id(), new_id(), new_id()
    with tracing(Trace("request-1", causation_id=str(first), traceparent=TRACEPARENT)):
        for _ in range(2):
            with open_unit_of_work():
                publish(expired(order_id=first, number="Ümläut 'quoted' \"twice\" \\ and a / 漢字"))
                publish(declined(order_id=second))
    with open_unit_of_work():
        publish(action(user_id=shopper, name="Cart Viewed", n=1))
    for row in queue.read(shards=range(SHARDS), in_flight=[], limit=100):
        assert row.told is not None
        headers = {name: value.decode() for name, value in headers_of(row.told)}
        sent = {"topic": row.told.topic, "key": str(row.key), "value": row.told.data.decode(), "headers": headers}
        print(json.dumps(sent))  # noqa: T201  this is how it answers


if __name__ == "__main__":
    main()
