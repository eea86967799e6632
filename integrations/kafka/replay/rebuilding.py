"""Rebuild: make a consumer's effect anew from the log, to the figure, while live events go on changing it.

A draft is made beside the effect by a consumer of its own, whose inbox says what is in it; only what the real consumer
has handled goes in. At last one snapshot sees log, inboxes, draft and effect at the same instant: what is missing is
added, and what the two differ by is what the effect is wrong by. Additions commute, so that difference is right
whenever it is applied, and nobody is ever locked out.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string

from integrations.kafka import drafts, inbox
from integrations.kafka.delivery import decoded
from integrations.kafka.drafts import Draft
from integrations.kafka.envelope import of_log
from integrations.kafka.errors import NotReplaySafe
from integrations.kafka.groups import Group, group
from integrations.kafka.models import Replay
from integrations.kafka.replay.audit import alone, audited, close, keep, selection_of
from integrations.kafka.replay.pace import Pace
from shop.kernel.clock import utc_now
from shop.kernel.events import Event
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox.log import Selection
from shop.kernel.outbox.partitions import kept_since
from shop.kernel.transactions import open_unit_of_work

SNAPSHOT_PIECE = 500


class Rebuilder(Protocol):
    """An entry of `settings.REBUILDERS`. Every call comes inside a transaction."""

    def add(self, *, draft_id: UUID, events: Sequence[Event]) -> None:
        """Add these events to the draft."""

    def difference(self, *, draft_id: UUID, since: datetime, until: datetime) -> Any:
        """Return what has to be added to the effects of this time to make them the draft's."""

    def apply(self, *, difference: Any) -> int:
        """Add it, and return how many figures were wrong."""

    def forget(self, *, draft_id: UUID) -> None:
        """Throw the draft away."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What is made anew, and by what."""

    rebuilder: Rebuilder
    types: Sequence[str]


def made_anew(*, of: Group, types: Sequence[str]) -> Made:
    """Return what makes the group's effects of these types anew, of all without any; NotReplaySafe names the others."""
    safe: dict[str, str] = settings.REBUILDERS.get(of.name, {})
    heard = [name for name in of.handlers if not types or name in types]
    if unsafe := [name for name in heard if name not in safe]:
        hint = f" Choose with --type: {', '.join(safe)}." if safe else ""
        raise NotReplaySafe(f"{of.name} is not replay_safe for {', '.join(unsafe)}.{hint}")
    paths = {safe[name] for name in heard}
    if len(paths) != 1:
        raise NotReplaySafe(
            f"{of.name} hears none of these types, or several rebuilders make them: choose with --type."
        )
    return Made(rebuilder=import_string(paths.pop())(), types=heard)


def to_draft(*, of: Group, made: Made, selection: Selection) -> int:
    """Count the events that would be counted anew."""
    return drafts.count_not_drafted(_draft(consumer=of.name, types=made.types, selection=selection, name=""))


def rebuild(*, audit: Replay, pace: Pace, progress: Callable[[int], object]) -> None:
    """Make the effect anew. Stopped or killed, it goes on with what is not in the draft yet."""
    (consumer,) = audit.consumers
    selection = selection_of(audit)
    made = made_anew(of=group(consumer), types=selection.types)
    name = drafts.draft_name(consumer=consumer, replay_id=audit.id)
    draft = _draft(consumer=consumer, types=made.types, selection=selection, name=name)
    refusal = f"Another rebuild of {consumer} is running. To go on after it: replay_events --resume {audit.id}"
    # Two that compare before either adds would both add what is missing.
    with audited(audit), alone(f"rebuild {consumer}", refusal=refusal):
        while ids := drafts.not_drafted(draft, after=audit.after, limit=pace.batch):
            with open_unit_of_work():
                audit.delivered += _add(made.rebuilder, draft, audit.id, ids)
                audit.after = ids[-1]
                keep(audit)
            progress(len(ids))
            pace.keep(done=len(ids))
        _finish(audit, made.rebuilder, draft)


def _finish(audit: Replay, rebuilder: Rebuilder, draft: Draft) -> None:
    with _snapshot():
        late = 0
        while ids := drafts.not_drafted(draft, after=None, limit=SNAPSHOT_PIECE):
            late += _add(rebuilder, draft, audit.id, ids)
        # What has been read cannot be dropped before this transaction ends; what was dropped before is missed here.
        if draft.since < kept_since():
            raise NotReplaySafe(f"The log begins on {kept_since():%Y-%m-%d} by now: begin a rebuild of later days.")
        difference = rebuilder.difference(draft_id=audit.id, since=draft.since, until=draft.until)
    with open_unit_of_work():
        audit.delivered += late
        audit.mended = rebuilder.apply(difference=difference)
        rebuilder.forget(draft_id=audit.id)
        drafts.forget_draft(draft)
        close(audit)


def _add(rebuilder: Rebuilder, draft: Draft, draft_id: UUID, ids: Sequence[UUID]) -> int:
    told = [told for chunk in event_log.chunks(Selection(event_ids=tuple(ids)), size=len(ids)) for told in chunk]
    events = [of_log(one) for one in told]
    fresh = inbox.enter(consumer=draft.name, events=events, now=utc_now()).fresh
    rebuilder.add(draft_id=draft_id, events=[decoded(event) for event in events if event.id in fresh])
    return len(fresh)


@contextmanager
def _snapshot() -> Iterator[None]:
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # Short on an idle log, and never a reason to begin again on a long one.
        cursor.execute("SET LOCAL statement_timeout = 0")
        yield


def _draft(*, consumer: str, types: Sequence[str], selection: Selection, name: str) -> Draft:
    if selection.since is None or selection.until is None:
        raise ValueError("A rebuild is of days: it needs both ends.")
    return Draft(consumer=consumer, name=name, types=types, since=selection.since, until=selection.until)
