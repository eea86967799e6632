"""The AsyncAPI document is valid, and says what the code does."""

import json
import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from jsonschema import Draft7Validator, ValidationError

from integrations.kafka.contracts import files
from integrations.kafka.contracts.schemas import declared_events
from integrations.kafka.envelope import source_of
from tests.docs.markdown import section, table_rows

# The official schema of AsyncAPI 3.0.0: see README.md beside it.
OFFICIAL = Draft7Validator(json.loads((Path(__file__).parent / "asyncapi-3.0.0" / "schema.json").read_text()))
DOCUMENT = json.loads((files.FOLDER / "asyncapi.json").read_text())


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + list(chain.from_iterable(references(below) for below in part.values()))
    return list(chain.from_iterable(references(below) for below in part)) if isinstance(part, list) else []


def found(reference: str) -> Any:
    part: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        part = part[name]
    return part


def heard_types(operation: dict[str, Any]) -> set[str]:
    return {found(found(message["$ref"])["$ref"])["name"] for message in operation["messages"]}


def test_the_document_is_valid_by_the_official_schema() -> None:
    OFFICIAL.validate(DOCUMENT)


@pytest.mark.parametrize(
    "broken",
    [
        {"info": {"title": "without a version"}},
        {"operations": {"orders.sends": {"action": "shout", "channel": {"$ref": "#/channels/order.created"}}}},
        {"channels": {"order.created": {"bindings": {"kafka": {"topic": 1, "bindingVersion": "0.5.0"}}}}},
    ],
)
def test_a_broken_document_is_not(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OFFICIAL.validate({**DOCUMENT, **broken})


def test_references_lead_somewhere() -> None:
    assert len(references(DOCUMENT)) > 100
    assert [found(reference) for reference in references(DOCUMENT)]


def test_headers_are_those_of_the_page_which_are_those_that_are_sent() -> None:
    page = section((files.FOLDER / "README.md").read_text(), "Envelope")
    listed = {name for cells in table_rows(page) for name in re.findall(r"`([^`]+)`", cells[0])}

    assert set(DOCUMENT["components"]["schemas"]["Envelope"]["properties"]) == listed


def test_channels_are_the_topics_and_messages_the_types() -> None:
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == {
        declared.topic for declared in declared_events()
    }
    assert set(DOCUMENT["components"]["messages"]) == {declared.type_name() for declared in declared_events()}


def test_operations_receive_what_is_wired_and_no_more() -> None:
    received: dict[str, set[str]] = {}
    for operation in DOCUMENT["operations"].values():
        if operation["action"] == "receive":
            (group,) = operation["bindings"]["kafka"]["groupId"]["enum"]
            received.setdefault(group, set()).update(heard_types(operation))

    assert received == {group: set(handlers) for group, handlers in settings.CONSUMERS.items()}


def test_operations_send_what_each_context_declares() -> None:
    sent = {
        (name.partition(".sends.")[0], type_name)
        for name, operation in DOCUMENT["operations"].items()
        if operation["action"] == "send"
        for type_name in heard_types(operation)
    }

    assert sent == {
        (source_of(declared.type_name()).decode().strip("/").replace("/", "."), declared.type_name())
        for declared in declared_events()
    }
