"""Events on their topics once more, for one consumer outside the shop."""

import threading
from collections.abc import Iterator
from uuid import UUID

import pytest
from django.core.management import CommandError
from prometheus_client import REGISTRY

from integrations.kafka.client import Received, read_back
from integrations.kafka.groups import Group
from integrations.kafka.models import Replay
from integrations.kafka.replay.audit import Mode, ReplayRequest, begin
from integrations.kafka.replay.pace import Pace, Stopped
from integrations.kafka.replay.running import carry_out
from integrations.kafka.republish import republish_unheard
from shop.kernel.ids import new_id
from shop.kernel.outbox import queue
from shop.kernel.outbox.dto import Depth
from shop.kernel.outbox.log import Selection
from shop.kernel.outbox.models import PendingEvent
from tests.integrations.kafka import effects
from tests.integrations.kafka.conftest import consuming, relaying, tell, wait_until
from tests.integrations.kafka.replay.commands import run

pytestmark = pytest.mark.django_db(transaction=True)

TO_WAREHOUSE = ["--target", "warehouse", "--key"]


def on_the_wire(*event_ids: UUID) -> Iterator[Received]:
    wanted = {str(event_id).encode() for event_id in event_ids}
    for record in read_back(topics=["analytics.events"]):
        # Where tests share a broker, some have sent what nobody can read.
        if record.headers.get("ce_id") in wanted:
            yield record


def test_they_are_marked_for_their_target_and_the_shops_consumers_pass_them_by(listening: Group) -> None:
    key = new_id()
    with relaying(), consuming(listening):
        first, second = tell(key, key)
        wait_until(lambda: len(effects.effects(key)) == 2)

        run("replay_events", *TO_WAREHOUSE, str(key), "--execute", "--expect", "2", "--reason", "its disk was lost")

        def passed_by() -> float:
            labels = {"group": listening.name, "type": "analytics.events.v1", "outcome": "not_for_us"}
            return REGISTRY.get_sample_value("shop_consumer_events_total", labels) or 0.0

        # More than once each, where the group has changed hands.
        wait_until(lambda: passed_by() >= 2)
        tell(key, start=3)
        wait_until(lambda: len(effects.effects(key)) == 3)

    audit = Replay.objects.get()
    headers = [record.headers for record in on_the_wire(first, second)]
    assert [(at.get("ce_replaytarget"), at.get("ce_replayid")) for at in headers] == [
        (None, None), (None, None), *[(b"warehouse", str(audit.id).encode())] * 2,
    ]  # fmt: skip
    assert (audit.mode, audit.consumers, audit.delivered, audit.outcome) == ("retell", ["warehouse"], 2, "done")
    assert not PendingEvent.objects.exists()


def test_a_consumer_that_has_not_heard_them_passes_them_by_as_well(listening: Group) -> None:
    key = new_id()
    tell(key)
    PendingEvent.objects.all().delete()
    run("replay_events", *TO_WAREHOUSE, str(key), "--execute", "--expect", "1", "--reason", "r")

    with relaying(), consuming(listening):
        tell(key, start=2)
        wait_until(lambda: effects.effects(key))

    assert effects.effects(key) == [(key, 2)]


def test_interrupted_it_queues_nothing_twice(listening: Group) -> None:
    tell(*[new_id()] * 10)
    PendingEvent.objects.all().delete()
    wanted = ReplayRequest(
        mode=Mode.RETELL, selection=Selection(), consumers=["warehouse"], who="test", reason="test", expected=10
    )
    audit, stop = begin(wanted), threading.Event()

    with pytest.raises(Stopped):
        carry_out(audit=audit, pace=Pace(per_second=40, stop=stop, say=print), progress=lambda _: stop.set())
    assert PendingEvent.objects.count() == 4
    assert Replay.objects.get().outcome == "stopped"

    assert "Queued 10 for the relay" in run("replay_events", "--resume", str(audit.id))
    assert PendingEvent.objects.values("event_id").distinct().count() == PendingEvent.objects.count() == 10


def test_what_is_retold_is_not_late_and_does_not_stand_in_for_a_first_time(listening: Group) -> None:
    (event_id,) = tell(new_id())
    PendingEvent.objects.all().delete()
    run("replay_events", "--target", "warehouse", "--execute", "--expect", "1", "--reason", "r")

    assert queue.depth() == Depth(pending=1, failed=0, oldest_at=None)
    assert republish_unheard(seconds=3_600) == 1
    assert PendingEvent.objects.filter(event_id=event_id, replay_target="").count() == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--target", "Data Warehouse"], "a name of small letters"),
        (["--target", "orders", "--consumer", "orders"], "either --target or --consumer"),
        (["--target", "warehouse", "--dead"], "Choose one of --target and --dead"),
    ],
)
def test_what_is_no_target_is_refused(listening: Group, arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run("replay_events", *arguments)


def test_one_of_the_shops_own_is_no_target(listening: Group) -> None:
    with pytest.raises(CommandError, match=f"--consumer {listening.name} delivers to it directly"):
        run("replay_events", "--target", listening.name)
