"""Refunds: never more in sum than what was captured."""

from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.integrations.sandbox_gateway.harness import Gateway, Receiver, eventually, in_parallel


def refund_of(session_id: str, amount: int) -> dict[str, object]:
    return {"session_id": session_id, "amount": amount}


def test_refund_succeeds_at_once_and_calls_back(gateway: Gateway, receiver: Receiver) -> None:
    session_id = gateway.paid_session(currency="JPY")

    answer = gateway.call("POST", "/v1/refunds", refund_of(session_id, 400))

    refund = answer.json
    assert answer.status == 201
    assert set(refund) == {
        "id", "session_id", "amount", "currency", "status", "reference", "failure_code", "created_at", "mode",
    }  # fmt: skip
    assert (refund["session_id"], refund["amount"], refund["currency"]) == (session_id, 400, "JPY")
    assert refund["status"] == "succeeded"
    assert gateway.call("GET", f"/v1/refunds/{refund['id']}").json == refund
    assert gateway.fetch(session_id)["refunded_amount"] == 400
    [delivery] = receiver.wait_for(refund["id"], "refund.succeeded")
    assert delivery.event["data"] == refund


def test_a_reference_stays_beside_the_refund_and_one_made_in_the_dashboard_has_none(
    gateway: Gateway, receiver: Receiver
) -> None:
    session_id = gateway.paid_session()

    ours = gateway.call("POST", "/v1/refunds", refund_of(session_id, 400) | {"reference": "refund-1"}).json
    theirs = gateway.call("POST", "/v1/refunds", refund_of(session_id, 500)).json

    assert (ours["reference"], theirs["reference"]) == ("refund-1", "")
    listed = gateway.call("GET", f"/v1/refunds?session_id={session_id}&limit=1").json
    assert listed["data"] == [ours]
    rest = gateway.call("GET", f"/v1/refunds?session_id={session_id}&cursor={quote(listed['next'])}").json
    assert rest == {"data": [theirs], "next": None}
    [delivery] = receiver.wait_for(ours["id"], "refund.succeeded")
    assert delivery.event["data"]["reference"] == "refund-1"


def test_the_same_key_with_another_reference_is_refused(gateway: Gateway) -> None:
    session_id, key = gateway.paid_session(), str(uuid4())
    gateway.call("POST", "/v1/refunds", refund_of(session_id, 100) | {"reference": "one"}, key=key)

    answer = gateway.call("POST", "/v1/refunds", refund_of(session_id, 100) | {"reference": "two"}, key=key)

    assert (answer.status, answer.error) == (422, "idempotency_conflict")


@pytest.mark.parametrize("reference", ["", 7, "x" * 201, "a\nb", []])
def test_a_reference_nobody_could_read_is_refused(gateway: Gateway, reference: object) -> None:
    body = refund_of(gateway.paid_session(), 100) | {"reference": reference}

    answer = gateway.call("POST", "/v1/refunds", body)

    assert (answer.status, answer.error, answer.json["param"]) == (422, "invalid_request", "reference")


def test_all_refunds_made_since_an_instant_are_listed(gateway: Gateway) -> None:
    first = gateway.call("POST", "/v1/refunds", refund_of(gateway.paid_session(), 1)).json
    later = [gateway.call("POST", "/v1/refunds", refund_of(gateway.paid_session(), 1)).json for _ in range(3)]

    listed = gateway.call("GET", f"/v1/refunds?created_after={first['created_at']}").json

    assert listed == {"data": later, "next": None}


def test_refunds_in_sum_never_exceed_what_was_captured(gateway: Gateway) -> None:
    session_id = gateway.paid_session()

    answers = [gateway.call("POST", "/v1/refunds", refund_of(session_id, amount)) for amount in (400, 600, 1)]

    assert [answer.status for answer in answers] == [201, 201, 409]
    assert (answers[2].error, answers[2].json["refundable"]) == ("refund_exceeds_captured", 0)
    listed = gateway.call("GET", f"/v1/refunds?session_id={session_id}").json
    assert ([refund["amount"] for refund in listed["data"]], listed["next"]) == ([400, 600], None)


def test_five_refunds_at_once_of_seven_tenths_give_back_once(gateway: Gateway) -> None:
    session_id = gateway.paid_session()

    answers = in_parallel(lambda: gateway.call("POST", "/v1/refunds", refund_of(session_id, 700)), times=5)

    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]
    assert gateway.fetch(session_id)["refunded_amount"] == 700


def test_unpaid_session_has_nothing_to_refund(gateway: Gateway) -> None:
    answer = gateway.call("POST", "/v1/refunds", refund_of(gateway.session(), 1))

    assert (answer.status, answer.error, answer.json["refundable"]) == (409, "refund_exceeds_captured", 0)


def test_twenty_calls_at_once_with_one_key_refund_once(gateway: Gateway) -> None:
    session_id, key = gateway.paid_session(), str(uuid4())

    answers = in_parallel(lambda: gateway.call("POST", "/v1/refunds", refund_of(session_id, 100), key=key), times=20)

    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert gateway.fetch(session_id)["refunded_amount"] == 100


def test_same_key_with_another_amount_is_refused(gateway: Gateway) -> None:
    session_id, key = gateway.paid_session(), str(uuid4())
    gateway.call("POST", "/v1/refunds", refund_of(session_id, 100), key=key)

    answer = gateway.call("POST", "/v1/refunds", refund_of(session_id, 101), key=key)

    assert (answer.status, answer.error) == (422, "idempotency_conflict")


def test_key_of_a_session_may_serve_a_refund_too(gateway: Gateway) -> None:
    key = str(uuid4())
    session_id = gateway.paid_session(reference="r")
    gateway.session(key=key)

    assert gateway.call("POST", "/v1/refunds", refund_of(session_id, 1), key=key).status == 201


def test_refused_refund_is_not_kept_under_its_key(gateway: Gateway) -> None:
    session_id, key = gateway.session(), str(uuid4())
    assert gateway.call("POST", "/v1/refunds", refund_of(session_id, 100), key=key).status == 409
    gateway.pay(session_id)

    answer = gateway.call("POST", "/v1/refunds", refund_of(session_id, 100), key=key)

    assert (answer.status, answer.headers.get("idempotent-replayed")) == (201, None)


def test_rejected_refund_frees_its_amount(gateway: Gateway, receiver: Receiver) -> None:
    session_id = gateway.paid_session()
    gateway.faults(reject_refunds=1)

    rejected = gateway.call("POST", "/v1/refunds", refund_of(session_id, 1000)).json
    succeeded = gateway.call("POST", "/v1/refunds", refund_of(session_id, 1000)).json

    assert (rejected["status"], succeeded["status"]) == ("rejected", "succeeded")
    assert (rejected["failure_code"], succeeded["failure_code"]) == ("declined_by_bank", None)
    receiver.wait_for(rejected["id"], "refund.rejected")
    receiver.wait_for(succeeded["id"], "refund.succeeded")


def test_reversed_refund_looked_fine_at_first(gateway: Gateway, receiver: Receiver) -> None:
    session_id = gateway.paid_session()
    gateway.faults(reverse_refunds=1)

    refund = gateway.call("POST", "/v1/refunds", refund_of(session_id, 300)).json

    assert refund["status"] == "succeeded"
    eventually(lambda: receiver.types(refund["id"]) == ["refund.succeeded", "refund.reversed"])
    assert gateway.call("GET", f"/v1/refunds/{refund['id']}").json["status"] == "reversed"
    assert gateway.fetch(session_id)["refunded_amount"] == 0


def test_delayed_refund_is_pending_and_holds_its_amount(gateway: Gateway, receiver: Receiver) -> None:
    session_id = gateway.paid_session()
    gateway.faults(delay_seconds={"seconds": 0.5, "count": 1})

    refund = gateway.call("POST", "/v1/refunds", refund_of(session_id, 600)).json

    assert refund["status"] == "pending"
    assert gateway.call("POST", "/v1/refunds", refund_of(session_id, 600)).json["refundable"] == 400
    receiver.wait_for(refund["id"], "refund.succeeded")
    assert gateway.call("GET", f"/v1/refunds/{refund['id']}").json["status"] == "succeeded"


def test_only_refunds_are_pending_for_a_while_when_only_they_are_to_be(gateway: Gateway, receiver: Receiver) -> None:
    gateway.faults(pending_refunds={"seconds": 0.5, "count": 1})
    session_id = gateway.paid_session()

    first = gateway.call("POST", "/v1/refunds", refund_of(session_id, 600)).json
    second = gateway.call("POST", "/v1/refunds", refund_of(session_id, 100)).json

    assert (first["status"], second["status"]) == ("pending", "succeeded")
    receiver.wait_for(first["id"], "refund.succeeded")


@pytest.mark.parametrize("amount", [0, -1, 1.5, True, "1", None])
def test_bad_amount_is_refused(gateway: Gateway, amount: object) -> None:
    answer = gateway.call("POST", "/v1/refunds", {"session_id": gateway.paid_session(), "amount": amount})

    assert (answer.status, answer.error, answer.json["param"]) == (422, "invalid_request", "amount")


@pytest.mark.parametrize(("session_id", "status"), [("sess_nobody", 404), ("", 422), (7, 422), ([], 422)])
def test_refund_of_nothing_is_refused(gateway: Gateway, session_id: object, status: int) -> None:
    assert gateway.call("POST", "/v1/refunds", {"session_id": session_id, "amount": 1}).status == status
