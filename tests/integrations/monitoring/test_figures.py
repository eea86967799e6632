"""What waits is counted as it is, in as many statements whatever there is."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from django.db import connection
from prometheus_client import CollectorRegistry
from pytest_django import Settings

from integrations.embedded.ports import any_free
from integrations.kafka.models import Parked
from integrations.monitoring import Standing, figures
from notifications.models import Mail
from orders.models import Order
from payments.models import Attempt, Callback, Finding, Refund
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.outbox.instants import instant_of
from shop.kernel.outbox.models import PendingEvent
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import open_unit_of_work
from tests.conftest import Statements
from tests.orders.factories import placed
from tests.payments.factories import received, started
from tests.payments.fakes import only_gateway
from tests.shop.kernel.outbox.factories import action

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fake_gateway(settings: Settings) -> None:
    only_gateway(settings)


def parked(consumer: str, state: str, *, at: datetime) -> None:
    Parked.objects.create(
        consumer=consumer,
        event_id=new_id(),
        type="order.created.v1",
        key="k",
        topic="order.created",
        value=b"{}",
        headers={},
        state=state,
        next_attempt_at=at,
        parked_at=at,
    )


def refund_of(attempt: Attempt, now: datetime, *, review_reason: str, next_try_at: datetime) -> None:
    Refund.objects.create(
        attempt=attempt,
        gateway=attempt.gateway,
        status="requested",
        amount=1,
        currency=attempt.currency,
        cause="requested",
        review_reason=review_reason,
        next_try_at=next_try_at,
        created_at=now,
        moved_at=now,
    )


def test_an_empty_shop_has_nothing_waiting(now: datetime, settings: Settings) -> None:
    found = figures(now=now)

    assert (found.outbox_pending, found.outbox_failed, found.outbox_oldest_seconds) == (0, 0, 0.0)
    assert found.slots == []
    assert set(found.parked.values()) == {0}
    assert {group for group, _ in found.parked} == set(settings.CONSUMERS)
    assert set(found.payments_stuck) == {"review", "unknown", "refund_review", "parked", "quarantined", "dead"}
    assert set(found.payments_stuck.values()) == {0}
    assert (len(found.findings), sum(found.findings.values())) == (13, 0)
    assert found.orders_in_review == found.dead_letters == 0
    assert found.mails == {"pending": 0, "sending": 0, "unconfirmed": 0, "dead": 0}
    assert found.overdue_seconds == dict.fromkeys(
        ("callback", "poll", "refund", "order", "mail", "webhook", "parked_event"), 0.0
    )
    assert found.webhooks == {"pending": 0, "dead": 0}
    assert found.webhook_endpoints == {"active": 0, "paused": 0, "gone": 0, "failing": 0, "by_hand": 0}


def test_everything_that_waits_is_counted(now: datetime, shopper: Caller) -> None:
    order = placed(caller=shopper, now=now)
    started(shopper, order, now)
    refund_of(Attempt.objects.get(), now, review_reason="amount", next_try_at=now - timedelta(seconds=40))
    Order.objects.update(needs_review=True, payment_deadline=now - timedelta(seconds=90))
    Attempt.objects.update(status="unknown", review_reason="amount", next_poll_at=now - timedelta(seconds=30))
    received("sess_1", now, event_id="late")
    received("sess_2", now, event_id="dead")
    Callback.objects.filter(event_id="late").update(next_attempt_at=now - timedelta(seconds=20))
    Callback.objects.filter(event_id="dead").update(state="dead", next_attempt_at=None)
    for state in ("open", "gone"):
        Finding.objects.create(
            kind="missing_there", gateway="fake", subject="s", detail="-", state=state, found_at=now, seen_at=now
        )
    parked("orders", "waiting", at=now - timedelta(seconds=10))
    parked("orders", "dead", at=now - timedelta(days=3))
    parked("analytics", "dead", at=now - timedelta(days=3))
    PendingEvent.objects.filter(position=PendingEvent.objects.latest("position").position).update(state="failed")

    found = figures(now=now)

    assert found.orders_in_review == 1
    assert found.payments_stuck == {
        "review": 1, "unknown": 1, "refund_review": 1, "parked": 0, "quarantined": 0, "dead": 1,
    }  # fmt: skip
    assert (found.findings["missing_there"], sum(found.findings.values())) == (1, 1)
    assert found.dead_letters == 2
    assert found.parked["orders", "waiting"] == found.parked["orders", "dead"] == found.parked["analytics", "dead"] == 1
    assert (found.outbox_pending, found.outbox_failed) == (PendingEvent.objects.count() - 1, 1)
    assert found.overdue_seconds == {
        "callback": 20, "poll": 30, "refund": 40, "order": 90, "mail": 0,
        "webhook": 0, "parked_event": 10,
    }  # fmt: skip


def test_the_age_of_the_oldest_event_is_the_queue_s(now: datetime) -> None:
    with open_unit_of_work():
        publish(action(user_id=new_id()))
    told_at = instant_of(PendingEvent.objects.get().event_id)

    assert figures(now=told_at + timedelta(seconds=42)).outbox_oldest_seconds == 42


def test_what_is_due_later_is_not_overdue(now: datetime, shopper: Caller) -> None:
    started(shopper, placed(caller=shopper, now=now), now)

    assert set(figures(now=now).overdue_seconds.values()) == {0.0}


@pytest.mark.parametrize("orders", [1, 3])
def test_the_figures_cost_the_same_whatever_waits(
    statements: Callable[[], AbstractContextManager[Statements]], now: datetime, shopper: Caller, orders: int
) -> None:
    for number in range(orders):
        started(shopper, placed(caller=shopper, now=now), now)
        received(f"sess_{number}", now, event_id=str(number))
        parked("orders", "dead", at=now)

    with statements() as counted:
        figures(now=now)

    assert len(counted) == 21


def samples(registry: CollectorRegistry) -> dict[str, float]:
    return {
        sample.name: sample.value for family in registry.collect() for sample in family.samples if not sample.labels
    }


@pytest.mark.django_db(transaction=True)
def test_the_gauges_are_asked_at_each_scrape(now: datetime) -> None:
    registry = CollectorRegistry()
    registry.register(Standing())
    before = samples(registry)
    with open_unit_of_work():
        publish(action(user_id=new_id()))

    after = samples(registry)

    assert (before["shop_outbox_pending"], after["shop_outbox_pending"]) == (0, 1)
    assert before["shop_standing_readable"] == after["shop_standing_readable"] == 1
    assert registry.get_sample_value("shop_consumer_parked", {"group": "orders", "state": "dead"}) == 0
    assert registry.get_sample_value("payments_stuck", {"what": "review"}) == 0
    assert registry.get_sample_value("payments_findings_open", {"kind": "ledger_differs"}) == 0
    assert registry.get_sample_value("notifications_mails_waiting", {"state": "dead"}) == Mail.objects.count() == 0
    assert registry.get_sample_value("shop_overdue_seconds", {"what": "callback"}) == 0


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_told_and_fails_no_scrape() -> None:
    registry = CollectorRegistry()
    there = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(HOST="127.0.0.1", PORT=any_free())
    try:
        registry.register(Standing())
        told = samples(registry)
    finally:
        connection.close()
        connection.settings_dict.update(there)

    assert told == {"shop_standing_readable": 0}
