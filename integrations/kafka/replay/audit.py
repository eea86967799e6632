"""Who replays what, and why: a row that is there before the first event is touched, and where a replay goes on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from django.db import Error, connection

from integrations.kafka.errors import CannotResume
from integrations.kafka.models import Replay
from integrations.kafka.replay.pace import Stopped
from shop.kernel.clock import utc_now
from shop.kernel.outbox.log import Selection

log = structlog.get_logger(__name__)

RUNNING, DONE = "running", "done"


class Mode(StrEnum):
    """What a replay does with the events it is given."""

    HEAL = "heal"
    DEAD = "dead"
    REBUILD = "rebuild"
    RETELL = "retell"


@dataclass(frozen=True, kw_only=True)
class ReplayRequest:
    """What somebody wants replayed, for whom, and why.

    `consumers` are the groups that handle the events, or, in mode `retell`, the one outside the shop that hears them.
    `effects` are what handling them may do outside the shop.
    """

    mode: Mode
    selection: Selection
    consumers: Sequence[str]
    who: str
    reason: str
    expected: int
    effects: Sequence[str] = ()


def begin(wanted: ReplayRequest) -> Replay:
    """Write the audit row of a replay that is about to begin."""
    return Replay.objects.create(
        mode=wanted.mode.value,
        selection=_described(wanted.selection),
        consumers=list(wanted.consumers),
        who=wanted.who,
        reason=wanted.reason,
        expected=wanted.expected,
        effects=list(wanted.effects),
        started_at=utc_now(),
    )


def unfinished(*, replay_id: UUID) -> Replay:
    """Return the audit row of a replay that can go on; CannotResume when there is none, or nothing is left to do."""
    audit = Replay.objects.filter(id=replay_id).first()
    if audit is None:
        raise CannotResume(f"There is no replay {replay_id}.")
    if audit.outcome == DONE:
        raise CannotResume(f"Replay {replay_id} is done: there is nothing to go on with.")
    return audit


def selection_of(audit: Replay) -> Selection:
    """Return what the replay selects."""
    read: dict[str, Callable[[Any], Any]] = {
        "event_ids": lambda texts: tuple(UUID(text) for text in texts),
        "types": tuple,
        "key": UUID,
        "since": datetime.fromisoformat,
        "until": datetime.fromisoformat,
    }
    return Selection(**{name: read.get(name, str)(value) for name, value in audit.selection.items()})


@contextmanager
def audited(audit: Replay) -> Iterator[None]:
    """Keep what becomes of the enclosed replay in its row; CannotResume while another process is at it.

    A process that is killed leaves the row `running`, and its lock goes with its connection: the replay can go on.
    """
    with alone(f"replay {audit.id}", refusal=f"Replay {audit.id} is running in another process."):
        Replay.objects.filter(id=audit.id).update(outcome=RUNNING, finished_at=None)
        log.info("replay.started", replay_id=str(audit.id), mode=audit.mode, who=audit.who, expected=audit.expected)
        try:
            yield
        except Stopped:
            _end(audit, outcome="stopped")
            raise
        except BaseException as error:
            # While the database is away the row stays `running`, as after a kill: it can go on all the same.
            with suppress(Error):
                _end(audit, outcome=f"interrupted: {type(error).__name__}")
            raise
        _end(audit, outcome=DONE)


@contextmanager
def alone(name: str, *, refusal: str) -> Iterator[None]:
    """Hold the lock of this name during the enclosed work; CannotResume, with the refusal, while somebody else does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [name])
        ((locked,),) = cursor.fetchall()
    if not locked:
        raise CannotResume(refusal)
    try:
        yield
    finally:
        # The lock goes with the connection, if that is gone.
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])


def keep(audit: Replay) -> None:
    """Keep how far the replay has come."""
    audit.save(update_fields=["delivered", "repeated", "parked", "after"])


def close(audit: Replay, *, outcome: str = DONE) -> None:
    """Say in the row how the replay ended; with the last effect, where one transaction holds both."""
    audit.outcome, audit.finished_at = outcome, utc_now()
    audit.save(update_fields=["delivered", "repeated", "parked", "mended", "after", "outcome", "finished_at"])


def _end(audit: Replay, *, outcome: str) -> None:
    close(audit, outcome=outcome)
    log.info("replay.ended", replay_id=str(audit.id), outcome=outcome, delivered=audit.delivered)


def _described(selection: Selection) -> dict[str, Any]:
    return {name: _text(value) for name, value in asdict(selection).items() if value}


def _text(value: Any) -> Any:
    if isinstance(value, tuple):
        return [str(part) for part in value]
    return value.isoformat() if isinstance(value, datetime) else str(value)
