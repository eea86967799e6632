"""Attempts: when they are made, what they mean for the delivery and for the endpoint."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from django.conf import settings as configured
from pytest_django.fixtures import Settings

import settings.base as defaults
from notifications.dto import EndpointView
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.ports import AddressRefused, Answer, NoAnswer
from notifications.services import webhooks
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.conftest import Statements
from tests.notifications.webhooks import factories
from tests.notifications.webhooks.factories import FakeSender, attempt, delivery

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def row() -> WebhookDelivery:
    return WebhookDelivery.objects.latest("id")


def fares() -> WebhookEndpoint:
    return WebhookEndpoint.objects.get()


def failing(sender: FakeSender, count: int, answer: Answer | Exception | None = None) -> None:
    sender.answers = [answer or Answer(status=500, body="oops")] * count


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_is_delivered(endpoint: EndpointView, sender: FakeSender, now: datetime, status: int) -> None:
    delivery(now=now)
    sender.answers = [Answer(status=status, body="thanks")]

    assert attempt(now=now) == ["delivered"]

    done = row()
    assert (done.state, done.attempts, done.last_status, done.settled_at) == ("delivered", 1, status, now)
    logged = WebhookAttempt.objects.get()
    assert (logged.status, logged.answer, logged.error, logged.url) == (status, "thanks", "", endpoint.url)
    assert logged.request_headers["webhook-id"] == str(done.event_id)
    assert attempt(now=now + timedelta(days=9)) == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(status=500), "Answered 500."),
        (Answer(status=404), "Answered 404."),
        (Answer(status=302), "Answered 302: redirects are not followed."),
        (NoAnswer("No answer within 20 seconds."), "No answer within 20 seconds."),
        (AddressRefused("It leads inside."), "It leads inside."),
        (ZeroDivisionError("a defect\x00"), "ZeroDivisionError: a defect"),
    ],
)
def test_everything_else_is_tried_again(
    endpoint: EndpointView, sender: FakeSender, now: datetime, answer: Answer | Exception, error: str
) -> None:
    delivery(now=now)
    sender.answers = [answer]

    assert attempt(now=now) == ["pending"]

    waiting = row()
    assert (waiting.attempts, waiting.last_error) == (1, error)
    assert waiting.next_attempt_at is not None
    assert timedelta(seconds=5) <= waiting.next_attempt_at - now <= timedelta(seconds=6)
    assert WebhookAttempt.objects.get().error == error


def test_the_schedule_is_that_of_standard_webhooks() -> None:
    expected = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]

    assert expected == defaults.WEBHOOK_RETRY_DELAYS_SECONDS
    assert defaults.WEBHOOK_TIMEOUT_SECONDS == 20


def test_after_the_last_retry_it_is_dead(
    endpoint: EndpointView, sender: FakeSender, now: datetime, settings: Settings
) -> None:
    settings.WEBHOOK_CIRCUIT_FAILURES = 100
    delivery(now=now)
    failing(sender, 9)
    waits: list[float] = []

    for _ in range(3):
        attempt(now=now)
        due = row().next_attempt_at
        assert due is not None
        assert attempt(now=due - timedelta(seconds=1)) == []
        waits.append((due - now).total_seconds())
        now = due
    outcome = attempt(now=now)

    assert outcome == ["dead"]
    assert all(planned <= waited <= 1.2 * planned for planned, waited in zip((5, 300, 1_800), waits, strict=True))
    assert (row().attempts, row().next_attempt_at, row().settled_at) == (4, None, now)
    assert len(sender.posted) == WebhookAttempt.objects.count() == 4
    assert len({(headers["webhook-id"], body) for _, headers, body in sender.posted}) == 1


@pytest.mark.parametrize(("asked", "waited"), [(2, 5), (90, 90), (10 * DAY, DAY)])
def test_who_asks_for_more_time_gets_it_up_to_a_day(
    endpoint: EndpointView, sender: FakeSender, now: datetime, asked: int, waited: int
) -> None:
    delivery(now=now)
    sender.answers = [Answer(status=503, retry_after_seconds=asked)]

    attempt(now=now)

    due = row().next_attempt_at
    assert due is not None
    assert timedelta(seconds=waited) <= due - now <= timedelta(seconds=max(waited, 6))


def test_410_disables_the_endpoint_at_once(endpoint: EndpointView, sender: FakeSender, now: datetime) -> None:
    delivery(now=now)
    sender.answers = [Answer(status=410)]

    assert attempt(now=now) == ["dead"]

    gone = fares()
    assert (gone.state, gone.disabled_because, gone.disabled_at) == ("disabled", "gone", now)
    factories.told(factories.paid(now=now), now=now)
    assert WebhookDelivery.objects.count() == 1


def test_after_failures_in_a_row_the_endpoint_is_left_alone_and_then_one_delivery_finds_out(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    for _ in range(5):
        delivery(now=now)
    failing(sender, 4)

    for _ in range(9):
        attempt(now=now)

    assert len(sender.posted) == 3
    assert (fares().failures, fares().paused_until) == (3, now + timedelta(seconds=60))

    later = now + timedelta(seconds=60)
    assert attempt(now=later) == ["pending"]
    assert attempt(now=later) == []
    assert fares().paused_until == later + timedelta(seconds=300)

    last = later + timedelta(seconds=300)
    while attempt(now=last):
        pass
    assert (fares().failures, fares().paused_until, fares().failing_since) == (0, None, None)
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"delivered"}


def test_while_one_endpoint_rests_others_are_told(endpoint: EndpointView, sender: FakeSender, now: datetime) -> None:
    for _ in range(3):
        delivery(now=now)
    failing(sender, 3)
    for _ in range(3):
        attempt(now=now)
    assert fares().paused_until == now + timedelta(seconds=60)
    healthy = factories.endpoint(now=now, url="https://healthy.example.com/hooks")
    sender.posted.clear()

    factories.told(factories.paid(now=now), now=now)

    assert attempt(now=now) == ["delivered"]
    assert [url for url, _, _ in sender.posted] == [healthy.url]


def test_days_without_a_success_disable_the_endpoint(
    endpoint: EndpointView, sender: FakeSender, now: datetime, settings: Settings
) -> None:
    settings.WEBHOOK_DISABLED_AFTER_HOURS = 120
    settings.WEBHOOK_RETRY_DELAYS_SECONDS = [HOUR] * 200
    delivery(now=now)
    failing(sender, 300)
    began = now

    while fares().state == "active":
        attempt(now=now)
        now += timedelta(hours=1, minutes=13)
        assert now - began < timedelta(days=7)

    assert fares().disabled_because == "failing"
    assert timedelta(hours=120) <= now - began < timedelta(hours=124)
    assert row().state == "pending"
    assert attempt(now=now + timedelta(days=1)) == []


def test_a_success_ends_the_row_of_failures(endpoint: EndpointView, sender: FakeSender, now: datetime) -> None:
    delivery(now=now)
    failing(sender, 2)
    attempt(now=now)
    attempt(now=now + timedelta(seconds=6))
    assert fares().failures == 2

    attempt(now=now + timedelta(seconds=366))

    assert (fares().failures, fares().failing_since) == (0, None)


def test_one_delivery_of_an_endpoint_at_a_time(endpoint: EndpointView, now: datetime) -> None:
    first, _ = delivery(now=now), delivery(now=now)

    (claimed,) = webhooks.claim(failing=False, limit=10, now=now)

    assert claimed.delivery_id == first.pk
    assert webhooks.claim(failing=False, limit=10, now=now) == []


def test_a_killed_worker_s_delivery_is_sent_again_after_its_lease_and_the_attempt_counts(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    delivery(now=now)
    (claimed,) = webhooks.claim(failing=False, limit=10, now=now)
    lease = claimed.busy_until - now
    assert lease >= timedelta(seconds=configured.WEBHOOK_TIMEOUT_SECONDS + 30)

    assert attempt(now=now + lease - timedelta(seconds=1)) == []
    assert attempt(now=now + lease) == ["delivered"]

    assert row().attempts == 2


def test_a_success_that_comes_late_counts_and_a_failure_does_not(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    delivery(now=now)
    (slow,) = webhooks.claim(failing=False, limit=10, now=now)
    late = webhooks.send(claimed=slow, now=now)
    failing(sender, 1)
    failed = webhooks.send(claimed=slow, now=now)
    failing(sender, 1)
    after = slow.busy_until
    (second,) = webhooks.claim(failing=False, limit=10, now=after)

    webhooks.record(claimed=slow, outcome=failed, now=after)
    assert (row().state, fares().busy_with, fares().failures) == ("pending", second.delivery_id, 0)

    webhooks.record(claimed=slow, outcome=late, now=after)
    assert (row().state, fares().busy_with) == ("delivered", second.delivery_id)

    webhooks.record(claimed=second, outcome=webhooks.send(claimed=second, now=after), now=after)
    assert (row().state, fares().busy_with) == ("delivered", None)


def test_what_a_person_has_disabled_meanwhile_stays_disabled(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    delivery(now=now)
    (claimed,) = webhooks.claim(failing=False, limit=10, now=now)
    webhooks.disable_endpoint(endpoint_id=endpoint.endpoint_id, now=now)

    webhooks.record(claimed=claimed, outcome=webhooks.send(claimed=claimed, now=now), now=now)

    assert (fares().state, fares().disabled_because, row().state) == ("disabled", "by_hand", "delivered")


def test_who_was_served_longest_ago_comes_first(sender: FakeSender, now: datetime) -> None:
    made = [factories.endpoint(now=now, url=f"https://merchant.example.com/{n}") for n in range(3)]
    for _ in range(2):
        delivery(now=now)
    turns = []

    for second in range(6):
        at = now + timedelta(seconds=second)
        (claimed,) = webhooks.claim(failing=False, limit=1, now=at)
        turns.append(claimed.endpoint_id)
        webhooks.record(claimed=claimed, outcome=webhooks.send(claimed=claimed, now=at), now=at)

    assert sorted(turns[:3]) == sorted(turns[3:]) == sorted(view.endpoint_id for view in made)


def test_a_merchant_s_system_is_never_called_inside_a_transaction(endpoint: EndpointView, now: datetime) -> None:
    delivery(now=now)
    (claimed,) = webhooks.claim(failing=False, limit=1, now=now)

    with open_unit_of_work(), pytest.raises(TransactionMisuse):
        webhooks.send(claimed=claimed, now=now)


def test_an_attempt_costs_two_statements(
    statements: Callable[[], AbstractContextManager[Statements]],
    endpoint: EndpointView,
    sender: FakeSender,
    now: datetime,
) -> None:
    delivery(now=now)

    with statements() as counted:
        attempt(now=now, failing=False)

    assert len(counted) == 2


def test_what_looks_like_a_secret_in_an_answer_is_not_kept(
    endpoint: EndpointView, sender: FakeSender, now: datetime
) -> None:
    delivery(now=now)
    secret = f"whsec_{'a1' * 16}"
    sender.answers = [Answer(status=500, body=f"expected {secret}, card 4242 4242 4242 4242")]

    attempt(now=now)

    assert WebhookAttempt.objects.get().answer == "expected ***, card ***"
