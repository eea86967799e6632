"""Fault switches: what they do to callers, and how they are set."""

import time
from typing import Any
from uuid import uuid4

import pytest
import urllib3

from integrations.sandbox_gateway.errors import InvalidRequest
from integrations.sandbox_gateway.faults import SWITCHES, Fault, parse_fault
from tests.integrations.sandbox_gateway.harness import Gateway, Receiver, eventually, new_session


def test_dropped_callback_never_comes(gateway: Gateway, receiver: Receiver) -> None:
    gateway.faults(drop_callbacks=1)

    dropped, sent = gateway.paid_session(), gateway.paid_session()

    receiver.wait_for(sent, "session.paid")
    assert receiver.of(dropped) == []
    assert gateway.fetch(dropped)["status"] == "paid"
    assert f"object_id={dropped}" in gateway.log.read_text()


def test_duplicated_callback_comes_twice_with_one_id(gateway: Gateway, receiver: Receiver) -> None:
    gateway.faults(duplicate_callbacks={"count": 1})

    twice, once = gateway.paid_session(), gateway.paid_session()

    [first, second] = receiver.wait_for(twice, "session.paid", "session.paid")
    assert second.event == first.event
    receiver.wait_for(once, "session.paid")


def test_delayed_callback_comes_later(gateway: Gateway, receiver: Receiver) -> None:
    gateway.faults(delay_seconds={"seconds": 0.6, "count": 1})
    began = time.monotonic()

    session_id = gateway.paid_session()

    [delivery] = receiver.wait_for(session_id, "session.paid")
    assert delivery.at - began >= 0.6


def test_reordered_callback_is_overtaken_by_the_next(gateway: Gateway, receiver: Receiver) -> None:
    gateway.faults(reorder=True)

    first, second = gateway.paid_session(), gateway.paid_session()

    eventually(lambda: receiver.of(first) and receiver.of(second))
    assert receiver.of(second)[0].at < receiver.of(first)[0].at


def test_wrong_amount_is_told_in_fetches_lists_and_callbacks(gateway: Gateway, receiver: Receiver) -> None:
    gateway.faults(wrong_amount=True)

    session_id = gateway.paid_session(amount=500)

    [delivery] = receiver.wait_for(session_id, "session.paid")
    listed = gateway.call("GET", "/v1/sessions?limit=100").json["data"]
    for lie in (delivery.event["data"], gateway.fetch(session_id), *[s for s in listed if s["id"] == session_id]):
        assert (lie["amount"], lie["captured_amount"]) == (501, 501)
    gateway.faults()
    truth = gateway.fetch(session_id)
    assert (truth["amount"], truth["captured_amount"]) == (500, 500)


def test_slow_answer_comes_after_its_seconds(gateway: Gateway) -> None:
    session_id = gateway.session()
    gateway.faults(slow_seconds={"seconds": 0.4, "count": 1})

    began = time.monotonic()
    gateway.fetch(session_id)
    slow = time.monotonic() - began

    assert slow >= 0.4
    assert gateway.call("GET", "/v1/faults").json["slow_seconds"] is None


def test_failing_request_does_nothing_and_works_again_after_its_count(gateway: Gateway) -> None:
    reference, key = str(uuid4()), str(uuid4())
    gateway.faults(fail_requests=2)

    answers = [gateway.call("POST", "/v1/sessions", new_session(reference=reference), key=key) for _ in range(3)]

    assert [answer.status for answer in answers] == [500, 500, 201]
    assert answers[0].error == "simulated_failure"
    assert answers[2].headers.get("idempotent-replayed") is None


def test_faults_can_be_turned_off_while_everything_fails(gateway: Gateway) -> None:
    gateway.faults(fail_requests=True)
    assert gateway.call("GET", "/v1/sessions").status == 500

    cleared = gateway.call("DELETE", "/v1/faults")

    assert (cleared.status, cleared.json) == (200, dict.fromkeys(SWITCHES))
    assert gateway.call("GET", "/v1/sessions").status == 200


def test_timed_out_request_was_done_and_its_key_finds_it(gateway: Gateway) -> None:
    before = gateway.fetch(gateway.session())["created_at"]
    body, key = new_session(), str(uuid4())
    gateway.faults(timeout_after_doing=True)

    def timed_out_and_done() -> bool:
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            gateway.call("POST", "/v1/sessions", body, key=key, timeout=2)
        # A gateway that had not begun by then never does.
        return bool(gateway.call("GET", f"/v1/sessions?created_after={before}").json["data"])

    eventually(timed_out_and_done)
    gateway.faults()
    again = gateway.call("POST", "/v1/sessions", body, key=key)

    assert (again.status, again.headers.get("idempotent-replayed")) == (201, "true")


def test_timeouts_strike_only_what_changes_something(gateway: Gateway) -> None:
    session_id = gateway.session()
    gateway.faults(timeout_after_doing=1)

    gateway.fetch(session_id)

    assert gateway.call("GET", "/v1/faults").json["timeout_after_doing"] == {"count": 1}


@pytest.mark.parametrize("ending", ["closed", "expired"])
def test_page_takes_money_late(gateway: Gateway, receiver: Receiver, ending: str) -> None:
    session_id = gateway.session() if ending == "closed" else gateway.brief_session()[0]
    if ending == "closed":
        gateway.call("POST", f"/v1/sessions/{session_id}/close")
    eventually(lambda: gateway.fetch(session_id)["status"] == ending)
    assert gateway.pay(session_id).status == 409
    receiver.wait_for(session_id, f"session.{ending}")
    gateway.faults(pay_after_close=1)

    assert "<form" in gateway.page(session_id).text
    answer = gateway.pay(session_id)

    assert (answer.status, gateway.fetch(session_id)["status"]) == (303, "paid")
    receiver.wait_for(session_id, f"session.{ending}", "session.paid")


def test_late_money_needs_the_switch_again_each_time(gateway: Gateway) -> None:
    first, second = gateway.session(), gateway.session()
    for session_id in (first, second):
        gateway.call("POST", f"/v1/sessions/{session_id}/close")
    gateway.faults(pay_after_close=1)

    answers = [gateway.pay(first), gateway.pay(second)]

    assert [answer.status for answer in answers] == [303, 409]
    assert gateway.fetch(second)["status"] == "closed"


def test_setting_switches_turns_all_others_off(gateway: Gateway) -> None:
    gateway.faults(drop_callbacks=0.25, delay_seconds=7, reorder=3)
    assert gateway.call("GET", "/v1/faults").json == dict.fromkeys(SWITCHES) | {
        "drop_callbacks": {"rate": 0.25},
        "delay_seconds": {"rate": 1.0, "seconds": 7},
        "reorder": {"count": 3},
    }

    gateway.faults(wrong_amount=True)

    assert gateway.call("GET", "/v1/faults").json == dict.fromkeys(SWITCHES) | {"wrong_amount": {"rate": 1.0}}


def test_bad_switch_changes_nothing(gateway: Gateway) -> None:
    gateway.faults(reorder=3)

    answer = gateway.call("PUT", "/v1/faults", {"drop_callbacks": 1, "explode": True})

    assert (answer.status, answer.error, answer.json["param"]) == (422, "invalid_request", "explode")
    assert gateway.call("GET", "/v1/faults").json == dict.fromkeys(SWITCHES) | {"reorder": {"count": 3}}


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("reorder", 0, None),
        ("reorder", 0.0, None),
        ("reorder", False, None),
        ("reorder", None, None),
        ("reorder", {"count": 0}, None),
        ("reorder", {"rate": 0}, None),
        ("reorder", 4, Fault(count=4, rate=None, seconds=None)),
        ("reorder", 1, Fault(count=1, rate=None, seconds=None)),
        ("reorder", 1.0, Fault(count=None, rate=1.0, seconds=None)),
        ("reorder", 0.5, Fault(count=None, rate=0.5, seconds=None)),
        ("reorder", True, Fault(count=None, rate=1.0, seconds=None)),
        ("reorder", {"count": 2}, Fault(count=2, rate=None, seconds=None)),
        ("reorder", {"rate": 1}, Fault(count=None, rate=1.0, seconds=None)),
        ("slow_seconds", 2, Fault(count=None, rate=1.0, seconds=2)),
        ("slow_seconds", True, Fault(count=None, rate=1.0, seconds=5.0)),
        ("slow_seconds", {"count": 2}, Fault(count=2, rate=None, seconds=5.0)),
        ("slow_seconds", {"seconds": 0.5, "rate": 0.1}, Fault(count=None, rate=0.1, seconds=0.5)),
        ("slow_seconds", {"seconds": 0}, None),
    ],
)
def test_switch_is_read_as_documented(name: str, value: Any, fault: Fault | None) -> None:
    assert parse_fault(name=name, value=value) == fault


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("explode", 1),
        ("reorder", -1),
        ("reorder", 1.5),
        ("reorder", "1"),
        ("reorder", []),
        ("reorder", {}),
        ("reorder", {"count": 1, "rate": 0.5}),
        ("reorder", {"count": True}),
        ("reorder", {"count": 0.5}),
        ("reorder", {"rate": 2}),
        ("reorder", {"rate": "1"}),
        ("reorder", {"seconds": 1, "count": 1}),
        ("slow_seconds", -1),
        ("slow_seconds", 100_000),
        ("slow_seconds", {"seconds": "1"}),
    ],
)
def test_senseless_switch_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_fault(name=name, value=value)

    assert refusal.value.extra == {"param": name}
