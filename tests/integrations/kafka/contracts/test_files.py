import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from jsonschema import Draft202012Validator, ValidationError

from integrations.kafka.contracts import files, schemas
from integrations.kafka.topics import declared_topics
from shop.kernel.events import Event, event_classes
from tests.integrations.kafka.contracts.samples import EVENTS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of contracts, written and released."""
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    monkeypatch.setattr(files, "shop_version", lambda: "1.0.0")
    call_command("export_event_schemas", "--release")
    return tmp_path


def test_the_files_are_up_to_date_and_keep_the_promises_of_the_last_release() -> None:
    call_command("export_event_schemas", "--check")


def test_a_change_is_noticed_and_written(folder: Path) -> None:
    assert files.out_of_date() == []
    (folder / "order.created.v1.schema.json").write_text("{}")
    (folder / "order.forgotten.v1.schema.json").write_text("{}")
    (folder / "asyncapi.json").unlink()

    with pytest.raises(
        CommandError, match=r"Out of date: asyncapi\.json, order\.created\.v1\.schema\.json, order\.for"
    ):
        call_command("export_event_schemas", "--check")
    assert len(files.write()) == 3

    call_command("export_event_schemas", "--check")


def test_a_broken_promise_fails_the_check_and_is_not_released(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "released" / "1.0.0" / "order.paid.v1.schema.json"
    schema = json.loads(path.read_text())
    schema["$defs"]["OrderPaid"]["properties"]["coupon"] = {"type": "string"}
    path.write_text(json.dumps(schema))
    monkeypatch.setattr(files, "shop_version", lambda: "1.1.0")
    files.write()
    sentence = r"order\.paid\.v1: coupon is gone or has another name; make it a \.v2 type of order\.paid\."

    with pytest.raises(CommandError, match=sentence):
        call_command("export_event_schemas", "--check")
    with pytest.raises(CommandError, match=sentence):
        call_command("export_event_schemas", "--release")

    assert [released.name for released in (folder / "released").iterdir()] == ["1.0.0"]


def test_a_release_takes_the_place_of_the_last_one_and_is_made_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = folder / "released" / "1.0.0"
    assert {path.name.removesuffix(".schema.json") for path in frozen.iterdir()} == set(event_classes())
    with pytest.raises(CommandError, match=r"1\.0\.0 is released already"):
        call_command("export_event_schemas", "--release")
    monkeypatch.setattr(files, "shop_version", lambda: "1.1.0")

    call_command("export_event_schemas", "--release")

    assert [released.name for released in (folder / "released").iterdir()] == ["1.1.0"]
    assert files.broken_promises() == []


def test_there_is_one_sample_of_every_type() -> None:
    assert sorted(event.type_name() for event in EVENTS) == [
        declared.type_name() for declared in schemas.declared_events()
    ]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type_name())
def test_a_schema_is_valid_and_fits_the_data_of_its_type(event: Event) -> None:
    schema = json.loads((files.FOLDER / f"{event.type_name()}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)

    judge.validate(json.loads(event.encode()))
    with pytest.raises(ValidationError, match="required property"):
        judge.validate({})
    with pytest.raises(ValidationError, match="is not a 'uuid'"):
        judge.validate({**json.loads(event.encode()), "user_id": "me"})


def test_every_topic_of_the_purchase_is_declared() -> None:
    assert {"order.created", "payment.success", "payment.failed", "analytics.events"} <= set(declared_topics())
