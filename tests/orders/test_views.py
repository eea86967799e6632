"""Orders over HTTP."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.test import APIClient

from cart.models import Cart
from orders.models import Order
from orders.queries import orders_of
from orders.serializers import (
    InternalOrderSchema,
    OrderDetailSchema,
    OrderSchema,
    internal_order_json,
    order_detail_json,
    order_json,
)
from orders.states import Status
from shop.kernel.auth.dto import ApiKeyCaller, Caller
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from tests.clients import client_of
from tests.orders.factories import QUOTE, open_checkout, order_in, placed, stocked

pytestmark = pytest.mark.django_db


@pytest.fixture
def shopping(shopper: Caller) -> APIClient:
    return client_of(shopper)


def fields_of(value: Any, schema: object) -> None:
    """Assert that a document and its schema name the same fields, all the way down; optional ones may be absent."""
    if isinstance(schema, serializers.ListSerializer):
        for item in value:
            fields_of(item, schema.child)
    elif isinstance(schema, serializers.Serializer):
        required = {name for name, field in schema.fields.items() if field.required}
        assert required <= set(value) <= set(schema.fields)
        for name in value:
            fields_of(value[name], schema.fields[name])


def test_documents_have_the_fields_of_their_schemas(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    fields_of(order_detail_json(order), OrderDetailSchema())
    fields_of(order_json(orders_of(user_id=shopper.id, limit=1)[0]), OrderSchema())
    fields_of(internal_order_json(order), InternalOrderSchema())


def test_an_order_is_placed_once_and_answered_again(shopping: APIClient, shopper: Caller) -> None:
    stocked("MUG")
    body = {"checkout_id": str(open_checkout(caller=shopper, now=utc_now())), "quote_hash": QUOTE}

    first = shopping.post("/orders", body, format="json")
    again = shopping.post("/orders", body, format="json")

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["totals"]["total"] == {"amount": 2_870, "currency": "EUR"}
    assert "timeline" not in first.json()


def test_the_same_key_gets_the_same_answer(shopping: APIClient, shopper: Caller) -> None:
    stocked("MUG")
    body = {"checkout_id": str(open_checkout(caller=shopper, now=utc_now()))}

    first = shopping.post("/orders", body, format="json", headers={"Idempotency-Key": "one"})
    again = shopping.post("/orders", body, format="json", headers={"Idempotency-Key": "one"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.content == again.content


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/checkout_id", "required"),
        ({"checkout_id": 7}, "/checkout_id", "invalid"),
        ({"checkout_id": "x", "quote_hash": None}, "/quote_hash", "null"),
        ({"checkout_id": "x", "status": "paid"}, "/status", "unknown_field"),
        ({"checkout_id": "x", "total": 1}, "/total", "unknown_field"),
    ],
)
def test_a_wrong_body_names_its_field(body: dict[str, object], pointer: str, code: str, shopping: APIClient) -> None:
    answer = shopping.post("/orders", body, format="json")

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]
    assert not Order.objects.exists()


@pytest.mark.parametrize("checkout_id", ["x", "01a20000-0000-7000-8000-000000000000"])
def test_an_unknown_checkout_is_not_found(checkout_id: str, shopping: APIClient) -> None:
    answer = shopping.post("/orders", {"checkout_id": checkout_id}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_another_quote_is_a_conflict_that_carries_the_total(shopping: APIClient, shopper: Caller) -> None:
    stocked("MUG")
    body = {"checkout_id": str(open_checkout(caller=shopper, now=utc_now())), "quote_hash": "other"}

    answer = shopping.post("/orders", body, format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "quote_mismatch")
    assert answer.json()["total"] == {"amount": 2_870, "currency": "EUR"}


def test_a_stale_checkout_is_a_conflict(shopping: APIClient, shopper: Caller) -> None:
    stocked("MUG")
    body = {"checkout_id": str(open_checkout(caller=shopper, now=utc_now()))}
    Cart.objects.update(version=7)

    first = shopping.post("/orders", body, format="json")
    again = shopping.post("/orders", body, format="json")

    assert [(answer.status_code, answer.json()["code"]) for answer in (first, again)] == [(409, "checkout_stale")] * 2


def test_the_list_is_paged_by_cursor(shopping: APIClient, shopper: Caller, stranger: Caller, now: datetime) -> None:
    placed(caller=stranger, now=now)
    ids = [str(placed(caller=shopper, now=now).order_id) for _ in range(3)][::-1]

    first = shopping.get("/orders?limit=2").json()
    second = shopping.get(first["next"]).json()
    back = shopping.get(second["previous"]).json()

    assert [order["id"] for order in first["results"]] == ids[:2]
    assert [order["id"] for order in second["results"]] == ids[2:]
    assert [order["id"] for order in back["results"]] == ids[:2]
    assert (first["previous"], second["next"], back["previous"]) == (None, None, None)


@pytest.mark.parametrize("size", [1, 3])
def test_the_list_is_one_statement(
    size: int,
    shopping: APIClient,
    shopper: Caller,
    now: datetime,
    statements: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    for _ in range(size):
        placed(caller=shopper, now=now, skus=tuple(f"SKU-{place}" for place in range(size)))

    with statements() as counted:
        answer = shopping.get("/orders")

    assert len(answer.json()["results"]) == size
    assert len(counted) == 1


@pytest.mark.parametrize("query", ["cursor=bm9wZQ==", "cursor=bjp4", "limit=0", "limit=101"])
def test_a_cursor_that_is_not_ours_is_refused(query: str, shopping: APIClient) -> None:
    assert shopping.get(f"/orders?{query}").status_code == 400


def test_an_order_is_read_by_its_shopper_and_the_staff(
    shopping: APIClient, shopper: Caller, staff: Caller, stranger: Caller, now: datetime
) -> None:
    order = placed(caller=shopper, now=now)
    path = f"/orders/{order.order_id}"

    assert shopping.get(path).json() == order_detail_json(order)
    assert client_of(staff).get(path).json() == order_detail_json(order)
    assert client_of(stranger).get(path).status_code == 404


@pytest.mark.parametrize("order_id", ["x", "01a20000-0000-7000-8000-000000000000"])
def test_an_order_that_is_not_there_is_not_found(order_id: str, shopping: APIClient) -> None:
    assert shopping.get(f"/orders/{order_id}").status_code == 404
    assert shopping.post(f"/orders/{order_id}/cancel", {}, format="json").status_code == 404


def test_a_shopper_cancels(shopping: APIClient, shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    answer = shopping.post(f"/orders/{order.order_id}/cancel", {"reason": "Too slow"}, format="json")
    again = shopping.post(f"/orders/{order.order_id}/cancel", {}, format="json")

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (again.status_code, again.json()["code"]) == (409, "illegal_transition")
    assert (again.json()["current"], again.json()["wanted"]) == ("cancelled", "cancelled")


def test_a_stranger_cancels_nothing_and_staff_a_paid_order(
    shopper: Caller, stranger: Caller, staff: Caller, now: datetime
) -> None:
    order = order_in(Status.PAID, caller=shopper, now=now)
    path = f"/orders/{order.order_id}/cancel"

    refused = [client_of(caller).post(path, {}, format="json").status_code for caller in (stranger, shopper)]
    cancelled = client_of(staff).post(path, {}, format="json")

    assert refused == [404, 409]
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")


@pytest.mark.parametrize("reason", [7, "x" * 501, "\x00", None])
def test_a_reason_that_is_none_is_refused(reason: object, shopping: APIClient, shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)

    answer = shopping.post(f"/orders/{order.order_id}/cancel", {"reason": reason}, format="json")

    assert answer.status_code == 400
    assert Order.objects.get().status == "pending_payment"


def test_nobody_is_answered_without_a_token(shopper: Caller, now: datetime) -> None:
    order = placed(caller=shopper, now=now)
    nobody = APIClient()

    assert nobody.get("/orders").status_code == 401
    assert nobody.post("/orders", {}, format="json").status_code == 401
    assert nobody.get(f"/orders/{order.order_id}").status_code == 401
    assert nobody.post(f"/orders/{order.order_id}/cancel", {}, format="json").status_code == 401
    assert nobody.get(f"/internal/orders/{order.order_id}").status_code == 401


def test_the_houses_own_systems_read_an_order_if_their_key_may(
    shopping: APIClient, shopper: Caller, now: datetime
) -> None:
    order = placed(caller=shopper, now=now)
    path = f"/internal/orders/{order.order_id}"
    reader = ApiKeyCaller(key_id=new_id(), name="erp", scopes=frozenset({"orders:read"}))
    other = ApiKeyCaller(key_id=new_id(), name="erp", scopes=frozenset({"payments:read"}))

    answer = client_of(reader).get(path)

    assert answer.status_code == 200
    assert answer.json() == internal_order_json(order)
    assert client_of(reader).get("/internal/orders/x").status_code == 404
    assert client_of(other).get(path).status_code == 403
    assert shopping.get(path).status_code == 401
