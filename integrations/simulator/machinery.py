"""The shop's own processes: callbacks taken in, tasks woken or ticking, the relay, the consumers."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from celery import current_app

from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import Arrived, of_log
from integrations.kafka.groups import group, group_names
from integrations.simulator import turns
from integrations.simulator.acts import Act, Ended, World
from integrations.simulator.books import Callback
from payments import services as payments
from shop.kernel.outbox import queue
from shop.kernel.outbox.services import SHARDS

# Of what the clock wakes. Left out: mail servers and webhooks, old keys and sessions, tables made and dropped.
_SIMULATED = ("checkout.", "payments.", "integrations.kafka.tasks.redrive_parked")
_MOST_TRIES = 6


class Machinery:
    """Everything of the shop that runs without a shopper waiting for it."""

    def __init__(self, world: World) -> None:
        current_app.autodiscover_tasks(force=True)
        self._world = world
        tasks = {entry["task"] for entry in current_app.conf.beat_schedule.values()}
        self.clock = sorted(task for task in tasks if task.startswith(_SIMULATED))
        self.wake_ups: list[tuple[str, Mapping[str, Any]]] = []
        self.topics: dict[str, list[Arrived]] = defaultdict(list)
        self._offsets: dict[tuple[str, str], int] = defaultdict(int)
        self._at_work: set[tuple[str, str]] = set()
        self._relays = 0

    def hears(self, task: str, primitives: Mapping[str, Any]) -> None:
        """Take a wake-up, which may be lost."""
        lost = self._world.dice.random() < self._world.faults.wake_up_lost
        if not lost and task.startswith(_SIMULATED):
            self.wake_ups.append((task, primitives))

    def acts(self) -> Iterator[Act]:
        """Yield what may run now."""
        yield from self.arrived()
        for task in self.clock:
            yield Act(0.15, f"{task} ticks", partial(self.tick, task))
        if self._relays < 2:  # noqa: PLR2004  a second one may have taken over while the first hangs
            yield Act(1.0 if not self._relays else 0.05, "the relay sends", self.relay)
        for name, topic in self.backlog():
            yield Act(0.5, f"{name} consumes {topic}", partial(self.consume, name, topic))

    def arrived(self) -> Iterator[Act]:
        """Yield the first callbacks on the wire and the first wake-ups; any of them may be the next."""
        for place, callback in enumerate(self._world.gateway.books.wire[:4]):
            yield Act(1.0, f"callback: {callback.label}", partial(self._take_callback, place))
        for place, (task, _) in enumerate(self.wake_ups[:3]):
            yield Act(1.0, f"{task} is woken", partial(self._wake, place))

    def backlog(self) -> list[tuple[str, str]]:
        """Return the groups and topics that have something to consume and are not at it."""
        return [
            (name, topic)
            for name in group_names()
            for topic in group(name).topics
            if self._offsets[name, topic] < len(self.topics[topic]) and (name, topic) not in self._at_work
        ]

    def tick(self, task: str) -> str:
        """Let the clock wake a task."""
        return self._run(task, {})

    def relay(self) -> str:
        """Carry some events from the outbox to the broker."""
        world = self._world
        self._relays += 1
        limit = world.dice.choice([1, 3, 100])

        def job() -> int:
            rows = queue.read(shards=range(SHARDS), in_flight=[], limit=limit)
            for row in rows:
                assert row.told is not None, "an event that is not in the log"  # noqa: S101  nobody forgets here
                self.topics[row.told.topic].append(of_log(row.told))
            turns.seam("between broker and outbox")
            return queue.remove(positions=[row.position for row in rows]) if rows else 0

        def end(answer: Ended) -> None:
            self._relays -= 1
            world.count(f"relay: {answer.word}")

        return world.start("the relay sends", job, end)

    def consume(self, name: str, topic: str) -> str:
        """Let a group handle the next events of a topic; its offset is committed afterwards, or is not."""
        world, at = self._world, self._offsets[name, topic]
        events = self.topics[topic][at : at + world.dice.choice([1, 2, 10])]
        self._at_work.add((name, topic))

        def end(answer: Ended) -> None:
            self._at_work.discard((name, topic))
            if answer.is_done and world.dice.random() >= world.faults.event_doubled:
                self._offsets[name, topic] = at + len(events)
            for (_, became), number in (answer.value or {}).items():
                for _ in range(number):
                    world.count(f"consumer {name}: {became}")

        return world.start(
            f"{name} consumes {topic}", lambda: deliver(group=group(name), events=events, now=world.now()), end
        )

    def _take_callback(self, place: int) -> str:
        callback = self._world.gateway.books.wire.pop(place)

        def end(answer: Ended) -> None:
            self._world.count(f"callback: {answer.code or answer.word}")
            self._maybe_again(callback, answer)

        return self._world.start(
            f"callback: {callback.label}",
            lambda: payments.receive_callback(
                gateway="liar", body=callback.body, headers=callback.headers, now=self._world.now()
            ),
            end,
        )

    def _maybe_again(self, callback: Callback, answer: Ended) -> None:
        """The gateway sends again what was not answered with 2xx, for a while."""
        callback.tries += 1
        if not answer.is_done and answer.word != "refused" and callback.tries < _MOST_TRIES:
            self._world.gateway.books.wire.append(callback)

    def _wake(self, place: int) -> str:
        task, primitives = self.wake_ups.pop(place)
        return self._run(task, primitives)

    def _run(self, task: str, primitives: Mapping[str, Any]) -> str:
        return self._world.start(
            task,
            lambda: current_app.tasks[task](**primitives),
            lambda answer: self._world.count(f"{task.rpartition('.')[2]}: {answer.word}"),
        )
