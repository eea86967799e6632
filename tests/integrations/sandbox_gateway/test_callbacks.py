"""Callbacks: signed, sent until taken, not held up by a slow one."""

import threading
import time
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.integrations.sandbox_gateway.harness import PATIENCE_SECONDS, Gateway, Receiver, eventually


def test_callback_is_signed_with_the_first_secret_only(gateway: Gateway, receiver: Receiver) -> None:
    session_id = gateway.paid_session()

    [delivery] = receiver.wait_for(session_id, "session.paid")

    # The receiver has verified it with the first secret already.
    assert delivery.headers["webhook-signature"].count("v1,") == 1
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLTAwMDE=").verify("{}", delivery.headers)


def test_refused_callback_comes_again_with_the_same_id_and_body(gateway: Gateway, receiver: Receiver) -> None:
    # A redirect is not followed: the shop has to take the callback where it was promised.
    answers = iter([302])
    receiver.answer = lambda _event: next(answers, 200)
    session_id = gateway.session()

    gateway.cancel(session_id)

    [first, second] = eventually(lambda: len(receiver.of(session_id)) == 2 and receiver.of(session_id))
    assert second.event == first.event
    assert second.at - first.at >= 0.9


def test_slow_answer_does_not_hold_the_other_callbacks_back(gateway: Gateway, receiver: Receiver) -> None:
    slow, done = gateway.session(), threading.Event()

    def answer(event: dict[str, Any]) -> int:
        if event["data"]["id"] == slow:
            done.wait(PATIENCE_SECONDS)
        return 200

    receiver.answer = answer
    gateway.cancel(slow)
    eventually(lambda: receiver.of(slow))

    others = [gateway.paid_session() for _ in range(10)]

    eventually(lambda: all(receiver.types(other) == ["session.paid"] for other in others))
    done.set()


def test_callbacks_arrive_soon_after_the_event(gateway: Gateway, receiver: Receiver) -> None:
    session_id = gateway.session()
    began = time.monotonic()

    gateway.cancel(session_id)

    [delivery] = receiver.wait_for(session_id, "session.cancelled")
    # Not half a minute later, as one that is held back; how long a busy machine takes is its own affair.
    assert delivery.at - began < 10
