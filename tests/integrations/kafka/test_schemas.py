import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from jsonschema import Draft202012Validator

from integrations.kafka import schemas
from integrations.kafka.topics import declared_topics
from shop.kernel.ids import new_id
from tests.shop.kernel.outbox.factories import action, expired


def test_the_files_are_up_to_date() -> None:
    call_command("export_event_schemas", "--check")


def test_a_change_is_noticed_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "FOLDER", tmp_path)
    with pytest.raises(CommandError, match=r"order\.created\.v1\.schema\.json"):
        call_command("export_event_schemas", "--check")

    assert len(schemas.write()) == len(schemas.schema_files())
    (tmp_path / "order.created.v1.schema.json").write_text("{}")
    (tmp_path / "order.forgotten.v1.schema.json").write_text("{}")

    assert schemas.write() == ["order.created.v1.schema.json", "order.forgotten.v1.schema.json"]
    assert schemas.out_of_date() == []


@pytest.mark.parametrize("event", [expired(order_id=new_id()), action(user_id=new_id(), sku="KTL-1")])
def test_data_fits_its_schema(event: object) -> None:
    declared = type(event)
    schema = json.loads(schemas.schema_files()[f"{declared.type_name()}.schema.json"])  # type: ignore[attr-defined]
    Draft202012Validator.check_schema(schema)

    Draft202012Validator(schema).validate(json.loads(event.encode()))  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="required property"):
        Draft202012Validator(schema).validate({})


def test_every_topic_of_the_purchase_is_declared() -> None:
    assert {"order.created", "payment.success", "payment.failed", "analytics.events"} <= set(declared_topics())
