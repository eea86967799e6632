"""A month of business as the log keeps it: every event told, and handled by whoever hears it.

Events, inbox rows, sent mails and daily counts are written straight into the (migrated) database, in seconds. There are
no orders to them: what replays must not touch again is not missed either.
"""

import json
import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

DAYS = 30
_TOTAL = 2_490
_MONEY = {"amount": _TOTAL, "currency": "EUR"}

_SENT_MAILS = """
INSERT INTO notifications_mail (id, event_id, template, recipient, language, order_id, order_number, user_id, guest,
                                amount_minor, currency, occurred_at, state, attempts, created_at, sent_at)
SELECT gen_random_uuid(), id, CASE type WHEN 'order.created.v1' THEN 'order_confirmation' ELSE 'payment_receipt' END,
       'ada@example.com', 'en', key, 'N', (payload->>'user_id')::uuid, true, 2490, 'EUR', occurred_at, 'sent', 1,
       occurred_at, occurred_at
FROM event_log WHERE id = ANY(%s) AND type IN ('order.created.v1', 'payment.success.v1')
"""
_DAILY_COUNTS = """
INSERT INTO analytics_dailycount AS so_far (day, name, currency, count, amount)
SELECT (occurred_at AT TIME ZONE 'UTC')::date, payload->>'name', coalesce(payload->'properties'->>'currency', ''),
       count(*), coalesce(sum((payload->'properties'->>'amount')::bigint), 0)
FROM event_log WHERE id = ANY(%s) AND type = 'analytics.events.v1' GROUP BY 1, 2, 3
ON CONFLICT (day, name, currency)
DO UPDATE SET count = so_far.count + EXCLUDED.count, amount = so_far.amount + EXCLUDED.amount
"""


@dataclass(frozen=True)
class Fact:
    """An event as a row of the log."""

    id: UUID
    type: str
    aggregate: str
    key: UUID
    sequence: int
    payload: dict[str, Any]
    at: datetime


def fill(
    connection: "psycopg.Connection[Any]",
    *,
    orders: int,
    until: datetime,
    consumers: Mapping[str, Mapping[str, str]],
    unheard_by: Collection[str] = (),
) -> Counter[str]:
    """Write the month before `until`, return how many events of each type; consumers in `unheard_by` heard none."""
    chance = random.Random(orders)
    step = timedelta(days=DAYS) / orders
    facts = [fact for n in range(orders) for fact in _purchase(n, until - timedelta(days=DAYS) + n * step, chance)]
    heard = [
        (consumer, fact.id, fact.at)
        for fact in facts
        for consumer, types in consumers.items()
        if fact.type in types and consumer not in unheard_by
    ]
    ids = [fact.id for fact in facts]
    with connection.cursor() as cursor:
        into_log = (
            "COPY event_log (id, topic, type, aggregate, key, sequence, payload, headers, occurred_at) FROM STDIN"
        )
        with cursor.copy(into_log) as copy:
            for fact in facts:
                row = (fact.aggregate, fact.key, fact.sequence, json.dumps(fact.payload), "{}", fact.at)
                copy.write_row((fact.id, fact.type.rpartition(".v")[0], fact.type, *row))
        with cursor.copy("COPY kafka_inbox (consumer, event_id, handled_at) FROM STDIN") as copy:
            for delivery in heard:
                copy.write_row(delivery)
        if "notifications" not in unheard_by:
            cursor.execute(_SENT_MAILS, [ids])
        if "analytics" not in unheard_by:
            cursor.execute(_DAILY_COUNTS, [ids])
    return Counter(fact.type for fact in facts)


def _purchase(n: int, began: datetime, chance: random.Random) -> Iterator[Fact]:
    """Yield what one paid order tells, within five minutes of its checkout."""
    user, order, payment = (_id(began, chance) for _ in range(3))
    who = {"user_id": str(user), "guest": True}
    of_order = {"order_id": str(order), "number": f"N-{n}", "total": _MONEY, **who}
    created = {
        "lines": [],
        "shipping": _MONEY,
        "tax": _MONEY,
        "payment_deadline": (began + timedelta(hours=1)).isoformat(),
    }
    paid = {"payment_id": str(payment), "gateway": "sandbox", "gateway_reference": f"N-{n}", "amount": _MONEY}
    told: list[tuple[str, str, UUID, dict[str, Any]]] = [
        ("analytics.events.v1", "shopper", user, {"name": "Checkout Started", **who}),
        ("order.created.v1", "order", order, of_order | created),
        ("analytics.events.v1", "shopper", user, {"name": "Order Placed", **who}),
        ("payment.success.v1", "payment", order, paid | {"order_id": str(order), **who}),
        ("order.paid.v1", "order", order, of_order | {"payment_id": str(payment)}),
        ("analytics.events.v1", "shopper", user, {"name": "Payment Succeeded", **who}),
        ("analytics.events.v1", "shopper", user, {"name": "Order Completed", **who}),
        ("analytics.events.v1", "shopper", user, {"name": "Notification Sent", **who}),
        ("analytics.events.v1", "shopper", user, {"name": "Notification Sent", **who}),
    ]
    sequences: Counter[str] = Counter()
    for place, (type_name, aggregate, key, payload) in enumerate(told):
        at = began + timedelta(seconds=30 * place)
        sequences[aggregate] += 1
        if aggregate == "shopper":
            money = {} if payload["name"] == "Notification Sent" else _MONEY
            payload["properties"] = {"order_id": str(order), **money}
        payload["occurred_at"] = at.isoformat()
        yield Fact(_id(at, chance), type_name, aggregate, key, sequences[aggregate], payload, at)


def _id(at: datetime, chance: random.Random) -> UUID:
    """Return a UUIDv7 made then."""
    milliseconds = int(at.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62))
