"""Debezium instead of the relay: what arrives is what the relay would have sent."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrations.embedded import ports
from integrations.embedded.apache_kafka import Cluster
from integrations.embedded.child import PROJECT_ROOT
from integrations.embedded.postgres import PostgresServer
from integrations.kafka.client import Publisher, Received, read_back
from integrations.kafka.envelope import arrived
from tests.integrations.kafka.conftest import DEADLINE_SECONDS, wait_until
from tests.integrations.kafka.real.connect import debezium

pytestmark = [pytest.mark.real_kafka, pytest.mark.django_db(transaction=True)]

Message = dict[str, Any]
PASSWORD = "of-this-test"
TOPICS = ["order.expired", "payment.failed", "analytics.events"]
SLOTS = "from shop.kernel.outbox.slots import slots; print(slots())"
PUBLICATION = PROJECT_ROOT / "deploy" / "debezium" / "publication.sql"


class Captured:
    """A database of its own whose log of events Debezium reads."""

    def __init__(self, url: str, port: int) -> None:
        """Make the tables, and what deploy/debezium asks of the database's owner."""
        self.environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "settings.test"}
        self._url = url
        self.run("manage.py", "migrate", "outbox", "--verbosity", "0")
        self.execute(PUBLICATION.read_text())
        self.execute(f"ALTER ROLE shop_debezium PASSWORD '{PASSWORD}'")
        self.for_the_connector = {
            "SHOP_DATABASE_HOST": ports.LOOPBACK,
            "SHOP_DATABASE_PORT": str(port),
            "SHOP_DATABASE_NAME": "shop",
            "SHOP_DATABASE_USER": "shop_debezium",
            "SHOP_DATABASE_PASSWORD": PASSWORD,
        }

    def run(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            env=self.environment,
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def execute(self, sql: str) -> Any:
        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchone() if cursor.description else None

    def is_slot_active(self) -> bool:
        """Ask as the figures for Prometheus do."""
        return "Slot(name='shop_event_log', active=True" in self.run("manage.py", "shell", "--command", SLOTS)

    def tell(self) -> list[Message]:
        """Tell events; return them as the relay would send them."""
        return [json.loads(line) for line in self.run("-m", "tests.integrations.kafka.real.telling").splitlines()]


@pytest.fixture
def captured() -> Iterator[Captured]:
    """A PostgreSQL of its own with logical decoding."""
    # Not tmp_path: that is too long for a socket, and closed to the user that PostgreSQL runs as when we are root.
    state_dir = Path(tempfile.mkdtemp(prefix="shop-t-"))
    state_dir.chmod(0o711)
    port = ports.any_free()
    server = PostgresServer(state_dir=state_dir, durable=False, port=port, settings={"wal_level": "logical"})
    server.start()
    try:
        yield Captured(server.url, port)
    finally:
        server.stop()
        shutil.rmtree(state_dir)


def on_the_wire(keys: set[str]) -> list[Received]:
    return [record for record in read_back(topics=TOPICS) if record.key.decode() in keys]


def test_debezium_sends_what_the_relay_would_send(captured: Captured, three_brokers: Cluster, tmp_path: Path) -> None:
    servers = three_brokers.bootstrap_servers
    before = captured.tell()
    beat = {"heartbeat.interval.ms": "500"}

    with debezium(tmp_path, servers=servers, environment=captured.for_the_connector, **beat):
        wait_until(captured.is_slot_active)
        told = captured.tell()[len(before) :]
        keys = {message["key"] for message in told}
        wait_until(lambda: len(on_the_wire(keys)) >= len(told))
        records = on_the_wire(keys)
        assert_wal_is_let_go(captured)

    wait_until(lambda: not captured.is_slot_active())
    by_id = {record.headers["ce_id"].decode(): record for record in records}
    assert len(by_id) == len(records) == len(told) == 5
    for message in told:
        assert_same(by_id[message["headers"]["ce_id"]], message)
    for key in keys:
        mine = [int(record.headers["ce_sequence"]) for record in records if record.key.decode() == key]
        assert mine == sorted(mine)
    # No snapshot: what the relay had to send before is not sent again.
    assert on_the_wire({message["key"] for message in before}) == []
    assert_same_partitions(by_id, told)


def assert_same(record: Received, message: Message) -> None:
    """Compare a record with the message of the relay, as consumers read both."""
    headers = message["headers"]
    event = arrived(record)
    sent = arrived(
        Received(
            topic=message["topic"],
            partition=0,
            offset=0,
            key=message["key"].encode(),
            value=message["value"].encode(),
            headers={name: value.encode() for name, value in headers.items()},
        )
    )
    assert (event.id, event.type, event.key, event.data, event.topic) == (
        sent.id,
        sent.type,
        sent.key,
        sent.data,
        sent.topic,
    )
    assert (event.correlation_id, event.traceparent) == (sent.correlation_id, sent.traceparent)
    # The same instant, to the microsecond instead of the millisecond.
    assert datetime.fromisoformat(event.headers.pop("ce_time")) == datetime.fromisoformat(sent.headers.pop("ce_time"))
    assert event.headers == sent.headers


def assert_same_partitions(by_id: dict[str, Received], told: list[Message]) -> None:
    """Send the same keys as the relay does: whoever of the two produces, a key keeps its partition."""
    publisher = Publisher()
    for message in told:
        publisher.send(
            topic=message["topic"],
            key=message["key"],
            value=b"{}",
            headers=[("ce_id", b"again")],
            report=lambda *_: None,
        )
    assert publisher.flush(DEADLINE_SECONDS)
    again = [record for record in on_the_wire({message["key"] for message in told}) if record.value == b"{}"]
    debeziums = {(record.topic, record.key): record.partition for record in by_id.values()}
    assert len(again) == len(told)
    assert {(record.topic, record.key): record.partition for record in again} == debeziums


def assert_wal_is_let_go(captured: Captured) -> None:
    """Write to another table only: the heartbeat lets the server drop what it has written nonetheless."""
    captured.execute("CREATE TABLE busy AS SELECT n FROM generate_series(1, 10000) n")
    (written,) = captured.execute("SELECT pg_current_wal_lsn()::text")

    def is_let_go() -> bool:
        (behind,) = captured.execute(
            f"SELECT '{written}'::pg_lsn > confirmed_flush_lsn FROM pg_replication_slots"
            " WHERE slot_name = 'shop_event_log'"
        )
        return not behind

    wait_until(is_let_go)
