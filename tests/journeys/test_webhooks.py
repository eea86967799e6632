"""A merchant's system hears of a purchase, through all processes and over real sockets."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from standardwebhooks import Webhook

from shop.kernel.ids import new_id
from tests.journeys.shopper import Shopper
from tests.journeys.stack import Shown, Stack
from tests.journeys.waiting import eventually
from tests.notifications.webhooks.factories import Receiver, listening

pytestmark = pytest.mark.journey

EVENTS = ["order.created", "payment.success", "order.paid"]


def ask(stack: Stack, method: str, path: str, body: Shown | None = None) -> Shown:
    """Call as another system of the house."""
    answer = stack.http.request(
        method,
        f"{stack.web_url}/internal{path}",
        body=json.dumps(body).encode() if body is not None else None,
        headers={
            "X-API-Key": stack.api_key,
            "Content-Type": "application/json",
            "Idempotency-Key": str(new_id()),
        },
    )
    assert answer.status < 300, answer.data
    shown: Shown = msgspec.json.decode(answer.data) if answer.data else {}
    return shown


@contextmanager
def told(stack: Stack, receiver: Receiver) -> Iterator[Shown]:
    """Let the receiver hear, for the length of a block."""
    endpoint = ask(stack, "POST", "/webhook-endpoints", {"url": receiver.url, "events": EVENTS})
    try:
        yield endpoint
    finally:
        ask(stack, "DELETE", f"/webhook-endpoints/{endpoint['id']}")


def deliveries(stack: Stack, endpoint: Shown) -> list[Shown]:
    """Return what the endpoint was told, newest first."""
    rows: list[Shown] = ask(stack, "GET", f"/webhook-endpoints/{endpoint['id']}/deliveries")["results"]
    return rows


def waiting(stack: Stack, endpoint: Shown) -> list[Shown]:
    """Return what it has not taken yet."""
    return [row for row in deliveries(stack, endpoint) if row["state"] != "delivered"]


def heard(receiver: Receiver, order: Shown) -> list[Shown]:
    """Return what the receiver took of an order, oldest first; the first two calls it refused."""
    messages = [msgspec.json.decode(body) for _, body in receiver.received[2:]]
    return [message for message in messages if message["data"].get("order_id") == order["id"]]


def test_a_purchase_is_told_signed_and_again_until_it_is_taken(stack: Stack, shopper: Shopper) -> None:
    with listening() as receiver, told(stack, receiver) as endpoint:
        receiver.answer = lambda number: (200 if number > 2 else 500, {}, b"try again")

        order = shopper.buy()
        shopper.pay_order(order)
        shopper.until_order(order, "paid")
        eventually("all three to arrive", lambda: len(heard(receiver, order)) == 3)

        # There is no order across topics: a merchant goes by type and timestamp.
        assert sorted(message["type"] for message in heard(receiver, order)) == sorted(EVENTS)
        for headers, body in receiver.received:
            message = Webhook(endpoint["secret"]).verify(body, headers)
            assert message["id"] == headers["webhook-id"]
            for private in ("ada@example.com", "Ada Demo", "Lindenallee"):
                assert private not in body.decode()
        eventually("the deliveries to be written down", lambda: not waiting(stack, endpoint))
        rows = deliveries(stack, endpoint)
        assert sorted(attempt["status"] for row in rows for attempt in row["log"])[-3:] == [200, 500, 500]
        assert stack.metric("notifications_webhook_endpoints", of="relay", state="active") == 1


def test_a_replay_tells_nothing_again(stack: Stack, shopper: Shopper) -> None:
    with listening() as receiver, told(stack, receiver) as endpoint:
        order = shopper.buy()
        shopper.pay_order(order)
        shopper.until_order(order, "paid")
        messages = eventually("all three to arrive", lambda: receiver.received if len(receiver.received) == 3 else None)
        ids = {headers["webhook-id"] for headers, _ in messages}
        # The worst that can be: nobody remembers that the events were handled.
        forgotten = (
            "DELETE FROM kafka_inbox WHERE consumer = 'webhooks' AND event_id = ANY(%s::uuid[]) RETURNING event_id"
        )
        assert len(stack.rows(forgotten, sorted(ids))) == 3

        said = stack.manage(
            "replay_events", "--key", order["id"], "--consumer", "webhooks", "--allow-effect", "webhook",
            "--execute", "--expect", "3", "--reason", "a journey",
        )  # fmt: skip
        # What comes behind it has come: so has all there was.
        ping = ask(stack, "POST", f"/webhook-endpoints/{endpoint['id']}/ping")
        eventually("the ping", lambda: ping["event_id"] in {headers["webhook-id"] for headers, _ in receiver.received})

        assert "Delivered 3" in said
        assert len(receiver.received) == 4
