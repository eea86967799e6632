"""What processes tell Prometheus: each its own, and those that share a folder together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from pytest_django import Settings

from integrations.embedded.ports import accepts, any_free
from shop.kernel import processes
from shop.kernel.processes import announce_ready, metrics_registry, serve_metrics

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 90.0
STOP_SECONDS = 60


def got(port: int, path: str) -> tuple[int, str]:
    """Ask on a connection of its own, so that of several workers any may answer."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def scraped(port: int, metric: str, **labels: str) -> float:
    """Return the sum of a metric's samples with these labels, as Prometheus reads them."""
    status, text = got(port, "/metrics")
    assert status == 200
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == metric and labels.items() <= sample.labels.items())


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@contextmanager
def counting(folder: Path | None, times: int, *, port: int = 0) -> Iterator["subprocess.Popen[str]"]:
    """Run a process that has counted."""
    environment = {**os.environ, "METRICS_PORT": str(port)}
    if folder:
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.shop.kernel.counting_process", str(times)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    with process.stdin, process.stdout:
        assert process.stdout.readline() == "counted\n"
        try:
            yield process
        finally:
            process.kill()
            process.wait(STOP_SECONDS)


def test_processes_that_share_a_folder_are_summed_whoever_is_asked_and_whoever_died(tmp_path: Path) -> None:
    one, other = any_free(), any_free()
    with ExitStack() as stack:
        first = stack.enter_context(counting(tmp_path, 3, port=one))
        stack.enter_context(counting(tmp_path, 4, port=other))

        for port in (one, other):
            assert scraped(port, "shop_views_recorded_total", name="Lamp Looked At") == 7
        first.send_signal(signal.SIGKILL)
        first.wait(STOP_SECONDS)
        assert scraped(other, "shop_views_recorded_total", name="Lamp Looked At") == 7
        stack.enter_context(counting(tmp_path, 5))
        assert scraped(other, "shop_views_recorded_total", name="Lamp Looked At") == 12


def test_a_process_alone_tells_its_own() -> None:
    port = any_free()
    with counting(None, 3, port=port):
        assert scraped(port, "shop_views_recorded_total", name="Lamp Looked At") == 3
        assert scraped(port, "process_resident_memory_bytes") > 0


def test_web_workers_are_summed_whichever_answers(tmp_path: Path) -> None:
    port = any_free()
    command = ("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "2")
    server = subprocess.Popen(
        [str(Path(sys.executable).with_name(command[0])), *command[1:], "--no-ws", "settings.wsgi:application"],
        cwd=ROOT,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "settings.test"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        # Connections wait in the kernel's queue until a worker is up; once both have answered, both are.
        wait_until(lambda: accepts(port=port))
        asked = 0
        while len(list(tmp_path.glob("counter_*.db"))) < 2 or asked < 40:
            assert got(port, "/healthz")[0] == 200
            asked += 1
        view = "shop.kernel.http.operations.healthz"
        counted = [
            scraped(port, "django_http_requests_total_by_view_transport_method_total", view=view) for _ in range(6)
        ]
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(STOP_SECONDS)

    assert counted == [asked] * 6


class Eleven(Collector):
    """Tells eleven at every scrape."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Answer."""
        yield GaugeMetricFamily("lamps_eleven", "Always eleven.", value=11)


def test_collectors_are_asked_at_each_scrape(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.METRICS_PORT, settings.METRICS_ADDRESS = any_free(), "127.0.0.1"
    monkeypatch.setattr(processes, "metrics_registry", CollectorRegistry)
    stop: list[Callable[[], None]] = []
    start = prometheus_client.start_http_server

    def started(*args: object, **options: object) -> None:
        server, thread = start(*args, **options)  # type: ignore[arg-type]  # as they came
        stop.extend([server.shutdown, server.server_close, thread.join])

    monkeypatch.setattr(processes, "start_http_server", started)
    serve_metrics(Eleven())
    try:
        assert scraped(settings.METRICS_PORT, "lamps_eleven") == 11
    finally:
        for step in stop:
            step()


def test_without_a_port_nothing_is_served(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.METRICS_PORT = 0
    monkeypatch.setattr(processes, "start_http_server", lambda *_, **__: pytest.fail("served"))

    serve_metrics(Eleven())


def test_a_port_that_another_process_has_ends_this_one_in_a_line(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings.METRICS_PORT = taken.getsockname()[1]

        with pytest.raises(SystemExit, match=rf"METRICS_PORT: 127.0.0.1:{settings.METRICS_PORT} cannot be had"):
            serve_metrics()


def test_the_sum_is_told_where_a_folder_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    assert metrics_registry() is prometheus_client.REGISTRY

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert metrics_registry() is not prometheus_client.REGISTRY


def test_a_file_that_another_process_makes_just_now_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / "counter_4711.db").touch()

    assert prometheus_client.generate_latest(metrics_registry()) == b""


def test_a_process_says_that_it_works_where_somebody_waits_for_it(tmp_path: Path, settings: Settings) -> None:
    settings.READY_FILE = str(tmp_path / "ready")
    announce_ready()
    assert (tmp_path / "ready").exists()

    settings.READY_FILE = ""
    announce_ready()
    assert [path.name for path in tmp_path.iterdir()] == ["ready"]
