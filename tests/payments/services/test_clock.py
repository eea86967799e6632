"""Polls, and a reader's look. Time alone never fails what the gateway knows."""

from datetime import datetime, timedelta

import pytest

from orders.dto import OrderView
from payments import services
from payments.dto import Outcome
from payments.models import Attempt
from payments.ports import GatewayUnavailable
from payments.queries import attempt_row
from payments.services import clock
from payments.states import AttemptStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from tests.payments.factories import attempt_in, told
from tests.payments.fakes import FakeGateway, Killed

pytestmark = pytest.mark.django_db

S = AttemptStatus


def test_a_callback_that_never_comes_is_made_up_for_by_polling(
    pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.pay(pending.session_id)

    settlement = services.poll(attempt_id=pending.id, now=now + timedelta(seconds=60))

    assert settlement is not None
    assert (settlement.outcome, settlement.status) == (Outcome.MOVED, "succeeded")
    assert told(order) == ["payment.success"]


def test_a_pending_attempt_is_polled_after_one_two_five_and_five_minutes(pending: Attempt, now: datetime) -> None:
    pauses, at = [], now
    for _ in range(5):
        slot = Attempt.objects.get().next_poll_at
        assert slot is not None
        pauses.append((slot - at).total_seconds() / 60)
        at = slot
        services.poll(attempt_id=pending.id, now=at)

    assert pauses == [1, 2, 5, 5, 5]


def test_nothing_is_polled_before_its_turn(pending: Attempt, gateway: FakeGateway, now: datetime) -> None:
    gateway.calls.clear()

    assert services.poll(attempt_id=pending.id, now=now + timedelta(seconds=59)) is None

    assert gateway.calls == []


def test_two_clocks_poll_each_attempt_once_a_slot(pending: Attempt, gateway: FakeGateway, now: datetime) -> None:
    slot = now + timedelta(seconds=60)
    other_clock: list[object] = []
    gateway.calls.clear()
    gateway.during("fetch_session", lambda: other_clock.append(services.poll(attempt_id=pending.id, now=slot)))

    first = services.poll(attempt_id=pending.id, now=slot)

    assert first is not None
    assert other_clock == [None]
    assert gateway.calls == ["fetch_session"]


def test_two_clocks_that_read_the_same_turn_take_it_once(
    pending: Attempt, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    slot = now + timedelta(seconds=60)
    read_by_both = attempt_row(attempt_id=pending.id)
    monkeypatch.setattr(clock, "attempt_row", lambda **_: read_by_both)
    gateway.calls.clear()

    results = [services.poll(attempt_id=pending.id, now=slot) for _ in range(2)]

    assert results[0] is not None
    assert results[1] is None
    assert gateway.calls == ["fetch_session"]


def test_a_silent_gateway_is_asked_again_in_the_next_slot(
    pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.fall_silent("fetch_session")
    gateway.pay(pending.session_id)

    with pytest.raises(GatewayUnavailable):
        services.poll(attempt_id=pending.id, now=now + timedelta(minutes=1))
    services.poll(attempt_id=pending.id, now=now + timedelta(minutes=3))

    assert told(order) == ["payment.success"]


def test_unknown_is_asked_about_for_five_days_and_then_given_to_a_person(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(S.UNKNOWN, caller=shopper, order=order, gateway=gateway, now=now)
    gateway.fall_silent("create_session", times=100)
    pauses, at = [], now

    while not (row := Attempt.objects.get()).needs_review:
        assert row.next_poll_at is not None
        pauses.append((row.next_poll_at - at).total_seconds())
        at = row.next_poll_at
        with pytest.raises(GatewayUnavailable):
            services.poll(attempt_id=attempt.id, now=at)

    assert pauses == [60, 300, 3_600, *[86_400] * 5]
    assert (row.status, row.next_poll_at, row.review_reason) == ("unknown", None, "unanswered")
    assert told(order) == []


def test_an_unknown_attempt_in_a_persons_hands_is_still_moved_by_the_gateways_word(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(S.UNKNOWN, caller=shopper, order=order, gateway=gateway, now=now)
    Attempt.objects.update(review_reason="unanswered", next_poll_at=None)

    services.settle(attempt_id=attempt.id, source=Source.CALLBACK, now=now)

    resolved = Attempt.objects.get()
    assert (resolved.status, resolved.needs_review) == ("pending", False)


def test_killed_in_its_last_turn_an_unknown_attempt_is_not_forgotten(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(S.UNKNOWN, caller=shopper, order=order, gateway=gateway, now=now)
    Attempt.objects.update(polls=7, next_poll_at=now)
    gateway.kill("create_session")

    with pytest.raises(Killed):
        services.poll(attempt_id=attempt.id, now=now)

    row = Attempt.objects.get()
    assert row.needs_review or row.next_poll_at is not None


def test_polling_what_is_not_there_does_nothing(now: datetime) -> None:
    assert services.poll(attempt_id=new_id(), now=now) is None


def test_an_unknown_attempt_that_was_resolved_in_its_last_turn_is_no_persons_business(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(S.UNKNOWN, caller=shopper, order=order, gateway=gateway, now=now)
    Attempt.objects.update(polls=7, next_poll_at=now)

    services.poll(attempt_id=attempt.id, now=now)

    resolved = Attempt.objects.get()
    assert (resolved.status, resolved.needs_review) == ("pending", False)


def test_reading_an_open_payment_asks_the_gateway_but_only_once_a_second(
    pending: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    gateway.calls.clear()

    services.look(payment_id=pending.id, now=now)
    services.look(payment_id=pending.id, now=now + timedelta(milliseconds=900))
    services.look(payment_id=pending.id, now=now + timedelta(milliseconds=1_000))

    assert gateway.calls == ["fetch_session", "fetch_session"]


def test_the_browser_back_from_the_gateway_sees_the_payment_succeeded(
    pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.pay(pending.session_id)

    seen = services.look(payment_id=pending.id, now=now)

    assert seen is not None
    assert seen.status == "succeeded"
    assert told(order) == ["payment.success"]


def test_coming_back_alone_pays_nothing(pending: Attempt, order: OrderView, now: datetime) -> None:
    seen = services.look(payment_id=pending.id, now=now)

    assert seen is not None
    assert seen.status == "pending"
    assert told(order) == []


@pytest.mark.parametrize("trouble", ["silent", "denying"])
def test_a_failing_gateway_never_spoils_the_reading(
    trouble: str, pending: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    if trouble == "silent":
        gateway.fall_silent("fetch_session")
    else:
        gateway.sessions.clear()

    seen = services.look(payment_id=pending.id, now=now)

    assert seen is not None
    assert seen.status == "pending"


def test_reading_a_closed_payment_asks_nothing(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    attempt = attempt_in(S.FAILED, caller=shopper, order=order, gateway=gateway, now=now)
    gateway.calls.clear()

    seen = services.look(payment_id=attempt.id, now=now)

    assert seen is not None
    assert (seen.status, seen.failure_code) == ("failed", "card_declined")
    assert seen.failure_detail == "The card was declined."
    assert gateway.calls == []
