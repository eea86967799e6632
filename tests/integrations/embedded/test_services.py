import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from integrations.embedded import ports
from integrations.embedded.child import PROJECT_ROOT, Child
from integrations.embedded.errors import AlreadyRunning, NotReady
from integrations.embedded.kafka import PARTITION_COUNT, TOPICS, KafkaBroker
from integrations.embedded.postgres import PostgresServer
from integrations.embedded.redis import RedisServer
from integrations.embedded.services import Services, embedded_services


@contextmanager
def _running(server: PostgresServer | RedisServer | KafkaBroker) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.stop()


HOLDER = """
import signal, sys
from pathlib import Path
from integrations.embedded.services import embedded_services
with embedded_services(Path(sys.argv[1]), durable=False):
    Path(sys.argv[1], "up").touch()
    signal.pause()
"""


def _redis(url: str, *words: str) -> str:
    host, port = url.removeprefix("redis://").removesuffix("/0").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall((" ".join(words) + "\r\n").encode())
        return connection.recv(1024).decode().split("\r\n")[-2]


def test_data_survives_a_restart_and_a_crash(
    state_dir: Path, wait_for: Callable[..., None], processes_of: Callable[[Path], dict[int, str]]
) -> None:
    with embedded_services(state_dir) as first, psycopg.connect(first.database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'before' AS word")
        connection.commit()
        _redis(first.redis_url, "SET", "word", "before")
    assert not processes_of(state_dir)

    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(state_dir)], cwd=PROJECT_ROOT)
    wait_for((state_dir / "up").exists, what="the holder is up")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    wait_for(lambda: not processes_of(state_dir), what="nothing is left behind")

    with embedded_services(state_dir) as second, psycopg.connect(second.database_url) as connection:
        assert connection.execute("SELECT word FROM kept").fetchone() == ("before",)
        assert _redis(second.redis_url, "GET", "word") == "before"
        assert second.redis_url == first.redis_url


def test_a_second_start_in_the_same_folder_is_refused(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.setenv(variable, "given")

    with embedded_services(state_dir), pytest.raises(AlreadyRunning), embedded_services(state_dir):
        pytest.fail("two stacks in one folder")


def test_servers_given_by_address_are_not_started(state_dir: Path) -> None:
    given = {"DATABASE_URL": "postgres://a/b", "REDIS_URL": "redis://a", "KAFKA_BOOTSTRAP_SERVERS": "a:1"}

    services = Services(state_dir=state_dir, environment=given)

    assert services.embedded == ()
    assert services.addresses.as_environment() == given


def test_postgres_starts_over_a_pid_file_that_names_a_stranger(state_dir: Path) -> None:
    server = PostgresServer(state_dir=state_dir, durable=False)
    with _running(server):
        pass
    stranger = f"{os.getppid()}\n{state_dir}/postgres/data\n1\n5432\n\n\n1 1\n"
    (state_dir / "postgres" / "data" / "postmaster.pid").write_text(stranger)

    with _running(server), psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("shop",)

    assert server.child is not None
    assert server.child.exit_status == 0


def test_postgres_logs_what_failed_and_not_whose_data_it_was(state_dir: Path) -> None:
    server = PostgresServer(state_dir=state_dir, durable=False)

    with _running(server), psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE person (email text UNIQUE)")
        for _ in range(2):
            with suppress(psycopg.errors.UniqueViolation):
                connection.execute("INSERT INTO person VALUES (%s)", ["anna@example.com"])

    log = (state_dir / "logs" / "postgres.log").read_text()
    assert "duplicate key value violates unique constraint" in log
    assert "anna@example.com" not in log


def test_postgres_speaks_only_through_a_socket_and_a_short_one_when_the_path_is_long(state_dir: Path) -> None:
    deep = state_dir / ("a folder, with a comma " * 4)
    deep.mkdir()
    server = PostgresServer(state_dir=deep, durable=False)

    with _running(server), psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert server.url.startswith("postgres://shop@/shop?host=/tmp/shop-")
        short = Path(server.url.partition("host=")[2])
        assert short.is_dir()

    assert not short.exists()


def test_redis_keeps_its_port_until_somebody_takes_it(state_dir: Path) -> None:
    server = RedisServer(state_dir=state_dir)
    with _running(server):
        first = server.url
    with _running(server):
        second = server.url
    with socket.create_server((ports.LOOPBACK, int(first.removesuffix("/0").rsplit(":", 1)[1]))), _running(server):
        third = server.url
        assert _redis(third, "PING") == "+PONG"

    assert first == second != third


def test_kafka_has_its_topics_from_the_start(state_dir: Path) -> None:
    broker = KafkaBroker(state_dir=state_dir)

    with _running(broker):
        found = AdminClient({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=60).topics

    assert {name: len(topic.partitions) for name, topic in found.items()} == dict.fromkeys(TOPICS, PARTITION_COUNT)


def test_a_server_that_does_not_start_shows_the_end_of_its_log(state_dir: Path) -> None:
    child = Child(
        name="broken", command=["/bin/sh", "-c", "echo the reason; exit 3"], log_file=state_dir / "broken.log"
    )
    child.start()

    with pytest.raises(NotReady) as refusal:
        child.wait_until(lambda: False, timeout_seconds=60)

    assert str(refusal.value).startswith("broken ended with status 3 while it was started; its log is")
    assert refusal.value.tail.strip() == "the reason"


def test_a_server_that_takes_too_long_is_named(state_dir: Path) -> None:
    child = Child(name="slow", command=["/bin/sleep", "60"], log_file=state_dir / "slow.log")
    child.start()

    with pytest.raises(NotReady, match=r"slow was not ready within 0\.1 seconds"):
        child.wait_until(lambda: False, timeout_seconds=0.1)

    child.stop(timeout_seconds=60)
    assert child.exit_status == -signal.SIGTERM


def test_a_process_that_ignores_the_request_to_stop_is_killed(state_dir: Path, wait_for: Callable[..., None]) -> None:
    script = "trap '' TERM; touch ready; while :; do /bin/sleep 0.05; done"
    child = Child(name="deaf", command=["/bin/sh", "-c", f"cd {state_dir}; {script}"], log_file=state_dir / "deaf.log")
    child.start()
    wait_for((state_dir / "ready").exists, what="the trap is set")

    child.stop(timeout_seconds=0.2)

    assert child.exit_status == -signal.SIGKILL
