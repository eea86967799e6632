"""The part of an order's story that events tell: what was told, whether Kafka has it, and what each consumer did."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from integrations.kafka.groups import listeners
from integrations.kafka.standing import Standing, standings
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox.dto import Told
from shop.kernel.outbox.models import PendingEvent
from shop.kernel.stories import Moment, Story, clock_text


def story(*, order_id: UUID, now: datetime) -> Story:  # noqa: ARG001  every story's signature
    """Tell the order's events with their deliveries, and what holds any of them up."""
    events = event_log.of_key(order_id)
    found = standings(event_ids=[event.id for event in events])
    queued = {row.event_id: row for row in PendingEvent.objects.filter(event_id__in=[event.id for event in events])}
    moments: list[Moment] = []
    coming: list[str] = []
    for event in events:
        waiting = queued.get(event.id)
        moments.append(Moment(event.occurred_at, "event", f"{event.type} told ({event.id})"))
        if waiting:
            coming.append(_queued(event, waiting))
        for consumer, standing in _of(event, found):
            moments += _moments(event, consumer, standing)
            coming += _next(event, consumer, standing, is_queued=waiting is not None)
    return Story(moments=tuple(moments), next=tuple(coming))


def _of(event: Told, found: dict[tuple[str, UUID], Standing]) -> Iterator[tuple[str, Standing | None]]:
    for consumer, type_name in listeners():
        if type_name == event.type:
            yield consumer, found.get((consumer, event.id))


def _queued(event: Told, waiting: PendingEvent) -> str:
    if waiting.state == PendingEvent.State.FAILED:
        return (
            f"Kafka refuses {event.type} ({waiting.last_error}): mend it, then Admin > Waiting for Kafka > Send again."
        )
    return f"{event.type} waits for the relay."


def _moments(event: Told, consumer: str, standing: Standing | None) -> Iterator[Moment]:
    if standing is None:
        return
    if standing.parked is None:
        yield Moment(standing.at, "event", f"{event.type} handled by {consumer}")
        return
    reason = standing.parked.last_error.strip().rpartition("\n")[2][:160]
    what = f"{event.type} set aside by {consumer}, now {standing.parked.state}, attempts {standing.parked.attempts}"
    yield Moment(standing.at, "event", f"{what}{f': {reason}' if reason else ''}")


def _next(event: Told, consumer: str, standing: Standing | None, *, is_queued: bool) -> Iterator[str]:
    if standing is None:
        if not is_queued:
            yield (
                f"{consumer} has not handled {event.type} yet. If it never does: "
                f"replay_events --consumer {consumer} --event-id {event.id}"
            )
    elif standing.parked is not None and standing.parked.state == "dead":
        yield (
            f"{event.type} is a dead letter of {consumer}: redrive --id {standing.parked.id} --execute, "
            "or Admin > Dead letters > Dismiss."
        )
    elif standing.parked is not None and standing.parked.state == "waiting":
        yield f"{consumer} tries {event.type} again at {clock_text(standing.parked.next_attempt_at)}."
