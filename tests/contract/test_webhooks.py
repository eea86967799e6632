"""Merchants' webhooks over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings
from standardwebhooks import Webhook

from notifications import tasks
from notifications.models import WebhookEndpoint
from notifications.services.webhooks import sending
from shop.kernel.auth import services as auth
from shop.kernel.clock import utc_now
from shop.kernel.idempotency.models import Key
from shop.kernel.ids import new_id
from tests.contract import shapes
from tests.contract.conftest import Api, fields, problem
from tests.notifications.webhooks.factories import Receiver, listening, paid, told

Shown = dict[str, Any]

ENDPOINTS = "/internal/webhook-endpoints"
ENDPOINT = {
    "id": shapes.identifier,
    "url": shapes.text,
    "description": shapes.text,
    "events": [shapes.text],
    "state": shapes.one_of("active", "disabled"),
    "disabled_because": shapes.nullable(shapes.one_of("gone", "failing", "by_hand")),
    "failures": shapes.number,
    "paused_until": shapes.nullable(shapes.instant),
    "secret_since": shapes.instant,
    "previous_secret_until": shapes.nullable(shapes.instant),
    "created_by": "tests",
    "created_at": shapes.instant,
}
ATTEMPT = {
    "at": shapes.instant,
    "url": shapes.text,
    "request_headers": lambda headers: headers["webhook-signature"] == "***",
    "status": shapes.nullable(shapes.number),
    "answer": shapes.text,
    "error": shapes.text,
    "duration_ms": shapes.number,
}
DELIVERY = {
    "id": shapes.identifier,
    "endpoint_id": shapes.identifier,
    "event_id": shapes.identifier,
    "type": shapes.text,
    "state": shapes.one_of("pending", "delivered", "dead"),
    "request": lambda body: set(body) == {"id", "type", "version", "timestamp", "data"},
    "attempts": shapes.number,
    "redeliveries": shapes.number,
    "next_attempt_at": shapes.nullable(shapes.instant),
    "created_at": shapes.instant,
    "settled_at": shapes.nullable(shapes.instant),
    "log": [ATTEMPT],
}


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.WEBHOOK_LOOPBACK_ALLOWED = True
    settings.WEBHOOK_RETRY_DELAYS_SECONDS = [0]
    sending._sender.cache_clear()
    with listening() as running:
        yield running


@pytest.fixture
def endpoint(system: Api, receiver: Receiver) -> Shown:
    made: Shown = system.ok("POST", ENDPOINTS, {"url": receiver.url, "events": ["order.*"], "description": "ERP"})
    return made


def test_an_endpoint_is_made_with_a_secret_that_is_shown_once(system: Api, receiver: Receiver) -> None:
    made = system("POST", ENDPOINTS, {"url": receiver.url})

    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    shapes.require(made.json(), {**ENDPOINT, "secret": lambda secret: secret.startswith("whsec_")})
    assert made.json()["events"] == ["*"]
    page = system.ok("GET", ENDPOINTS)
    shapes.require(page, shapes.page_of(ENDPOINT))
    assert [row["id"] for row in page["results"]] == [made.json()["id"]]


def test_an_event_arrives_signed_and_its_delivery_tells_how(system: Api, endpoint: Shown, receiver: Receiver) -> None:
    receiver.answer = lambda number: (200 if number > 1 else 500, {}, f"answer {number}".encode())
    event_id = told(paid(now=utc_now()), now=utc_now())

    tasks.send_webhooks()

    for headers, body in receiver.received:
        message = Webhook(endpoint["secret"]).verify(body, headers)
        assert (message["id"], message["type"]) == (str(event_id), "order.paid")
        assert headers["webhook-id"] == str(event_id)
    page = system.ok("GET", f"{ENDPOINTS}/{endpoint['id']}/deliveries")
    shapes.require(page, shapes.page_of(DELIVERY))
    (delivery,) = page["results"]
    assert (delivery["state"], delivery["event_id"]) == ("delivered", str(event_id))
    assert [(attempt["status"], attempt["answer"]) for attempt in delivery["log"]] == [
        (500, "answer 1"), (200, "answer 2"),
    ]  # fmt: skip


def test_a_delivery_is_made_again(system: Api, endpoint: Shown, receiver: Receiver) -> None:
    told(paid(now=utc_now()), now=utc_now())
    tasks.send_webhooks()
    (delivery,) = system.ok("GET", f"{ENDPOINTS}/{endpoint['id']}/deliveries")["results"]
    path, key = f"/internal/deliveries/{delivery['id']}/redeliver", str(new_id())

    again = system("POST", path, idempotency_key=key)
    tasks.send_webhooks()
    repeated = system("POST", path, idempotency_key=key)
    tasks.send_webhooks()

    assert again.status_code == repeated.status_code == 202
    shapes.require(again.json(), {**DELIVERY, "state": "pending", "redeliveries": 1})
    assert repeated["Idempotent-Replayed"] == "true"
    assert len(receiver.received) == 2
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1


def test_a_ping_arrives(system: Api, endpoint: Shown, receiver: Receiver) -> None:
    sent = system("POST", f"{ENDPOINTS}/{endpoint['id']}/ping")
    tasks.send_webhooks()

    assert sent.status_code == 202
    shapes.require(sent.json(), {**DELIVERY, "type": "webhook.ping"})
    ((headers, body),) = receiver.received
    assert Webhook(endpoint["secret"]).verify(body, headers)["data"]["endpoint_id"] == endpoint["id"]


def test_a_rotated_secret_signs_beside_the_old_one(system: Api, endpoint: Shown, receiver: Receiver) -> None:
    rotated = system.ok("POST", f"{ENDPOINTS}/{endpoint['id']}/rotate-secret")

    shapes.require(rotated, {**ENDPOINT, "secret": shapes.text, "previous_secret_until": shapes.instant})
    system.ok("POST", f"{ENDPOINTS}/{endpoint['id']}/ping")
    tasks.send_webhooks()
    ((headers, body),) = receiver.received
    for secret in (endpoint["secret"], rotated["secret"]):
        assert Webhook(secret).verify(body, headers)


def test_a_repeated_request_gets_the_same_secret_and_none_is_kept_for_it(system: Api, receiver: Receiver) -> None:
    body, key = {"url": receiver.url}, str(new_id())

    first, again = (system("POST", ENDPOINTS, body, idempotency_key=key) for _ in range(2))

    assert (first.status_code, again.status_code, again["Idempotent-Replayed"]) == (201, 201, "true")
    assert first.json() == again.json()
    assert WebhookEndpoint.objects.count() == 1
    assert b"whsec_" not in bytes(Key.objects.get(path=ENDPOINTS).body or b"")

    path, other = f"{ENDPOINTS}/{first.json()['id']}/rotate-secret", str(new_id())
    rotated, once_more = (system.ok("POST", path, idempotency_key=other) for _ in range(2))
    assert rotated == once_more
    # What the first request was answered is worth nothing any more.
    assert system("POST", ENDPOINTS, body, idempotency_key=key).json()["secret"] is None


def test_the_list_is_paged(system: Api, receiver: Receiver) -> None:
    for number in range(3):
        system.ok("POST", ENDPOINTS, {"url": f"{receiver.url}/{number}"})

    first = system.ok("GET", f"{ENDPOINTS}?limit=2")
    second = system.ok("GET", first["next"])
    back = system.ok("GET", second["previous"])

    assert [row["url"][-1] for row in first["results"] + second["results"]] == ["2", "1", "0"]
    assert back["results"] == first["results"]
    assert second["next"] is None


def test_a_removed_endpoint_is_gone(system: Api, endpoint: Shown) -> None:
    assert system("DELETE", f"{ENDPOINTS}/{endpoint['id']}").status_code == 204

    assert system.ok("GET", ENDPOINTS)["results"] == []
    for method, path in (
        ("DELETE", f"{ENDPOINTS}/{endpoint['id']}"),
        ("GET", f"{ENDPOINTS}/{endpoint['id']}/deliveries"),
        ("POST", f"{ENDPOINTS}/{endpoint['id']}/ping"),
        ("POST", f"{ENDPOINTS}/{endpoint['id']}/rotate-secret"),
        ("POST", f"{ENDPOINTS}/nonsense/ping"),
        ("POST", f"/internal/deliveries/{new_id()}/redeliver"),
        ("POST", "/internal/deliveries/nonsense/redeliver"),
    ):
        assert problem(system(method, path)) == (404, "not_found")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://user@shop.example.com/",
        "https://[::ffff:10.0.0.1]/",
        "ftp://127.0.0.1/",
        "nonsense",
    ],
)
def test_an_address_inside_is_refused(system: Api, receiver: Receiver, url: str) -> None:
    assert problem(system("POST", ENDPOINTS, {"url": url})) == (400, "webhook_url_not_allowed")


def test_in_production_loopback_is_inside(system: Api, receiver: Receiver, settings: Settings) -> None:
    settings.WEBHOOK_LOOPBACK_ALLOWED = False

    assert problem(system("POST", ENDPOINTS, {"url": receiver.url})) == (400, "webhook_url_not_allowed")


def test_what_is_wrong_is_named(system: Api, endpoint: Shown, receiver: Receiver) -> None:
    url = f"{receiver.url}/other"

    unknown = system("POST", ENDPOINTS, {"url": url, "events": ["order.pai"]})
    assert problem(unknown, "event", "known") == (400, "unknown_event_type")
    assert "order.paid" in unknown.json()["known"]
    assert problem(system("POST", ENDPOINTS, {"url": receiver.url})) == (409, "webhook_endpoint_exists")
    assert fields(system("POST", ENDPOINTS, {})) == {"/url": "required"}
    assert fields(system("POST", ENDPOINTS, {"url": url, "secret": "whsec_x"})) == {"/secret": "unknown_field"}
    assert fields(system("POST", ENDPOINTS, {"url": url, "events": []})) == {"/events": "min_length"}
    assert fields(system("POST", f"{ENDPOINTS}/{endpoint['id']}/ping", {"x": 1})) == {"/x": "unknown_field"}
    WebhookEndpoint.objects.update(state="disabled", disabled_because="gone", disabled_at=utc_now())
    disabled = system("POST", f"{ENDPOINTS}/{endpoint['id']}/ping")
    assert problem(disabled, "because") == (409, "webhook_endpoint_disabled")


CALLS = [
    ("GET", ENDPOINTS),
    ("POST", ENDPOINTS),
    ("DELETE", f"{ENDPOINTS}/1"),
    ("GET", f"{ENDPOINTS}/1/deliveries"),
    ("POST", f"{ENDPOINTS}/1/ping"),
    ("POST", f"{ENDPOINTS}/1/rotate-secret"),
    ("POST", "/internal/deliveries/1/redeliver"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_only_keys_with_the_scope_open_these_doors(nobody: Api, staff: Api, method: str, path: str) -> None:
    reader = Api(
        {"X-API-Key": auth.issue_api_key(name="reader", scopes=["orders:read"], expires_at=None, now=datetime.now(UTC))}
    )

    assert problem(nobody(method, path)) == (401, "not_authenticated")
    assert problem(staff(method, path)) == (401, "not_authenticated")
    assert problem(reader(method, path), "scope") == (403, "insufficient_scope")
