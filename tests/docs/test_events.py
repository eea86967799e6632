"""The table of topics is what events declare and settings wire."""

import re

import pytest
from django.conf import settings

from integrations.kafka.envelope import headers_of, source_of
from shop.kernel.clock import utc_now
from shop.kernel.events import event_classes
from shop.kernel.ids import new_id
from shop.kernel.outbox.dto import Told
from tests.docs.markdown import ROOT, section, table_rows

PAGE = (ROOT / "docs" / "events" / "README.md").read_text()
ROWS = {cells[0].strip("`"): cells for cells in table_rows(PAGE.split("## Envelope")[0])}
DECLARED = {
    declared.topic: declared for declared in event_classes().values() if declared.__module__.endswith(".events")
}


def test_every_topic_is_listed_and_no_other() -> None:
    assert sorted(ROWS) == sorted(DECLARED)


@pytest.mark.parametrize("topic", sorted(DECLARED))
def test_type_producer_consumers_and_key_are_those_of_the_code(topic: str) -> None:
    declared = DECLARED[topic]
    _, schema, producer, consumers, key, _ = ROWS[topic]
    listening = {group for group, handlers in settings.CONSUMERS.items() if declared.type_name() in handlers}

    assert f"({declared.type_name()}.schema.json)" in schema
    assert source_of(declared.type_name()).decode().removeprefix("/shop") in {"", f"/{producer}"}
    assert set(consumers.split(", ")) == (listening or {"none yet"})
    assert key == f"`{declared.key_field}`"


def test_the_headers_are_those_that_are_sent() -> None:
    traces = {
        "correlationid": "1",
        "causationid": "2",
        "traceparent": "3",
        "replayid": "4",
        "replaytarget": "warehouse",
    }
    told = Told(
        id=new_id(),
        topic="order.paid",
        type="order.paid.v1",
        key=new_id(),
        sequence=1,
        data=b"{}",
        headers=traces,
        occurred_at=utc_now(),
    )
    listed = [name for cells in table_rows(section(PAGE, "Envelope")) for name in re.findall(r"`([^`]+)`", cells[0])]

    assert sorted(listed) == sorted(name for name, _ in headers_of(told))
