"""What is no callback of the gateway's: each is one and the same 400 over HTTP, and leaves no row behind."""

import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from integrations.demo.purchase import GOOD_CARD
from tests.journeys.shopper import Shopper
from tests.journeys.signing import event_about, signed
from tests.journeys.stack import CALL_SECONDS, Stack
from tests.journeys.waiting import eventually
from tests.ordeals.conftest import SECRET_OF_TODAY, SECRET_OF_YESTERDAY
from tests.ordeals.gateway import Message, Paid, paid_in_secret

pytestmark = pytest.mark.journey

Refused = Callable[[Message], None]


@pytest.fixture(scope="module")
def paid(stack: Stack) -> Paid:
    """A payment whose genuine callback is the mould of every forgery."""
    return paid_in_secret(Shopper(stack))


@pytest.fixture
def refused(stack: Stack, paid: Paid) -> Refused:
    """Require one 400 without a reason, no new row, and an unpaid order."""

    def check(message: Message) -> None:
        rows = stack.one("SELECT count(*) FROM payments_callback")

        status, body = message.send()

        problem = json.loads(body)
        assert (status, problem["code"]) == (400, "invalid_callback")
        assert problem["detail"] == "This is not a valid callback."
        assert stack.one("SELECT count(*) FROM payments_callback") == rows
        assert paid.shopper.stored_status(paid.payment) == "pending"

    return check


def resigned(paid: Paid, body: bytes) -> Message:
    """Return a message of this body, properly signed."""
    return Message(paid.message.stack, body, signed(body, secret=SECRET_OF_TODAY))


def altered(paid: Paid, **headers: str) -> Message:
    """Return the genuine message with other headers."""
    return Message(paid.message.stack, paid.message.body, {**paid.message.headers, **headers})


def aged(paid: Paid, **by: float) -> Message:
    """Return the genuine body, properly signed at another time."""
    at = datetime.now(UTC) + timedelta(**by)
    return Message(paid.message.stack, paid.message.body, signed(paid.message.body, secret=SECRET_OF_TODAY, at=at))


def test_an_old_callback_is_refused(paid: Paid, refused: Refused) -> None:
    refused(aged(paid, seconds=-310))


def test_a_callback_from_the_future_is_refused(paid: Paid, refused: Refused) -> None:
    refused(aged(paid, seconds=310))
    refused(aged(paid, days=3650))


def test_a_reserialised_body_is_refused(paid: Paid, refused: Refused) -> None:
    same_words = json.dumps(json.loads(paid.message.body), indent=1).encode()

    refused(Message(paid.message.stack, same_words, paid.message.headers))


def test_invalid_utf8_is_refused(paid: Paid, refused: Refused) -> None:
    refused(resigned(paid, b"\xff\xfe"))
    refused(resigned(paid, paid.message.body.replace(b"session.paid", b"session.\xff")))


def test_a_non_ascii_signature_is_refused(paid: Paid, refused: Refused) -> None:
    # Bytes beyond ASCII in a header, as only a socket sends them.
    named = {
        **paid.message.headers,
        "webhook-signature": "v1,sch\u00f6n",
        "Content-Length": str(len(paid.message.body)),
    }
    lines = [f"{name}: {value}" for name, value in {"Host": "127.0.0.1", "Connection": "close", **named}.items()]
    head = "\r\n".join(["POST /payment-callback HTTP/1.1", *lines, "", ""])
    with socket.create_connection(("127.0.0.1", paid.message.stack.web_port), timeout=CALL_SECONDS) as wire:
        wire.sendall(head.encode("latin-1") + paid.message.body)
        answer = b"".join(iter(lambda: wire.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"invalid_callback"' in answer
    assert paid.message.stored() is None
    refused(altered(paid, **{"webhook-signature": "v1,sch\u00f6n".encode().decode("latin-1")}))


def test_a_signed_empty_list_is_refused(paid: Paid, refused: Refused) -> None:
    refused(resigned(paid, b"[]"))


@pytest.mark.parametrize(
    "spoiled",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,====="},
        {"webhook-signature": "v1,a,b"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-id": ""},
    ],
)
def test_a_malformed_header_is_refused(spoiled: dict[str, str], paid: Paid, refused: Refused) -> None:
    refused(altered(paid, **spoiled))


def test_a_batch_of_a_valid_and_a_forged_event_is_refused_whole(paid: Paid, refused: Refused) -> None:
    valid = json.loads(paid.message.body)
    forged = {**valid, "data": {**valid["data"], "id": "sess_forged"}}
    batch = json.dumps([valid, forged]).encode()

    refused(resigned(paid, batch))
    refused(Message(paid.message.stack, batch, paid.message.headers))


def test_while_a_secret_is_rotated_both_are_good_and_a_third_is_not(
    stack: Stack, shopper: Shopper, paid: Paid, refused: Refused
) -> None:
    by_somebody_else = signed(paid.message.body, secret="whsec_c29tZWJvZHktZWxzZXMtc2VjcmV0LTAwMDE=")
    refused(Message(stack, paid.message.body, by_somebody_else))

    for secret in (SECRET_OF_TODAY, SECRET_OF_YESTERDAY):
        order = shopper.buy()
        payment = shopper.start_payment(order)
        with stack.faults(drop_callbacks=True):
            shopper.pay(payment["redirect_url"], card_number=GOOD_CARD)
        body = event_about(stack.gateway("GET", f"/v1/sessions/{payment['redirect_url'].rpartition('/')[2]}"))
        assert Message(stack, body, signed(body, secret=secret)).send()[0] == 200
        shopper.until_order(order, "paid")


def test_the_genuine_callback_is_good_after_all_forgeries(paid: Paid) -> None:
    assert paid.message.send()[0] == 200

    eventually("it to be applied", lambda: paid.message.stored() == ("applied", 1))
    assert paid.moves() == ["callback"]
