"""One service call, one transaction: it commits whole, with what it tells, or it never was."""

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from shop.kernel import transactions
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import Aggregate, LoggedEvent
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import (
    TransactionMisuse,
    UnitOfWork,
    current_unit_of_work,
    forbid_unit_of_work,
    joins_unit_of_work,
    open_unit_of_work,
    unit_of_work,
)
from tests.shop.kernel.outbox.factories import action

pytestmark = pytest.mark.django_db(transaction=True)


class Refused(Exception):
    """What a service utters in these tests."""


def write(name: str) -> None:
    Aggregate.objects.create(aggregate=name, key=new_id(), sequence=1)


def written() -> set[str]:
    return set(Aggregate.objects.exclude(aggregate="shopper").values_list("aggregate", flat=True))


@joins_unit_of_work
def joining(*, name: str) -> str:
    """Write as part of the caller's work."""
    write(name)
    return name


@unit_of_work
def own(*, name: str, refused: bool = False) -> str:
    """Write in a transaction of its own, with a joining service, and tell it."""
    publish(action(user_id=new_id()))
    joining(name=name)
    if refused:
        raise Refused
    return name


def test_a_service_commits_its_work_and_what_it_tells() -> None:
    assert own(name="tea") == "tea"

    assert written() == {"tea"}
    assert LoggedEvent.objects.count() == 1
    assert not connection.in_atomic_block


def test_a_refusal_leaves_nothing() -> None:
    with pytest.raises(Refused):
        own(name="tea", refused=True)

    assert written() == set()
    assert not LoggedEvent.objects.exists()
    assert own(name="milk") == "milk"


def test_a_service_does_not_begin_inside_another() -> None:
    with open_unit_of_work(), pytest.raises(TransactionMisuse, match="already open"):
        own(name="tea")

    assert written() == set()


def test_a_service_does_not_hide_inside_a_plain_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        own(name="tea")

    assert written() == set()


def test_a_joining_service_needs_somebody_to_join() -> None:
    with pytest.raises(TransactionMisuse, match="none is open"):
        joining(name="tea")

    assert written() == set()


def test_there_is_no_unit_of_work_outside_one() -> None:
    with pytest.raises(TransactionMisuse):
        current_unit_of_work()


def test_the_network_is_not_asked_inside() -> None:
    forbid_unit_of_work("Asking the gateway")

    with open_unit_of_work(), pytest.raises(TransactionMisuse, match="Asking the gateway must not happen"):
        forbid_unit_of_work("Asking the gateway")


def test_a_savepoint_takes_back_its_own_work_and_words_alone() -> None:
    def refuse(unit: UnitOfWork) -> None:
        with unit.savepoint():
            joining(name="inside")
            publish(action(user_id=new_id(), name="Product Viewed"))
            raise Refused

    with open_unit_of_work() as unit:
        joining(name="before")
        publish(action(user_id=new_id(), name="Cart Viewed"))
        with pytest.raises(Refused):
            refuse(unit)
        with unit.savepoint():
            joining(name="after")

    assert written() == {"before", "after"}
    assert [event.payload["name"] for event in LoggedEvent.objects.all()] == ["Cart Viewed"]


def test_what_is_gathered_is_done_once_at_the_end_and_without_what_was_taken_back() -> None:
    finished: list[list[str]] = []

    def finish(names: list[str]) -> None:
        finished.append(list(names))
        for name in names:
            write(name)

    def gather_and_refuse(unit: UnitOfWork) -> None:
        with unit.savepoint():
            unit.gather(finish, "inside")
            unit.gather(never, "inside")
            raise Refused

    def never(names: list[str]) -> None:
        raise AssertionError(names)

    with open_unit_of_work() as unit:
        unit.gather(finish, "before")
        with pytest.raises(Refused):
            gather_and_refuse(unit)
        unit.gather(finish, "after")
        assert finished == []

    assert finished == [["before", "after"]]
    assert written() == {"before", "after"}


def test_what_fails_at_the_end_fails_the_whole() -> None:
    def refuse(_: list[str]) -> None:
        raise Refused

    @unit_of_work
    def gathering() -> None:
        joining(name="tea")
        current_unit_of_work().gather(refuse, "x")

    with pytest.raises(Refused):
        gathering()

    assert written() == set()


def test_without_an_outbox_nothing_is_told_and_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "_write_outgoing", None)

    with pytest.raises(TransactionMisuse, match="No outbox"):
        own(name="tea")
    with open_unit_of_work():
        joining(name="silent")

    assert written() == {"silent"}


def test_a_writer_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[transactions.Outgoing] = []
    monkeypatch.setattr(transactions, "_write_outgoing", transactions._write_outgoing)
    transactions.writes_outgoing_events(told.extend)

    own(name="tea")

    assert [type(event).__name__ for event, _ in told] == ["UserAction"]
    assert not LoggedEvent.objects.exists()


@pytest.fixture(autouse=True)
def _no_unit_is_left_open() -> Iterator[None]:
    yield
    with pytest.raises(TransactionMisuse):
        current_unit_of_work()
