"""The last commit of a block, put off so that something can be written with it."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import connection, transaction
from django.utils import timezone

from shop.kernel.clockwatch.models import Watch
from shop.kernel.errors import Conflict
from shop.kernel.transactions import (
    TransactionMisuse,
    current_unit_of_work,
    forbid_unit_of_work,
    last_commit_put_off,
    unit_of_work,
)

pytestmark = pytest.mark.django_db(transaction=True)


def written(what: str) -> None:
    Watch(what=what, state="steady", seen_at=timezone.now(), boot_id="", up_seconds=0).save(force_insert=True)


@unit_of_work
def serve(what: str) -> None:
    written(what)


@unit_of_work
def refuse(what: str) -> None:
    written(what)
    raise Conflict("No.")


def committed() -> set[str]:
    """Return what another connection sees."""

    def look() -> set[str]:
        try:
            return set(Watch.objects.values_list("what", flat=True))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        return other.submit(look).result()


def test_what_is_written_in_the_block_commits_with_the_unit() -> None:
    with last_commit_put_off():
        serve("effect")
        assert committed() == set()
        written("beside it")

    assert committed() == {"effect", "beside it"}
    assert not connection.in_atomic_block


def test_rolled_back_they_are_gone_together() -> None:
    with last_commit_put_off() as last:
        serve("effect")
        written("beside it")
        last.roll_back()

    assert committed() == set()
    assert not connection.in_atomic_block


def test_a_second_unit_commits_the_first() -> None:
    with last_commit_put_off() as last:
        serve("first")
        serve("second")
        assert committed() == {"first"}
        last.roll_back()

    assert committed() == {"first"}


def test_the_network_is_asked_after_the_commit() -> None:
    with last_commit_put_off() as last:
        serve("effect")
        forbid_unit_of_work("Asking a gateway")

        assert committed() == {"effect"}
        assert not last.is_waiting
        assert not connection.in_atomic_block


def test_a_refusal_keeps_what_was_done_before_it() -> None:
    def stale() -> None:
        try:
            refuse("undone")
        except Conflict:
            serve("given back")
            raise

    with pytest.raises(Conflict), last_commit_put_off():
        stale()

    assert committed() == {"given back"}


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_defect_undoes_what_waits(kind: type[BaseException]) -> None:
    def defective() -> None:
        with last_commit_put_off():
            serve("effect")
            raise kind

    with pytest.raises(kind):
        defective()

    assert committed() == set()
    assert not connection.in_atomic_block


def test_what_was_to_follow_the_commit_follows_it() -> None:
    done: list[str] = []

    @unit_of_work
    def serve_and_wake() -> None:
        transaction.on_commit(partial(done.append, "woken"))

    with last_commit_put_off():
        serve_and_wake()
        assert done == []

    assert done == ["woken"]


def test_nothing_may_be_told_while_the_commit_waits() -> None:
    with last_commit_put_off():
        serve("effect")
        with pytest.raises(TransactionMisuse):
            current_unit_of_work()


def test_without_a_block_every_unit_commits_by_itself() -> None:
    serve("effect")

    assert committed() == {"effect"}


def test_a_block_without_units_does_nothing() -> None:
    with last_commit_put_off() as last:
        last.commit()
        last.roll_back()

    assert not last.is_waiting
