import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from integrations.embedded import __main__ as command_line
from integrations.embedded.apache_kafka import READY_SECONDS, VERSION
from integrations.embedded.child import PROJECT_ROOT
from integrations.embedded.clean import main as clean
from tests.integrations.kafka.conftest import in_thread, wait_until

TOPIC = "kept"
NEW_JAVA = "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2"


def put_in_place(monkeypatch: pytest.MonkeyPatch, folder: Path, programs: dict[str, str]) -> None:
    """Let these shell scripts be all the programs there are, and the cache an empty one."""
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setattr("os.umask", lambda _mask: 0o022)


def make_topic(servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(60)


def send(servers: str, value: str) -> None:
    producer = Producer({"bootstrap.servers": servers, "acks": "all", "log_level": 0})
    refusals = []
    producer.produce(TOPIC, value, on_delivery=lambda error, _: refusals.append(error))
    assert producer.flush(60) == 0
    assert refusals == [None]


def kept(servers: str) -> list[str]:
    reader = Consumer({"bootstrap.servers": servers, "group.id": "reader", "log_level": 0})
    place = TopicPartition(TOPIC, 0, 0)
    _, end = reader.get_watermark_offsets(place, timeout=60)
    reader.assign([place])
    found = [message.value() for message in reader.consume(end, 60)]
    reader.close()
    return [value.decode() for value in found if isinstance(value, bytes)]


@contextmanager
def made_kafka(state_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start what `make kafka` starts; yield the starter, and the address it printed, once Kafka is up."""
    output = state_dir / "output"
    with output.open("wb") as said:
        starter = subprocess.Popen(
            [sys.executable, "-m", "integrations.embedded", "kafka", "--state-dir", str(state_dir)],
            cwd=PROJECT_ROOT,
            stdout=said,
        )
    try:
        wait_until(lambda: "Ctrl-C" in output.read_text(), seconds=READY_SECONDS)
        yield starter, output.read_text().partition("KAFKA_BOOTSTRAP_SERVERS=")[2].partition(" ")[0]
    finally:
        starter.kill()
        starter.wait()


@pytest.mark.real_kafka
def test_a_killed_starter_leaves_nothing_running_and_all_records_behind(
    state_dir: Path,
    wait_for: Callable[..., None],
    processes_of: Callable[[Path], dict[int, str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_STATE_DIR", str(state_dir))
    with made_kafka(state_dir) as (starter, address):
        make_topic(address)
        send(address, "before")
        # What runs is not cleaned away.
        assert clean() == 1
        assert "nothing was removed" in capsys.readouterr().err
        assert len(processes_of(state_dir)) >= 2

        starter.send_signal(signal.SIGKILL)
        starter.wait()
        wait_for(lambda: not processes_of(state_dir), what="no JVM is left behind")

    with made_kafka(state_dir) as (starter, address_again):
        assert address_again == address
        assert kept(address) == ["before"]

        starter.send_signal(signal.SIGINT)
        assert starter.wait(90) == 0
    said = (state_dir / "output").read_text()
    assert said.startswith(f"Apache Kafka {VERSION} answers at {address}; Ctrl-C stops it\n")
    assert said.endswith("stopping\nstopped\n")


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        ({}, "no java"),
        ({"java": "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2"}, 'openjdk version "11.0.2" 2019-01-15'),
        ({"java": NEW_JAVA}, "no mvn"),
    ],
    ids=["no Java", "an old Java", "no Maven"],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    programs: dict[str, str],
    found: str,
) -> None:
    put_in_place(monkeypatch, tmp_path, programs)
    call = ["kafka", "--state-dir", str(tmp_path / "state")]
    needed = (
        f"a real Kafka needs Java 17 or newer and Maven, found {found};"
        " on Debian: apt-get install openjdk-17-jre-headless maven\n"
    )

    assert command_line.main(call) == 1
    assert capsys.readouterr() == ("", f"shop: {needed}")
    assert command_line.main(["kafka", "--if-possible", "--", "false"]) == 0
    assert capsys.readouterr() == (f"left out: {needed}", "")


def test_a_download_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_in_place(
        monkeypatch, tmp_path, {"java": NEW_JAVA, "mvn": "echo '[ERROR] the repository cannot be reached'; exit 1"}
    )

    assert command_line.main(["kafka", "--state-dir", str(tmp_path / "state")]) == 1

    assert capsys.readouterr().err == f"shop: mvn cannot download kafka-{VERSION}: the repository cannot be reached\n"
    assert not list((tmp_path / "cache" / "shop").glob("kafka-*"))


def test_who_is_asked_to_stop_in_the_middle_of_a_download_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = tmp_path / "begun"
    put_in_place(
        monkeypatch,
        tmp_path,
        {"java": NEW_JAVA, "mvn": f"echo $$ > {begun}.new; /bin/mv {begun}.new {begun}; read -r _ < {begun}.never"},
    )
    os.mkfifo(f"{begun}.never")

    def ask() -> None:
        wait_until(begun.exists)
        os.kill(os.getpid(), signal.SIGTERM)

    with in_thread(ask, lambda: None):
        assert command_line.main(["kafka", "--state-dir", str(tmp_path / "state")]) == 0

    assert "stopped" in capsys.readouterr().out
    assert not Path("/proc", begun.read_text().strip()).exists()
    assert not list((tmp_path / "cache" / "shop").iterdir())
