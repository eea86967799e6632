"""The contracts as files: docs/events/*.schema.json, docs/events/asyncapi.json, and what the last release promised."""

import json
import tomllib
from pathlib import Path
from typing import Any

from django.conf import settings

from integrations.kafka.contracts.asyncapi import document
from integrations.kafka.contracts.changes import refused_changes
from integrations.kafka.contracts.schemas import Schema, declared_events, schema_of
from integrations.kafka.errors import AlreadyReleased, NotAdditive

FOLDER: Path = settings.BASE_DIR / "docs" / "events"
ASYNCAPI = "asyncapi.json"
_ENDING = ".schema.json"


def shop_version() -> str:
    """Return the version the working copy is, or will be released as."""
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def contract_files() -> dict[str, str]:
    """Return the content of each file by its name: `order.created.v1.schema.json` and the like, and `asyncapi.json`."""
    schemas = {f"{declared.type_name()}{_ENDING}": _written(schema_of(declared)) for declared in declared_events()}
    return schemas | {ASYNCAPI: _written(document(version=shop_version()))}


def out_of_date() -> list[str]:
    """Return the names of files that are missing, differ from the code, or belong to no event any more."""
    wanted = contract_files()
    paths = [*FOLDER.glob(f"*{_ENDING}"), *FOLDER.glob(ASYNCAPI)]
    there = {path.name: path.read_text(encoding="utf-8") for path in paths}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write() -> list[str]:
    """Bring the files up to date; return the names of those that changed."""
    changed = out_of_date()
    wanted = contract_files()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    return changed


def broken_promises() -> list[str]:
    """Return a sentence for each change since the last release that breaks somebody who reads events."""
    today = {declared.type_name(): schema_of(declared) for declared in declared_events()}
    return refused_changes(released=_released_schemas(), today=today)


def release() -> Path:
    """Freeze today's schemas as those of the shop's version, in the place of the last release's; return where.

    NotAdditive when they break a promise, AlreadyReleased when that version is frozen already.
    """
    if broken := broken_promises():
        raise NotAdditive(" ".join(broken))
    version, last = shop_version(), last_release()
    if last is not None and last.name == version:
        raise AlreadyReleased(f"{version} is released already; pyproject.toml has the version of the next release.")
    folder = FOLDER / "released" / version
    folder.mkdir(parents=True)
    for declared in declared_events():
        path = folder / f"{declared.type_name()}{_ENDING}"
        path.write_text(_written(schema_of(declared)), encoding="utf-8")
    if last is not None:
        # What a release promised, later ones promise as well: history is git's affair.
        for path in last.iterdir():
            path.unlink()
        last.rmdir()
    return folder


def last_release() -> Path | None:
    """Return the folder of the last release's schemas, named for its version; None before the first release."""
    return next((path for path in (FOLDER / "released").glob("*") if path.is_dir()), None)


def _released_schemas() -> dict[str, Schema]:
    last = last_release()
    paths = sorted(last.glob(f"*{_ENDING}")) if last else []
    return {path.name.removesuffix(_ENDING): json.loads(path.read_text(encoding="utf-8")) for path in paths}


def _written(content: Any) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
