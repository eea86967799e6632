from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection

from integrations.kafka import delivery, parking
from integrations.kafka.delivery import Outcome, deliver
from integrations.kafka.envelope import Arrived, of_log
from integrations.kafka.groups import Group
from integrations.kafka.models import Inbox, Parked
from shop.kernel.ids import new_id
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox.log import Selection
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.outbox.services import publish
from tests.conftest import Statements
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import tell
from tests.races import at_once
from tests.shop.kernel.outbox.factories import action

ONE, TWO, POISON = (new_id() for _ in range(3))
TYPE = "analytics.events.v1"


def told() -> list[Arrived]:
    """Return all events of the log as if Kafka had brought them."""
    return [of_log(event) for chunk in event_log.chunks(Selection(), size=100) for event in chunk]


def parked() -> list[tuple[str, str, int]]:
    return [(row.key, row.state, row.attempts) for row in Parked.objects.order_by("id")]


def test_event_is_handled_once_however_often_it_comes(listening: Group, now: datetime) -> None:
    tell(ONE, TWO)
    events = told()

    first = deliver(group=listening, events=[*events, events[0]], now=now)
    second = deliver(group=listening, events=events, now=now)

    assert first == {(TYPE, "handled"): 2, (TYPE, "duplicate"): 1}
    assert second == {(TYPE, "duplicate"): 2}
    assert effects.effects(ONE, TWO) == [(ONE, 1), (TWO, 2)]


def test_handler_knows_what_caused_the_event(listening: Group, now: datetime) -> None:
    (event_id,) = tell(ONE)
    correlation = LoggedEvent.objects.get().headers["correlationid"]

    deliver(group=listening, events=told(), now=now)

    with connection.cursor() as cursor:
        cursor.execute("SELECT correlation, causation FROM test_effect")
        assert cursor.fetchall() == [(correlation, str(event_id))]


@pytest.mark.django_db(transaction=True)
def test_a_batch_costs_one_statement_and_what_its_handlers_do(
    listening: Group, now: datetime, statements: Callable[[], AbstractContextManager[Statements]]
) -> None:
    tell(*[ONE, TWO] * 15)
    events = told()

    with statements() as counted:
        deliver(group=listening, events=events, now=now)

    assert len(counted) == 1 + 30


def test_type_without_a_handler_is_passed_over(listening: Group, now: datetime) -> None:
    tell(ONE)
    unknown = [replace(event, type="nobody.listens.v1") for event in told()]

    outcome = deliver(group=listening, events=unknown, now=now)

    assert outcome == {("nobody.listens.v1", "skipped"): 1}
    assert not Inbox.objects.exists()
    assert not Parked.objects.exists()


def test_a_failing_event_is_parked_with_its_key_and_others_go_on(listening: Group, now: datetime) -> None:
    effects.poisoned.add(POISON)
    tell(ONE, POISON, TWO, POISON, ONE)

    outcome = deliver(group=listening, events=told(), now=now)

    assert outcome == {(TYPE, "handled"): 3, (TYPE, "parked"): 2}
    assert effects.effects(ONE, TWO, POISON) == [(ONE, 1), (TWO, 3), (ONE, 5)]
    assert parked() == [(str(POISON), "waiting", 1), (str(POISON), "waiting", 0)]
    assert "This key is poisoned." in Parked.objects.earliest("id").last_error
    assert Inbox.objects.count() == 3


def test_later_events_of_a_parked_key_wait_without_being_tried(listening: Group, now: datetime) -> None:
    effects.poisoned.add(POISON)
    tell(POISON)
    deliver(group=listening, events=told(), now=now)
    effects.poisoned.clear()
    tell(POISON, ONE, start=2)

    outcome = deliver(group=listening, events=told()[1:], now=now)

    assert outcome == {(TYPE, "handled"): 1, (TYPE, "parked"): 1}
    assert effects.effects(POISON) == []


def test_a_parked_event_that_comes_again_is_parked_once(listening: Group, now: datetime) -> None:
    effects.poisoned.add(POISON)
    tell(POISON)

    for _ in range(3):
        deliver(group=listening, events=told(), now=now)

    assert parked() == [(str(POISON), "waiting", 1)]


def test_a_handled_event_that_comes_again_behind_a_parked_one_stays_handled(listening: Group, now: datetime) -> None:
    tell(POISON)
    deliver(group=listening, events=told(), now=now)
    effects.poisoned.add(POISON)
    tell(POISON, start=2)
    handled, failing = told()
    deliver(group=listening, events=[failing], now=now)

    outcome = deliver(group=listening, events=[handled], now=now)

    assert outcome == {(TYPE, "duplicate"): 1}
    effects.poisoned.clear()
    assert parking.redrive_due(now=now + timedelta(seconds=2)) == 1
    assert effects.effects(POISON) == [(POISON, 1), (POISON, 2)]


@pytest.mark.django_db(transaction=True)
def test_what_another_member_handles_while_it_is_parked_stays_handled(
    listening: Group, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(ONE)
    park_alone = delivery._park_alone

    def park_late(*args: Any) -> Outcome:
        effects.poisoned_at_the_end.clear()
        at_once(partial(deliver, group=listening, events=told(), now=now))
        return park_alone(*args)

    monkeypatch.setattr(delivery, "_park_alone", park_late)
    effects.poisoned_at_the_end.add(ONE)

    deliver(group=listening, events=told(), now=now)

    parking.redrive_due(now=now + timedelta(seconds=2))
    assert effects.effects(ONE) == [(ONE, 1)]
    assert parked() == []


def test_parked_events_are_drained_in_order(listening: Group, now: datetime) -> None:
    effects.poisoned.add(POISON)
    tell(POISON, POISON, POISON)
    deliver(group=listening, events=told(), now=now)
    assert parking.redrive_due(now=now) == 0
    effects.poisoned.clear()

    assert parking.redrive_due(now=now + timedelta(seconds=2)) == 3

    assert effects.effects(POISON) == [(POISON, 1), (POISON, 2), (POISON, 3)]
    assert parked() == []
    assert Inbox.objects.count() == 3


@pytest.mark.parametrize("poisoned", [effects.poisoned, effects.poisoned_at_the_end], ids=["at once", "at the end"])
def test_after_eight_attempts_it_is_a_dead_letter_and_holds_nobody_back(
    listening: Group, poisoned: set[UUID], now: datetime
) -> None:
    poisoned.add(POISON)
    tell(POISON, POISON)
    deliver(group=listening, events=told(), now=now)

    for attempt in range(2, 9):
        parking.redrive_due(now=now + timedelta(days=attempt))

    # The second became the first of its key with the eighth failure, and was tried at once.
    assert parked() == [(str(POISON), "dead", 8), (str(POISON), "waiting", 1)]
    poisoned.clear()
    assert parking.redrive_due(now=now + timedelta(days=30)) == 1
    assert effects.effects(POISON) == [(POISON, 2)]


def test_a_dead_letter_gets_new_attempts(listening: Group, now: datetime) -> None:
    effects.poisoned.add(POISON)
    tell(POISON)
    deliver(group=listening, events=told(), now=now)
    Parked.objects.update(state="dead", attempts=8)
    effects.poisoned.clear()
    assert parking.redrive_due(now=now + timedelta(days=1)) == 0

    assert parking.revive(parked_ids=list(Parked.objects.values_list("id", flat=True)), now=now) == 1

    assert parking.redrive_due(now=now) == 1
    assert effects.effects(POISON) == [(POISON, 1)]


def test_data_that_does_not_fit_its_type_is_dead_at_once(listening: Group, now: datetime) -> None:
    tell(ONE, TWO)
    broken, sound = told()

    outcome = deliver(group=listening, events=[replace(broken, data=b"\xff{"), sound], now=now)

    assert outcome == {(TYPE, "dead"): 1, (TYPE, "handled"): 1}
    assert parked() == [(str(ONE), "dead", 1)]
    assert bytes(Parked.objects.get().value) == b"\xff{"


@pytest.mark.django_db(transaction=True)
def test_one_failing_commit_does_not_take_the_batch_along(listening: Group, now: datetime) -> None:
    # Deferred to the commit: only there does the database refuse it.
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE test_effect ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED")
    tell(ONE)
    tell(TWO)
    tell(ONE, start=2)

    outcome = deliver(group=listening, events=told(), now=now)

    assert outcome == {(TYPE, "handled"): 2, (TYPE, "parked"): 1}
    assert effects.effects(ONE, TWO) == [(ONE, 1), (ONE, 2)]


def test_an_event_published_by_a_handler_names_its_cause(
    listening: Group, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cause,) = tell(ONE)
    seen: list[UUID] = []

    def answer(*, event: object, event_id: UUID) -> None:
        seen.append(event_id)
        publish(action(user_id=TWO, name="Order Completed"))

    monkeypatch.setitem(listening.handlers, TYPE, answer)

    deliver(group=listening, events=told(), now=now)

    assert seen == [cause]
    effect = LoggedEvent.objects.get(key=TWO)
    assert effect.headers["causationid"] == str(cause)
    assert effect.headers["correlationid"] == LoggedEvent.objects.get(id=cause).headers["correlationid"]


def test_a_lock_that_does_not_come_parks_the_event(
    listening: Group, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(ONE)

    def locked_out(*, event: object, event_id: UUID) -> None:
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setitem(listening.handlers, TYPE, locked_out)

    assert deliver(group=listening, events=told(), now=now) == {(TYPE, "parked"): 1}
    assert parked() == [(str(ONE), "waiting", 1)]


@pytest.mark.django_db(transaction=True)
def test_data_that_does_not_fit_does_not_make_the_batch_be_repeated(
    listening: Group, now: datetime, statements: Callable[[], AbstractContextManager[Statements]]
) -> None:
    tell(ONE, TWO, ONE)
    first, broken, last = told()

    with statements() as counted:
        deliver(group=listening, events=[first, replace(broken, data=b"\xff{"), last], now=now)

    # The inbox, two effects, and the parking of the third: nothing twice, no savepoint.
    assert len(counted) == 1 + 2 + 1
    assert effects.effects(ONE, TWO) == [(ONE, 1), (ONE, 3)]
