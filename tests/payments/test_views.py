"""Payments over HTTP."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from orders.dto import OrderView
from payments.models import Attempt
from payments.serializers import FailureSchema, PaymentSchema, payment_json
from payments.states import AttemptStatus
from shop.kernel.auth.dto import ApiKeyCaller, Caller
from shop.kernel.clock import rfc3339
from shop.kernel.ids import new_id
from tests.clients import client_of
from tests.orders.factories import placed
from tests.payments.factories import RETURN_URL, attempt_in, started, told
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    """The present: views read the clock themselves."""
    return datetime.now(UTC)


@pytest.fixture
def shopping(shopper: Caller) -> APIClient:
    return client_of(shopper)


def body_for(order: OrderView, **other: object) -> dict[str, object]:
    return {"order_id": str(order.order_id), "return_url": RETURN_URL, **other}


# --- starting ---


def test_a_payment_is_started_once_and_answered_again(shopping: APIClient, order: OrderView) -> None:
    first = shopping.post("/payments", body_for(order), format="json")
    again = shopping.post("/payments", body_for(order), format="json")

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def test_the_answer_is_the_contracts(shopping: APIClient, order: OrderView, gateway: FakeGateway) -> None:
    answer = shopping.post("/payments", body_for(order, gateway="fake"), format="json").json()

    assert answer == {
        "id": str(Attempt.objects.get().id),
        "order_id": str(order.order_id),
        "gateway": "fake",
        "status": "pending",
        "amount": {"amount": 2_870, "currency": "EUR"},
        "redirect_url": gateway.sessions[gateway.only_session()].redirect_url,
        "expires_at": rfc3339(order.payment_deadline),
        "refunded": {"amount": 0, "currency": "EUR"},
        "failure": None,
    }


def test_the_document_has_the_fields_of_its_schema(
    shopper: Caller, order: OrderView, gateway: FakeGateway, shopping: APIClient, now: datetime
) -> None:
    attempt = attempt_in(AttemptStatus.FAILED, caller=shopper, order=order, gateway=gateway, now=now)

    document = shopping.get(f"/payments/{attempt.id}").json()

    assert set(document) == set(PaymentSchema().fields)
    assert set(document["failure"]) == set(FailureSchema().fields)
    assert document["failure"] == {"code": "card_declined", "detail": "The card was declined."}


def test_the_same_key_gets_the_same_answer_and_another_body_is_refused(
    shopping: APIClient, order: OrderView, gateway: FakeGateway
) -> None:
    key = {"Idempotency-Key": "one"}
    first = shopping.post("/payments", body_for(order), format="json", headers=key)
    again = shopping.post("/payments", body_for(order), format="json", headers=key)
    other = shopping.post("/payments", body_for(order, gateway="fake"), format="json", headers=key)

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.content == again.content
    assert len(gateway.sessions) == 1


@pytest.mark.parametrize(
    ("other", "pointer", "code"),
    [
        ({"status": "succeeded"}, "/status", "unknown_field"),
        ({"amount": 1}, "/amount", "unknown_field"),
        ({"currency": "JPY"}, "/currency", "unknown_field"),
        ({"card_number": "4242424242424242"}, "/card_number", "unknown_field"),
        ({"return_url": 1}, "/return_url", "invalid"),
        ({"return_url": "https://shop.example.com/\u0000"}, "/return_url", "control"),
        ({"return_url": "//evil.example"}, "/return_url", "return_url_not_allowed"),
        ({"return_url": "https://shop.example.com@evil.example"}, "/return_url", "return_url_not_allowed"),
        ({"return_url": "\\\\evil.example"}, "/return_url", "return_url_not_allowed"),
        ({"return_url": RETURN_URL + "x" * 2_000}, "/return_url", "max_length"),
        ({"gateway": "nobody"}, "/gateway", "unknown_gateway"),
        ({"gateway": None}, "/gateway", "null"),
    ],
)
def test_a_wrong_field_is_named(
    other: dict[str, object], pointer: str, code: str, shopping: APIClient, order: OrderView
) -> None:
    answer = shopping.post("/payments", body_for(order) | other, format="json")

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]
    assert not Attempt.objects.exists()


def test_a_return_address_elsewhere_has_its_own_code(shopping: APIClient, order: OrderView) -> None:
    answer = shopping.post("/payments", body_for(order, return_url="//evil"), format="json")

    assert (answer.status_code, answer.json()["code"]) == (400, "return_url_not_allowed")


@pytest.mark.parametrize("order_id", ["x", "01a20000-0000-7000-8000-000000000000", ""])
def test_an_order_that_is_not_there_is_not_found(order_id: str, shopping: APIClient) -> None:
    answer = shopping.post("/payments", {"order_id": order_id or "-", "return_url": RETURN_URL}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_paid_order_is_a_conflict(
    shopping: APIClient, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)

    answer = shopping.post("/payments", body_for(order), format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "order_not_payable")


def test_a_silent_gateway_is_a_503_and_the_same_call_continues(
    shopping: APIClient, order: OrderView, gateway: FakeGateway
) -> None:
    gateway.fall_silent("create_session", after_doing=True)
    key = {"Idempotency-Key": "one"}

    down = shopping.post("/payments", body_for(order), format="json", headers=key)
    again = shopping.post("/payments", body_for(order), format="json", headers=key)

    assert (down.status_code, down.json()["code"]) == (503, "gateway_unavailable")
    assert int(down.headers["Retry-After"]) > 0
    assert (again.status_code, again.json()["status"]) == (200, "pending")
    assert again.json()["id"] == down.json()["payment_id"]
    assert len(gateway.sessions) == 1


def test_nobody_starts_a_payment_without_a_token(order: OrderView) -> None:
    answer = APIClient().post("/payments", body_for(order), format="json")

    assert answer.status_code == 401
    assert not Attempt.objects.exists()


# --- reading ---


def test_reading_an_open_payment_asks_the_gateway(
    shopping: APIClient, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    gateway.pay(gateway.only_session())

    answer = shopping.get(f"/payments/{payment.payment_id}")

    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert told(order) == ["payment.success"]


def test_a_payment_is_shown_to_its_shopper_and_to_staff_only(
    shopping: APIClient, shopper: Caller, stranger: Caller, staff: Caller, order: OrderView
) -> None:
    payment = started(shopper, order, datetime.now(UTC)).payment
    path = f"/payments/{payment.payment_id}"

    assert shopping.get(path).status_code == 200
    assert client_of(staff).get(path).status_code == 200
    theirs = client_of(stranger).get(path)
    assert (theirs.status_code, theirs.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("payment_id", ["x", "01a20000-0000-7000-8000-000000000000"])
def test_a_payment_that_is_not_there_is_not_found(payment_id: str, shopping: APIClient) -> None:
    assert shopping.get(f"/payments/{payment_id}").status_code == 404
    assert shopping.post(f"/payments/{payment_id}/cancel").status_code == 404


def test_the_payments_of_an_order_are_paged_newest_first(
    shopping: APIClient, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    ids: list[str] = []
    for _ in range(3):
        ids.insert(0, str(started(shopper, order, now).payment.payment_id))
        shopping.post(f"/payments/{ids[0]}/cancel")

    first = shopping.get(f"/payments?order_id={order.order_id}&limit=2").json()
    second = shopping.get(first["next"]).json()
    back = shopping.get(second["previous"]).json()

    assert [payment["id"] for payment in first["results"]] == ids[:2]
    assert [payment["id"] for payment in second["results"]] == ids[2:]
    assert second["next"] is None
    assert back["results"] == first["results"]


def test_the_payments_of_anybody_elses_order_are_not_there(stranger: Caller, staff: Caller, order: OrderView) -> None:
    path = f"/payments?order_id={order.order_id}"

    assert client_of(stranger).get(path).status_code == 404
    assert client_of(staff).get(path).json() == {"results": [], "next": None, "previous": None}


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?order_id=x", 404), ("?order_id=01a20000-0000-7000-8000-000000000000", 404), ("?order_id=", 404)],
)
def test_listing_needs_an_order(query: str, status: int, shopping: APIClient) -> None:
    assert shopping.get(f"/payments{query}").status_code == status


def test_a_cursor_of_somebody_elses_making_is_refused(shopping: APIClient, order: OrderView) -> None:
    # Base64 of `n:not-an-id`.
    answer = shopping.get(f"/payments?order_id={order.order_id}&cursor=bjpub3QtYW4taWQ=")

    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


# --- cancelling ---


def test_a_payment_is_cancelled_and_that_is_answered_again(
    shopping: APIClient, shopper: Caller, order: OrderView, now: datetime
) -> None:
    payment = started(shopper, order, now).payment

    first = shopping.post(f"/payments/{payment.payment_id}/cancel")
    again = shopping.post(f"/payments/{payment.payment_id}/cancel", {}, format="json")

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["status"] == "cancelled"
    assert first.json() == again.json()


def test_a_paid_payment_is_not_cancelled(
    shopping: APIClient, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    gateway.pay(gateway.only_session())

    answer = shopping.post(f"/payments/{payment.payment_id}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
    assert told(order) == ["payment.success"]


# --- giving back ---


def test_a_part_of_a_great_sum_is_given_back(
    shopper: Caller, staff: Caller, gateway: FakeGateway, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.orders.factories.PRICE", 2_000_000_000)
    order = placed(caller=shopper, now=now, currency="IDR")
    paid = attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)
    wish = {"amount": {"amount": 3_000_000_000, "currency": "IDR"}, "reason": "One of two."}

    given = client_of(staff).post(f"/payments/{paid.id}/refunds", wish, format="json")

    assert (given.status_code, given.json()["amount"]) == (201, wish["amount"])


# --- other systems of the house ---


def test_another_system_reads_any_payment_without_asking_the_gateway(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    gateway.calls.clear()
    key = ApiKeyCaller(key_id=new_id(), name="warehouse", scopes=frozenset({"payments:read"}))

    answer = client_of(key).get(f"/internal/payments/{payment.payment_id}")

    assert answer.status_code == 200
    assert answer.json() == json.loads(json.dumps(payment_json(payment)))
    assert gateway.calls == []


def test_a_shoppers_token_or_another_scope_opens_no_internal_door(
    shopping: APIClient, shopper: Caller, order: OrderView, now: datetime
) -> None:
    payment = started(shopper, order, now).payment
    path = f"/internal/payments/{payment.payment_id}"
    key = ApiKeyCaller(key_id=new_id(), name="warehouse", scopes=frozenset({"orders:read"}))

    assert shopping.get(path).status_code in {401, 403}
    assert client_of(key).get(path).status_code == 403
    assert APIClient().get(path).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_the_whole_call_stays_within_its_budget(
    shopping: APIClient, order: OrderView, statements: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    with statements() as counted:
        shopping.post("/payments", body_for(order), format="json")

    assert len(counted) == 4


def test_origins_come_from_settings(shopping: APIClient, order: OrderView, settings: Settings) -> None:
    settings.PAYMENT_RETURN_ORIGINS = []

    assert shopping.post("/payments", body_for(order), format="json").status_code == 400
