"""Kafka Connect with Debezium's connector, as deploy/debezium describes it, in a JVM of its own."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

from integrations.embedded import maven, ports
from integrations.embedded.apache_kafka import VERSION
from integrations.embedded.child import PROJECT_ROOT, Child

DEBEZIUM = "3.6.1.Final"
ARTIFACTS = (
    f"io.debezium:debezium-connector-postgres:{DEBEZIUM}",
    f"org.apache.kafka:connect-runtime:{VERSION}",
    f"org.apache.kafka:connect-json:{VERSION}",
    "org.slf4j:slf4j-simple:1.7.36",
)
SHIPPED = PROJECT_ROOT / "deploy" / "debezium" / "event-log.json"
READY_SECONDS = 120.0
STOP_SECONDS = 20.0


@contextmanager
def debezium(folder: Path, *, servers: str, environment: Mapping[str, str], **changed: str) -> Iterator[None]:
    """Run the connector as shipped, but for what is `changed`, while the block runs; its log is in `folder`."""
    port = ports.any_free()
    child = Child(
        name="connect",
        command=_command(folder, servers=servers, port=port, changed=changed),
        log_file=folder / "connect.log",
        environment={**os.environ, **environment},
    )
    child.start()
    try:
        child.wait_until(lambda: _runs(port), timeout_seconds=READY_SECONDS)
        yield
    finally:
        child.stop(timeout_seconds=STOP_SECONDS)


def _command(folder: Path, *, servers: str, port: int, changed: Mapping[str, str]) -> list[str]:
    shipped = json.loads(SHIPPED.read_text())
    shipped["config"] |= changed
    (folder / "connector.json").write_text(json.dumps(shipped))
    worker = {
        "bootstrap.servers": servers,
        "listeners": f"http://{ports.LOOPBACK}:{port}",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
        "offset.storage.file.filename": str(folder / "offsets"),
        "offset.flush.interval.ms": "500",
        "plugin.discovery": "service_load",
        "config.providers": "env",
        "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    }
    (folder / "worker.properties").write_text("".join(f"{name}={value}\n" for name, value in worker.items()))
    jars = maven.class_path(name=f"debezium-{DEBEZIUM}", artifacts=ARTIFACTS)
    program = "org.apache.kafka.connect.cli.ConnectStandalone"
    options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]
    return [
        maven.java(),
        *options,
        "-cp",
        jars,
        program,
        str(folder / "worker.properties"),
        str(folder / "connector.json"),
    ]


def _runs(port: int) -> bool:
    """Tell whether the connector and its task run; fail when the task has failed."""
    try:
        answer = urllib3.request(
            "GET", f"http://{ports.LOOPBACK}:{port}/connectors/shop-event-log/status", retries=False, timeout=2.0
        )
    except urllib3.exceptions.HTTPError:
        return False
    # Connect answers before it has read the connector's file.
    if answer.status != 200:
        return False
    tasks: list[dict[str, Any]] = answer.json()["tasks"]
    assert all(task["state"] != "FAILED" for task in tasks), tasks
    return bool(tasks) and all(task["state"] == "RUNNING" for task in tasks)
