"""Events for support staff: the log, the queue, what was set aside, and who replayed what. Nothing is edited."""

from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from unfold.decorators import action, display

from integrations.kafka import parking
from integrations.kafka.groups import listeners
from integrations.kafka.models import Parked, Relay, Replay
from integrations.kafka.standing import standings
from integrations.kafka.topics import declared_topics
from shop.kernel.admin import LongList, ReadOnlyAdmin, filter_by, instant_text
from shop.kernel.clock import utc_now
from shop.kernel.ids import as_uuid
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox import queue
from shop.kernel.outbox.models import LoggedEvent, PendingEvent
from shop.kernel.panels import Link, Panel, Row


@admin.register(LoggedEvent)
class LoggedEventAdmin(LongList, ReadOnlyAdmin):
    """The immutable log."""

    list_display: ClassVar = ["occurred_at", "type", "key", "sequence", "id"]
    list_filter: ClassVar = [filter_by("topic", words=declared_topics)]
    search_fields: ClassVar = ["id", "key"]
    search_help_text = "An event's id, or the id of an order or a shopper"
    fields: ClassVar = [
        "id", "type", "topic", "aggregate", "key", "sequence", "occurred_at", "payload", "headers", "deliveries",
    ]  # fmt: skip
    readonly_fields: ClassVar = fields

    def found(self, rows: QuerySet[LoggedEvent], text: str) -> QuerySet[LoggedEvent]:
        """Find by whole ids only: both are indexed, and the log is long."""
        wanted = as_uuid(text)
        return rows.filter(id=wanted) | rows.filter(key=wanted) if wanted else rows.none()

    @display(description="Deliveries")
    def deliveries(self, event: LoggedEvent) -> str:
        """Show what each listening consumer has done with the event."""
        return _deliveries([event.id], types={event.id: event.type})[event.id]


@admin.register(PendingEvent)
class PendingEventAdmin(LongList, ReadOnlyAdmin):
    """What Kafka has not acknowledged."""

    list_display: ClassVar = [
        "position",
        "event_id",
        "key",
        "shard",
        "state",
        "attempts",
        "replay_target",
        "last_error",
    ]
    list_filter: ClassVar = ["state"]
    ordering: ClassVar = ["position"]
    actions: ClassVar = ["retry"]

    @action(description="Send again what Kafka refused", permissions=["act"])
    def retry(self, request: HttpRequest, queryset: QuerySet[PendingEvent]) -> None:
        """Put the refused ones among the chosen back in the queue, at their old places."""
        count = queue.retry_refused(positions=list(queryset.values_list("position", flat=True)))
        self.message_user(request, f"{count} events are tried again.", messages.SUCCESS)


@admin.register(Parked)
class ParkedAdmin(LongList, ReadOnlyAdmin):
    """Events that consumers could not handle."""

    list_display: ClassVar = [
        "parked_at", "consumer", "type", "key", "show_state", "attempts", "next_attempt_at", "reason",
    ]  # fmt: skip
    list_filter: ClassVar = ["state", "consumer", "type"]
    search_fields: ClassVar = ["event_id", "key"]
    fields: ClassVar = [
        "consumer", "event_id", "type", "key", "topic", "state", "attempts", "next_attempt_at", "parked_at",
        "last_error", "content", "headers",
    ]  # fmt: skip
    readonly_fields: ClassVar = fields
    actions: ClassVar = ["redrive", "dismiss"]

    def found(self, rows: QuerySet[Parked], text: str) -> QuerySet[Parked]:
        """Find by whole ids."""
        wanted = as_uuid(text)
        return rows.filter(event_id=wanted) | rows.filter(key=wanted) if wanted else rows.none()

    @display(description="State", ordering="state", label={"dead": "danger", "waiting": "warning", "dismissed": "info"})
    def show_state(self, parked: Parked) -> str:
        """Show the state in its colour."""
        return parked.state

    @display(description="Reason")
    def reason(self, parked: Parked) -> str:
        """Show the last line of the error, or whom it waits for."""
        return parked.last_error.strip().rpartition("\n")[2][:120] or "waits behind an earlier event of its key"

    @display(description="Content")
    def content(self, parked: Parked) -> str:
        """Show the data as it came, readable or not."""
        return bytes(parked.value).decode(errors="backslashreplace")

    @action(description="Redrive: give dead letters new attempts", permissions=["act"])
    def redrive(self, request: HttpRequest, queryset: QuerySet[Parked]) -> None:
        """Revive what is dead or dismissed among the chosen; the clock tries it within seconds."""
        count = parking.revive(parked_ids=list(queryset.values_list("id", flat=True)), now=utc_now())
        self.message_user(request, f"{count} dead letters are tried again within seconds.", messages.SUCCESS)

    @action(description="Dismiss: nobody needs these dead letters", permissions=["act"])
    def dismiss(self, request: HttpRequest, queryset: QuerySet[Parked]) -> None:
        """Count the dead ones among the chosen no more, and write down who said so."""
        dismissed = set(parking.dismiss(parked_ids=list(queryset.values_list("id", flat=True))))
        for parked in queryset.defer("value", "headers"):
            if parked.pk in dismissed:
                self.log_change(request, parked, "Dismissed.")
        self.message_user(request, f"{len(dismissed)} dead letters are dismissed.", messages.SUCCESS)


@admin.register(Replay)
class ReplayAdmin(LongList, ReadOnlyAdmin):
    """Who sent what again."""

    list_display: ClassVar = [
        "started_at", "who", "reason", "mode", "consumers", "expected", "delivered", "parked", "outcome",
    ]  # fmt: skip


@admin.register(Relay)
class RelayAdmin(LongList, ReadOnlyAdmin):
    """The relays that are alive."""

    list_display: ClassVar = ["host", "pid", "started_at", "expires_at", "token"]
    ordering: ClassVar = ["started_at"]


def events_panel(*, order_id: UUID) -> Panel:
    """Describe the events of an order: what was told, whether Kafka has it, and what each consumer did with it."""
    events = event_log.of_key(order_id)
    ids = [event.id for event in events]
    queued = set(PendingEvent.objects.filter(event_id__in=ids).values_list("event_id", flat=True))
    deliveries = _deliveries(ids, types={event.id: event.type for event in events})
    rows = tuple(
        Row(
            cells=(
                instant_text(event.occurred_at),
                Link(text=event.type, url=reverse("admin:outbox_loggedevent_change", args=[event.id])),
                str(event.sequence),
                "queued" if event.id in queued else "sent",
                deliveries[event.id],
            )
        )
        for event in events
    )
    return Panel(title="Events", columns=("Told", "Event", "No.", "Kafka", "Consumers"), rows=rows)


def _deliveries(event_ids: Iterable[UUID], *, types: dict[UUID, str]) -> dict[UUID, str]:
    """Return for each event a line such as `orders: handled, notifications: dead`."""
    ids = list(event_ids)
    found = standings(event_ids=ids)

    def state(consumer: str, event_id: UUID) -> str:
        standing = found.get((consumer, event_id))
        return standing.word if standing else "not yet"

    return {
        event_id: ", ".join(
            f"{consumer}: {state(consumer, event_id)}"
            for consumer, type_name in listeners()
            if type_name == types[event_id]
        )
        for event_id in ids
    }
