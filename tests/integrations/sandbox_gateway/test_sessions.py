"""Sessions over the API: making, repeating, listing, closing, expiring, refusing."""

from typing import Any
from uuid import uuid4

import pytest

from tests.integrations.sandbox_gateway.harness import (
    PROCESSING,
    RETURN_URL,
    Gateway,
    Receiver,
    eventually,
    in_parallel,
    new_session,
    soon,
)


def test_new_session_has_the_documented_shape(gateway: Gateway) -> None:
    answer = gateway.call("POST", "/v1/sessions", new_session(expires_at=soon(60)))

    session = answer.json
    assert answer.status == 201
    assert set(session) == {
        *("id", "url", "status", "amount", "currency", "reference", "expires_at", "created_at"),
        *("captured_amount", "refunded_amount", "fee_amount", "payment_id", "failure_code", "mode"),
    }
    assert session["url"] == f"{gateway.url}/pay/{session['id']}"
    assert (session["status"], session["amount"], session["currency"]) == ("open", 1000, "EUR")
    assert (session["captured_amount"], session["refunded_amount"]) == (0, 0)
    assert (session["payment_id"], session["failure_code"], session["mode"]) == (None, None, "test")
    assert gateway.fetch(session["id"]) == session


def test_paid_session_names_payment_and_amount_and_calls_back(gateway: Gateway, receiver: Receiver) -> None:
    session_id = gateway.session(reference="order-77")

    answer = gateway.pay(session_id)

    assert (answer.status, answer.headers["location"]) == (303, RETURN_URL)
    session = gateway.fetch(session_id)
    assert (session["status"], session["captured_amount"]) == ("paid", 1000)
    assert session["payment_id"].startswith("pay_")
    [delivery] = receiver.wait_for(session_id, "session.paid")
    assert delivery.event["data"] == session
    assert delivery.event["mode"] == "test"
    assert delivery.event["id"] == {name.lower(): value for name, value in delivery.headers.items()}["webhook-id"]


def test_same_key_and_body_give_the_same_session_as_it_is_now(gateway: Gateway) -> None:
    key = str(uuid4())
    body = new_session(expires_at=soon(60))
    first = gateway.call("POST", "/v1/sessions", body, key=key)
    gateway.pay(first.json["id"])

    again = gateway.call("POST", "/v1/sessions", dict(reversed(body.items())), key=key)

    assert (first.headers.get("idempotent-replayed"), again.headers.get("idempotent-replayed")) == (None, "true")
    assert (again.status, again.json["id"], again.json["status"]) == (201, first.json["id"], "paid")


def test_same_key_finds_a_session_whose_time_is_over(gateway: Gateway) -> None:
    key = str(uuid4())
    session_id, body = gateway.brief_session(key=key)
    eventually(lambda: gateway.fetch(session_id)["status"] == "expired")

    again = gateway.call("POST", "/v1/sessions", body, key=key)

    assert (again.status, again.json["id"]) == (201, session_id)


def test_same_key_with_another_body_is_refused(gateway: Gateway) -> None:
    key = str(uuid4())
    gateway.session(key=key)

    answer = gateway.call("POST", "/v1/sessions", new_session(amount=1001), key=key)

    assert (answer.status, answer.error) == (422, "idempotency_conflict")


def test_twenty_calls_at_once_with_one_key_make_one_session(gateway: Gateway) -> None:
    key, reference = str(uuid4()), str(uuid4())
    body = new_session(reference=reference)

    answers = in_parallel(lambda: gateway.call("POST", "/v1/sessions", body, key=key), times=20)

    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert [answer.headers.get("idempotent-replayed") for answer in answers].count("true") == 19
    assert [session["reference"] for session in everything(gateway)].count(reference) == 1


def test_list_pages_through_everything_made_after_an_instant_oldest_first(gateway: Gateway) -> None:
    before = gateway.fetch(gateway.session())["created_at"]
    ids = [gateway.session() for _ in range(5)]

    pages = []
    query = f"created_after={before}&limit=2"
    while True:
        page = gateway.call("GET", f"/v1/sessions?{query}").json
        pages.append([session["id"] for session in page["data"]])
        if page["next"] is None:
            break
        query = f"limit=2&cursor={page['next']}"

    assert pages == [ids[:2], ids[2:4], ids[4:]]


def test_closing_an_open_session_ends_it(gateway: Gateway, receiver: Receiver) -> None:
    session_id = gateway.session()

    first = gateway.call("POST", f"/v1/sessions/{session_id}/close")
    second = gateway.call("POST", f"/v1/sessions/{session_id}/close")

    assert (first.status, first.json["status"]) == (200, "closed")
    assert (second.status, second.json) == (200, first.json)
    assert gateway.pay(session_id).status == 409
    assert gateway.fetch(session_id)["captured_amount"] == 0
    receiver.wait_for(session_id, "session.closed")


@pytest.mark.parametrize("ending", ["paid", "processing", "cancelled"])
def test_closing_refuses_with_the_session_when_it_is_not_open(gateway: Gateway, ending: str) -> None:
    session_id = gateway.session()
    if ending == "cancelled":
        gateway.cancel(session_id)
    else:
        gateway.pay(session_id, PROCESSING if ending == "processing" else "4242424242424242")

    answer = gateway.call("POST", f"/v1/sessions/{session_id}/close")

    assert (answer.status, answer.error) == (409, "session_already_final")
    assert (answer.json["session"]["id"], answer.json["session"]["status"]) == (session_id, ending)


def test_open_session_expires_by_itself_and_takes_no_money_then(gateway: Gateway, receiver: Receiver) -> None:
    session_id, _ = gateway.brief_session()

    receiver.wait_for(session_id, "session.expired")

    assert gateway.fetch(session_id)["status"] == "expired"
    assert gateway.pay(session_id).status == 409
    assert gateway.call("POST", f"/v1/sessions/{session_id}/close").json["session"]["status"] == "expired"
    assert receiver.types(session_id) == ["session.expired"]


BAD_BODIES: list[tuple[Any, int, str, str | None]] = [
    (b"", 400, "invalid_json", None),
    (b"{", 400, "invalid_json", None),
    (b"\xff\xfe", 400, "invalid_json", None),
    (b"[]", 400, "invalid_json", None),
    (b"[" * 20_000, 400, "invalid_json", None),
    (b'{"amount": 1e999}', 400, "invalid_json", None),
    (b" " * 70_000, 413, "body_too_large", None),
    (new_session(amount=0), 422, "invalid_request", "amount"),
    (new_session(amount=-5), 422, "invalid_request", "amount"),
    (new_session(amount=10.5), 422, "invalid_request", "amount"),
    (new_session(amount=True), 422, "invalid_request", "amount"),
    (new_session(amount="1000"), 422, "invalid_request", "amount"),
    (new_session(amount=10**13), 422, "invalid_request", "amount"),
    (new_session(currency="eur"), 422, "invalid_request", "currency"),
    (new_session(currency="EURO"), 422, "invalid_request", "currency"),
    (new_session(currency=978), 422, "invalid_request", "currency"),
    (new_session(reference=""), 422, "invalid_request", "reference"),
    (new_session(reference="a\x00b"), 422, "invalid_request", "reference"),
    (new_session(reference="x" * 201), 422, "invalid_request", "reference"),
    (new_session(return_url="//shop.example"), 422, "invalid_request", "return_url"),
    (new_session(return_url="javascript:alert(1)"), 422, "invalid_request", "return_url"),
    (new_session(return_url="https://shop.example/\r\nx: y"), 422, "invalid_request", "return_url"),
    (new_session(return_url="https://[::1"), 422, "invalid_request", "return_url"),
    (new_session(return_url="https://shop.example/ä"), 422, "invalid_request", "return_url"),
    (new_session(expires_at="2020-01-01T00:00:00Z"), 422, "invalid_request", "expires_at"),
    (new_session(expires_at="2099-01-01T00:00:00Z"), 422, "invalid_request", "expires_at"),
    (new_session(expires_at="0001-01-01T00:00:00+14:00"), 422, "invalid_request", "expires_at"),
    (new_session(expires_at="2026-11-25T10:00:00"), 422, "invalid_request", "expires_at"),
    (new_session(expires_at="tomorrow"), 422, "invalid_request", "expires_at"),
    (new_session(expires_at=1_700_000_000), 422, "invalid_request", "expires_at"),
]


@pytest.mark.parametrize(("body", "status", "code", "param"), BAD_BODIES)
def test_bad_body_is_refused_by_name(gateway: Gateway, body: Any, status: int, code: str, param: str | None) -> None:
    answer = gateway.call("POST", "/v1/sessions", body)

    assert (answer.status, answer.error) == (status, code)
    assert answer.json.get("param") == param
    assert answer.json["error"]["message"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=1&limit=2", "created_after=x", "cursor=1~y", "who=me"]
)
def test_bad_query_is_refused(gateway: Gateway, query: str) -> None:
    answer = gateway.call("GET", f"/v1/sessions?{query}")

    assert (answer.status, answer.error) == (422, "invalid_request")


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic sk-of-the-tests", "Bearer \xe9"])
def test_wrong_secret_is_refused_everywhere(gateway: Gateway, given: str) -> None:
    for method, path in [
        ("POST", "/v1/sessions"),
        ("GET", "/v1/sessions"),
        ("PUT", "/v1/faults"),
        ("POST", "/v1/refunds"),
    ]:
        answer = gateway.call(method, path, new_session(), authorization=given)

        assert (answer.status, answer.error) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/sessions/sess_nobody", 404, "not_found"),
        ("POST", "/v1/sessions/sess_nobody/close", 404, "not_found"),
        ("GET", "/v1/refunds/re_nobody", 404, "not_found"),
        ("GET", "/v1/sessions/{id}", 404, "not_found"),
        ("GET", "/v1", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/sessions/%00%ff", 404, "not_found"),
        ("DELETE", "/v1/sessions", 405, "method_not_allowed"),
        ("PATCH", "/v1/faults", 405, "method_not_allowed"),
    ],
)
def test_unknown_path_or_method_is_refused(gateway: Gateway, method: str, path: str, status: int, code: str) -> None:
    answer = gateway.call(method, path)

    assert (answer.status, answer.error) == (status, code)


def everything(gateway: Gateway) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query = "limit=100"
    while query:
        page = gateway.call("GET", f"/v1/sessions?{query}").json
        found += page["data"]
        query = page["next"] and f"limit=100&cursor={page['next']}"
    return found


@pytest.mark.parametrize(("amount", "fee"), [(1000, 15), (1, 0), (99_999, 1500)])
def test_the_provider_keeps_a_share_of_what_was_captured(gateway: Gateway, amount: int, fee: int) -> None:
    session_id = gateway.session(amount=amount)
    assert gateway.fetch(session_id)["fee_amount"] is None

    gateway.pay(session_id)

    assert gateway.fetch(session_id)["fee_amount"] == fee
