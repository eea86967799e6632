"""One service call, one database transaction: everything in it commits together or not at all."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import transaction

from shop.kernel.errors import Refusal
from shop.kernel.events import Event
from shop.kernel.tracing import Trace

# An event and the action it is part of, as both were when it was told: a unit may serve several actions.
Outgoing = tuple[Event, Trace]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class TransactionMisuse(RuntimeError):
    """A service was called inside a transaction it must not share, or outside one it needs. A defect."""


class UnitOfWork:
    """The transaction under way, the events it will tell when it commits, and what it will do last of all."""

    def __init__(self) -> None:
        self.outgoing: list[Outgoing] = []
        self._gathered: dict[Callable[[list[Any]], None], list[Any]] = {}

    def gather(self, finish: Callable[[list[T]], None], item: T) -> None:
        """Call `finish` just before the commit, once, with all items gathered for it: one statement for many calls."""
        self._gathered.setdefault(finish, []).append(item)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo the enclosed work, and forget its events, when it raises; the rest of the unit goes on."""
        told_so_far = len(self.outgoing)
        gathered_so_far = {finish: len(items) for finish, items in self._gathered.items()}
        try:
            with transaction.atomic():
                yield
        except BaseException:
            del self.outgoing[told_so_far:]
            for finish, items in self._gathered.items():
                del items[gathered_so_far.get(finish, 0) :]
            raise

    def finish(self) -> None:
        """Do what was left for the end, then write the events, which also come from there."""
        for finish, items in self._gathered.items():
            if items:
                finish(items)
        if self.outgoing:
            if _write_outgoing is None:
                raise TransactionMisuse("No outbox is installed to write events to.")
            _write_outgoing(self.outgoing)


class LastCommit:
    """The commit of the last unit of work of a block, put off so that something can be written with it."""

    def __init__(self) -> None:
        self._transaction = ExitStack()
        self.is_waiting = False

    def put_off(self, transaction_: ExitStack) -> None:
        """Keep the transaction of a unit that has done its work."""
        self._transaction, self.is_waiting = transaction_, True

    def commit(self) -> None:
        """Commit what waits, if anything does."""
        if self.is_waiting:
            self.is_waiting = False
            self._transaction.close()

    def roll_back(self) -> None:
        """Undo what waits, if anything does."""
        if self.is_waiting:
            transaction.set_rollback(True)
            self.commit()


_current: ContextVar[UnitOfWork | None] = ContextVar("unit_of_work", default=None)
_last_commit: ContextVar[LastCommit | None] = ContextVar("last_commit", default=None)
_write_outgoing: Callable[[list[Outgoing]], None] | None = None


def writes_outgoing_events(writer: Callable[[list[Outgoing]], None]) -> Callable[[list[Outgoing]], None]:
    """Name the function that stores a unit's events just before it commits (the outbox does)."""
    global _write_outgoing  # noqa: PLW0603  one writer a process, named once at start
    _write_outgoing = writer
    return writer


def current_unit_of_work() -> UnitOfWork:
    """Return the unit of work under way; TransactionMisuse when there is none."""
    unit = _current.get()
    if unit is None:
        raise TransactionMisuse("This needs a unit of work, and none is open.")
    return unit


def forbid_unit_of_work(doing: str) -> None:
    """Refuse to do what may take long (a network call) while a transaction holds locks; a commit put off is made."""
    if _current.get() is not None:
        raise TransactionMisuse(f"{doing} must not happen inside a unit of work.")
    _commit_what_waits()


def _commit_what_waits() -> None:
    last = _last_commit.get()
    if last is not None:
        last.commit()


@contextmanager
def last_commit_put_off() -> Iterator[LastCommit]:
    """Put each unit's commit off until the next one begins, the network is asked, or the block ends.

    So the block can write something that commits with its last unit, or not at all. A refusal commits what was done
    before it, as it would without the block; anything else that is raised undoes what waits.
    """
    last = LastCommit()
    token = _last_commit.set(last)
    try:
        yield last
    except Refusal:
        last.commit()
        raise
    except BaseException:
        last.roll_back()
        raise
    else:
        last.commit()
    finally:
        _last_commit.reset(token)


@contextmanager
def open_unit_of_work() -> Iterator[UnitOfWork]:
    """Open the transaction, run the enclosed work, write its events, commit."""
    if _current.get() is not None:
        raise TransactionMisuse("A unit of work is already open; this service begins its own.")
    _commit_what_waits()
    unit, last = UnitOfWork(), _last_commit.get()
    token = _current.set(unit)
    try:
        with ExitStack() as opened:
            opened.enter_context(transaction.atomic(durable=True))
            yield unit
            unit.finish()
            if last is not None:
                last.put_off(opened.pop_all())
    finally:
        _current.reset(token)


def unit_of_work(service: Callable[P, R]) -> Callable[P, R]:
    """Give the service a transaction of its own; it must not be called inside another."""

    @wraps(service)
    def in_a_unit_of_work(*args: P.args, **kwargs: P.kwargs) -> R:
        with open_unit_of_work():
            return service(*args, **kwargs)

    return in_a_unit_of_work


def joins_unit_of_work(service: Callable[P, R]) -> Callable[P, R]:
    """Require the caller's transaction: the service's changes commit with the caller's or not at all."""

    @wraps(service)
    def inside_the_callers(*args: P.args, **kwargs: P.kwargs) -> R:
        current_unit_of_work()
        return service(*args, **kwargs)

    return inside_the_callers
