"""What stands on the wire, for every type: as it always was, as its contracts say, and as other people's tools read it.

`golden/<type>/<n>.json` holds the bytes of the sample as they were sent, one file for each shape the type ever had. The
newest is today's. None is ever changed or removed while the log may hold such an event: today's code must read them.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cloudevents.core.bindings import kafka as sdk
from django.conf import settings
from jsonschema import Draft202012Validator

from integrations.kafka.client import Received
from integrations.kafka.contracts import files
from integrations.kafka.contracts.schemas import declared_events
from shop.kernel.events import read_event
from tests.integrations.kafka.contracts.samples import AT, EVENTS

GOLDEN = Path(__file__).parent / "golden"
SHAPES = sorted(GOLDEN.glob("*/*.json"))
SAMPLES = {event.type_name(): event for event in EVENTS}

needs_kcat = pytest.mark.skipif(
    shutil.which("kcat") is None, reason="kcat is not installed; on Debian: apt-get install kcat"
)


def newest(type_name: str) -> Path:
    return max((GOLDEN / type_name).glob("*.json"), key=lambda path: int(path.stem))


def test_what_is_sent_is_what_was_always_sent(sent: dict[str, Received]) -> None:
    changed = {name: record.value for name, record in sent.items() if record.value != newest(name).read_bytes()}

    # A type that has got a field: what is shown here becomes its next golden file, and the earlier ones stay.
    assert changed == {}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_shape_that_was_ever_sent_is_read_today(shape: Path) -> None:
    type_name = shape.parent.name

    event = read_event(type_name, shape.read_bytes())

    assert event.key == SAMPLES[type_name].key
    if shape == newest(type_name):
        assert event == SAMPLES[type_name]


def test_every_type_has_a_golden_file() -> None:
    assert {path.parent.name for path in SHAPES} >= {declared.type_name() for declared in declared_events()}


def test_records_fit_the_schema_files_and_the_asyncapi_document(sent: dict[str, Received]) -> None:
    document = json.loads((files.FOLDER / "asyncapi.json").read_text())
    checked = Draft202012Validator.FORMAT_CHECKER

    for name, record in sent.items():
        message, data = document["components"]["messages"][name], json.loads(record.value)
        schema = json.loads((files.FOLDER / f"{name}.schema.json").read_text())
        headers = {header: value.decode() for header, value in record.headers.items()}
        Draft202012Validator(schema, format_checker=checked).validate(data)
        for part, content in [("payload", data), ("headers", headers)]:
            whole = {**message[part], "components": document["components"]}
            Draft202012Validator(whole, format_checker=checked).validate(content)
        assert headers.keys() <= document["components"]["schemas"]["Envelope"]["properties"].keys()
        assert (record.topic, record.key.decode()) == (schema["x-topic"], data[schema["x-key"]])
        assert name in document["channels"][record.topic]["messages"]


def test_the_official_sdk_reads_every_record(sent: dict[str, Received]) -> None:
    for name, record in sent.items():
        message = sdk.KafkaMessage(headers=record.headers, key=record.key, value=record.value)

        event = sdk.from_binary_event(message)

        assert (event.get_type(), event.get_specversion()) == (name, "1.0")
        assert (event.get_id(), event.get_subject()) == (record.headers["ce_id"].decode(), record.key.decode())
        assert (event.get_time(), event.get_datacontenttype()) == (AT, "application/json")
        assert event.get_data() == json.loads(record.value)


@needs_kcat
def test_kcat_prints_every_record_readably(sent: dict[str, Received]) -> None:
    printing = {name: kcat(record.topic) for name, record in sent.items()}

    for name, record in sent.items():
        printed, _ = printing[name].communicate(timeout=60)
        event_id = record.headers["ce_id"].decode()
        (line,) = [line for line in printed.splitlines() if event_id in line]

        assert line.startswith(f"{record.key.decode()} ")
        assert f"ce_type={name}," in line
        assert "ce_time=2026-11-22T16:40:14.123Z," in line
        assert line.endswith(record.value.decode())


def kcat(topic: str) -> subprocess.Popen[str]:
    """Start printing a whole topic: key, headers and value of each record."""
    command = [*"kcat -C -q -e -o beginning".split(), "-t", topic, "-f", r"%k %h %s\n"]
    return subprocess.Popen(
        [*command, "-b", settings.KAFKA_BOOTSTRAP_SERVERS],
        stdout=subprocess.PIPE,
        text=True,
        # Other tests, where they share the broker, have sent what is no text.
        errors="replace",
    )
