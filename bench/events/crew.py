"""The processes of the chaos, started again whenever they end, and what is done to them."""

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from bench.events.place import Place
from integrations.embedded.child import Child

LONGEST_STOP_SECONDS = 8.0
HELD_SECONDS = 10.0
FULL_SECONDS = 5.0
_PIECE = b"\0" * 65_536
_CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name <> 'bench' AND backend_type = 'client backend'
"""
# A position is drawn and its transaction stays open: whoever remembers the last position it saw loses this event.
_HELD = """
WITH told AS (
    INSERT INTO event_log (id, topic, type, aggregate, key, sequence, payload, headers, occurred_at)
    VALUES (uuidv7(), 'payment.success', 'payment.success.v1', 'payment', uuidv7(), 1,
            jsonb_build_object('occurred_at', '2026-11-28T12:00:00Z', 'payment_id', uuidv7(), 'order_id', uuidv7(),
                               'user_id', uuidv7(), 'guest', true, 'gateway', 'sandbox', 'gateway_reference', 'held',
                               'amount', jsonb_build_object('amount', 2490, 'currency', 'EUR')),
            '{}', clock_timestamp())
    RETURNING id, key
)
INSERT INTO outbox_pending (event_id, key, shard) SELECT id, key, crc32(convert_to(key::text, 'UTF8')) % 64 FROM told
"""


class Crew:
    """Relays and consumers, kept running."""

    def __init__(self, place: Place, *, relays: int, consumers: int) -> None:
        logs = place.folder / "chaos"
        commands = {f"relay-{n}": ["manage.py", "relay_outbox"] for n in range(relays)}
        commands |= {f"consumer-{n}": ["bench.events.listener", os.devnull] for n in range(consumers)}
        self.members = [
            Child(
                name=name,
                command=command,
                log_file=logs / f"{name}.log",
                environment=place.environment,
                is_python=True,
            )
            for name, command in commands.items()
        ]
        self.done: Counter[str] = Counter()
        self._place = place
        self._stop = threading.Event()
        self._held: list[threading.Thread] = []

    def start(self) -> None:
        """Start all of them."""
        for member in self.members:
            member.start()

    def tend(self) -> None:
        """Start again whoever has ended; call it from the main thread, whose death takes them along."""
        for member in self.members:
            if not member.is_running:
                member.start()

    def stop(self) -> None:
        """Stop all of them in order."""
        self.go_on()
        for member in self.members:
            member.ask_to_stop()
        for member in self.members:
            member.stop(timeout_seconds=20)

    def go_on(self) -> None:
        """End whatever was only stopped or held."""
        self._stop.set()
        for thread in self._held:
            thread.join()
        for member in self.members:
            if member.is_running:
                os.kill(member.pid, signal.SIGCONT)

    def troubles(self) -> dict[str, Callable[[random.Random], None]]:
        """Return what can be done to them, by name; a name may stand for several chances."""
        troubles = {
            "kill -9 of a relay": lambda chance: self._kill(chance, "relay"),
            "kill -9 of a consumer": lambda chance: self._kill(chance, "consumer"),
            "a relay stopped and continued": lambda chance: self._pause(chance, "relay"),
            "a consumer stopped and continued": lambda chance: self._pause(chance, "consumer"),
            "all database connections cut": lambda _: self._cut(),
            "a transaction held open": lambda _: self._later(self._hold),
        }
        if self._place.cluster:
            troubles["kill -9 of a broker"] = self._kill_broker
            troubles["a broker stopped and continued"] = self._pause_broker
            if os.geteuid() == 0 and shutil.which("ss"):
                troubles["all connections to Kafka cut"] = lambda _: self._cut_kafka()
        if self._place.disk:
            troubles["the broker's disk full"] = lambda _: self._fill_disk()
        return troubles

    def _of(self, chance: random.Random, kind: str) -> Child:
        return chance.choice([member for member in self.members if member.name.startswith(kind)])

    def _kill(self, chance: random.Random, kind: str) -> None:
        self._of(chance, kind).kill()

    def _pause(self, chance: random.Random, kind: str) -> None:
        self._pause_process(self._of(chance, kind), chance.uniform(0.5, LONGEST_STOP_SECONDS))

    def _pause_process(self, child: Child, seconds: float) -> None:
        pid = child.pid
        os.kill(pid, signal.SIGSTOP)

        def continue_later() -> None:
            self._stop.wait(seconds)
            # It may have been killed meanwhile, and another have taken its place.
            if child.pid == pid and child.is_running:
                os.kill(pid, signal.SIGCONT)

        self._later(continue_later)

    def _cut(self) -> None:
        with self._place.connect() as connection:
            connection.execute(_CUT)

    def _cut_kafka(self) -> None:
        """Reset every connection to the brokers, the reader's too."""
        for broker in self._place.cluster.brokers:
            # It also says of what cannot be cut, such as the broker's own listening, that it cannot.
            subprocess.run(["ss", "--kill", "dport", "=", f":{broker.port}"], capture_output=True, check=False)

    def _hold(self) -> None:
        with self._place.connect() as connection, connection.transaction():
            connection.execute(_HELD)
            self._stop.wait(HELD_SECONDS)

    def _kill_broker(self, chance: random.Random) -> None:
        broker = chance.choice(self._place.cluster.brokers)
        broker.kill()
        time.sleep(1)
        broker.start()

    def _pause_broker(self, chance: random.Random) -> None:
        broker = chance.choice(self._place.cluster.brokers)
        self._pause_process(broker.child, chance.uniform(0.5, LONGEST_STOP_SECONDS))

    def _fill_disk(self) -> None:
        """Leave the broker no room for a while; it may end because of that, and is started again."""
        broker, filling = self._place.cluster.brokers[0], self._place.disk / "filling"
        with filling.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(_PIECE):
                pass
        self._stop.wait(FULL_SECONDS)
        filling.unlink()
        if not broker.child.is_running:
            broker.start()

    def _later(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        thread.start()
        self._held.append(thread)
