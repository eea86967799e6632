"""The JSON Schema of every declared event: what merchants' systems may rely on."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings

from shop.kernel.events import Event, event_classes

FOLDER: Path = settings.BASE_DIR / "docs" / "events"


def schema_files() -> dict[str, str]:
    """Return the content of each file by its name, `order.created.v1.schema.json`; events live in rooms `events`."""
    return {
        f"{type_name}.schema.json": json.dumps(_schema(declared), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for type_name, declared in sorted(event_classes().items())
        if declared.__module__.endswith(".events")
    }


def _schema(declared: type[Event]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:shop:event:{declared.type_name()}",
        "x-topic": declared.topic,
        "x-key": declared.key_field,
        **declared.schema(),
    }


def out_of_date() -> list[str]:
    """Return the names of files that are missing, differ from the code, or belong to no event any more."""
    wanted = schema_files()
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.schema.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write() -> list[str]:
    """Bring the files up to date; return the names of those that changed."""
    changed = out_of_date()
    wanted = schema_files()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    return changed
