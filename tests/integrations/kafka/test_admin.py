from datetime import datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from integrations.kafka.admin import events_panel
from integrations.kafka.delivery import deliver
from integrations.kafka.groups import Group
from integrations.kafka.housekeeping import count_parked
from integrations.kafka.models import Parked, Replay
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.outbox import queue
from shop.kernel.outbox.models import LoggedEvent, PendingEvent
from shop.kernel.panels import Link
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import tell
from tests.integrations.kafka.replay.commands import run
from tests.integrations.kafka.test_delivery import told

KEY = new_id()


@pytest.fixture
def parked(listening: Group, now: datetime) -> Parked:
    effects.poisoned.add(KEY)
    tell(KEY)
    deliver(group=listening, events=told(), now=now)
    return Parked.objects.get()


@pytest.mark.parametrize(
    "page", ["outbox_loggedevent", "outbox_pendingevent", "kafka_parked", "kafka_replay", "kafka_relay"]
)
def test_lists_open(support: Client, parked: Parked, page: str) -> None:
    Replay.objects.create(
        who="a", reason="b", mode="heal", consumers=["c"], selection={}, expected=1, started_at=utc_now()
    )

    assert support.get(reverse(f"admin:{page}_changelist")).status_code == 200


def test_an_event_shows_what_became_of_it(support: Client, parked: Parked, listening: Group) -> None:
    page = support.get(reverse("admin:outbox_loggedevent_change", args=[parked.event_id])).content.decode()

    assert f"{listening.name}: waiting" in page
    assert "Cart Viewed" in page


def test_history_cannot_be_edited(support: Client, parked: Parked) -> None:
    for page, row_id in (("outbox_loggedevent", parked.event_id), ("kafka_parked", parked.id)):
        assert support.post(reverse(f"admin:{page}_change", args=[row_id]), {"type": "x"}).status_code == 403
        assert support.post(reverse(f"admin:{page}_delete", args=[row_id]), {"post": "yes"}).status_code == 403

    assert LoggedEvent.objects.get().type == "analytics.events.v1"
    assert Parked.objects.exists()


@pytest.mark.parametrize(
    ("text", "hits"), [(str(KEY), 1), (str(new_id()), 0), ("not an id", 0)], ids=["ours", "unknown", "no id"]
)
def test_events_are_found_by_whole_ids(support: Client, parked: Parked, text: str, hits: int) -> None:
    page = support.get(reverse("admin:outbox_loggedevent_changelist"), {"q": text})

    assert len(page.context["cl"].result_list) == hits


def test_a_dead_letter_is_revived_from_its_list(support: Client, parked: Parked) -> None:
    Parked.objects.update(state="dead", attempts=8)

    answer = support.post(
        reverse("admin:kafka_parked_changelist"), {"action": "redrive", "_selected_action": [parked.id]}
    )

    assert answer.status_code == 302
    parked.refresh_from_db()
    assert (parked.state, parked.attempts) == ("waiting", 0)


def test_a_dead_letter_nobody_needs_is_dismissed_and_can_be_revived(
    support: Client, parked: Parked, listening: Group, now: datetime
) -> None:
    there = reverse("admin:kafka_parked_changelist")
    support.post(there, {"action": "dismiss", "_selected_action": [parked.id]})
    assert Parked.objects.get().state == "waiting"
    Parked.objects.update(state="dead", attempts=8)

    support.post(there, {"action": "dismiss", "_selected_action": [parked.id]})

    assert Parked.objects.get().state == "dismissed"
    assert LogEntry.objects.get().change_message == "Dismissed."
    assert set(count_parked().values()) == {0}
    assert "0 dead letters." in run("list_dead_letters")
    deliver(group=listening, events=told(), now=now)
    assert Parked.objects.get().state == "dismissed"

    support.post(there, {"action": "redrive", "_selected_action": [parked.id]})

    assert Parked.objects.get().state == "waiting"


def test_a_refused_event_is_tried_again_from_its_list(support: Client, listening: Group) -> None:
    tell(KEY)
    position = PendingEvent.objects.get().position
    queue.refuse(position=position, reason="too large")

    support.post(reverse("admin:outbox_pendingevent_changelist"), {"action": "retry", "_selected_action": [position]})

    assert PendingEvent.objects.get().state == "pending"


def test_the_panel_shows_an_orders_events_in_order(listening: Group, now: datetime) -> None:
    first, second = tell(KEY, KEY)
    deliver(group=listening, events=told()[:1], now=now)
    PendingEvent.objects.filter(event_id=first).delete()

    panel = events_panel(order_id=KEY)

    assert panel.columns == ("Told", "Event", "No.", "Kafka", "Consumers")
    assert [row.cells[2:] for row in panel.rows] == [
        ("1", "sent", f"{listening.name}: handled"),
        ("2", "queued", f"{listening.name}: not yet"),
    ]
    link = panel.rows[1].cells[1]
    assert isinstance(link, Link)
    assert str(second) in link.url


def test_an_order_without_events_has_an_empty_panel(db: None) -> None:
    assert events_panel(order_id=new_id()).rows == ()
