"""What all journeys have told, whatever they were about. This file comes last."""

import json
from collections import Counter

import pytest
from jsonschema import Draft202012Validator

from integrations.embedded.child import PROJECT_ROOT
from tests.journeys.shopper import Shopper
from tests.journeys.stack import Stack

pytestmark = pytest.mark.journey

TOLD = "SELECT type, topic, key::text, payload FROM event_log"


def test_every_event_that_was_told_fits_its_schema(stack: Stack, shopper: Shopper) -> None:
    shopper.pay_order(shopper.buy())
    checked = Draft202012Validator.FORMAT_CHECKER
    told: Counter[str] = Counter()

    for type_name, topic, key, data in stack.rows(TOLD):
        schema = json.loads((PROJECT_ROOT / "docs" / "events" / f"{type_name}.schema.json").read_text())
        Draft202012Validator(schema, format_checker=checked).validate(data)
        assert (topic, key) == (schema["x-topic"], data[schema["x-key"]])
        told[type_name] += 1

    assert told["order.created.v1"] > 0
    assert told["analytics.events.v1"] > 0
