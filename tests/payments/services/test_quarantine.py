"""A word about another payment: never paid, never cancelled, until a person has looked."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

import pytest
from pytest_django import Settings

from orders.dto import OrderView
from payments import services
from payments.dto import Outcome
from payments.models import Attempt
from payments.states import AttemptStatus, Source
from shop.kernel.money import Money
from shop.kernel.transactions import open_unit_of_work
from tests.conftest import Statements
from tests.payments.factories import history, payable_of, told
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db

S = AttemptStatus
Counting = Callable[[], AbstractContextManager[Statements]]


@pytest.mark.parametrize(
    "lie",
    [
        ({"amount": Money(2_871, "EUR")}, "amount 2871 instead of 2870"),
        ({"captured": Money(2_869, "EUR")}, "captured 2869 instead of 2870"),
        ({"amount": Money(2_870, "USD")}, "currency USD instead of EUR"),
        ({"captured": Money(2_870, "USD")}, "captured currency USD instead of EUR"),
        ({"reference": "somebody-elses"}, "reference somebody-elses instead of"),
        ({"session_id": "sess_other"}, "session sess_other instead of"),
        ({"live": True}, "live mode True instead of False"),
    ],
)
def test_a_word_about_another_payment_is_quarantined(
    lie: tuple[dict[str, object], str], pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    lies, named = lie
    gateway.pay(pending.session_id)
    gateway.lies = lies

    settlement = services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)

    attempt = Attempt.objects.get()
    assert (settlement.outcome, settlement.status) == (Outcome.QUARANTINED, "pending")
    assert attempt.needs_review
    assert named in attempt.review_reason
    assert (attempt.captured, attempt.next_poll_at) == (0, None)
    assert history(pending.id)[-1] == ("pending", "pending")
    assert told(order) == []


def test_a_payment_in_test_mode_pays_nothing_where_money_is_real(
    pending: Attempt, order: OrderView, gateway: FakeGateway, settings: Settings, now: datetime
) -> None:
    settings.PAYMENT_LIVE_MODE = True
    gateway.pay(pending.session_id)

    settlement = services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)

    assert settlement.outcome is Outcome.QUARANTINED
    assert told(order) == []


def test_only_a_person_ends_a_quarantine(
    pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.pay(pending.session_id)
    gateway.lies = {"amount": Money(1, "EUR")}
    services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)
    gateway.lies = {}

    by_callback = services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)
    by_staff = services.settle(attempt_id=pending.id, source=Source.STAFF, now=now)

    assert by_callback.outcome is Outcome.QUARANTINED
    assert (by_staff.outcome, by_staff.status) == (Outcome.MOVED, "succeeded")
    assert not Attempt.objects.get().needs_review
    assert told(order) == ["payment.success"]


def test_a_person_who_finds_the_session_open_ends_the_quarantine_as_well(
    pending: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    gateway.lies = {"amount": Money(1, "EUR")}
    services.settle(attempt_id=pending.id, source=Source.POLL, now=now)
    gateway.lies = {}

    services.settle(attempt_id=pending.id, source=Source.STAFF, now=now)

    attempt = Attempt.objects.get()
    assert (attempt.status, attempt.needs_review) == ("pending", False)
    assert attempt.next_poll_at is not None
    assert history(pending.id)[-2:] == [("pending", "pending"), ("pending", "pending")]


def test_one_whose_order_was_called_off_is_closed_once_and_asked_about_no_more(
    pending: Attempt, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.lies = {"amount": Money(1, "EUR")}
    services.settle(attempt_id=pending.id, source=Source.CALLBACK, now=now)
    gateway.calls.clear()
    with open_unit_of_work():
        services.close_payable(payable=payable_of(order), now=now)

    settlement = services.poll(attempt_id=pending.id, now=now)

    attempt = Attempt.objects.get()
    assert settlement is not None
    assert settlement.outcome is Outcome.QUARANTINED
    assert gateway.calls == ["close_session"]
    assert (attempt.status, attempt.needs_review, attempt.next_poll_at) == ("pending", True, None)
