"""What may become of a released type: it may get fields with a default, and nothing else.

Readers are old and new at once: merchants' systems, consumers of the last deployment, and today's code on last
month's log. So a field never goes, never changes its type, and is never required where it was not, or the reverse.
A closed set of values (an `enum`) stays as it is, too: who reads it by its schema refuses what is new in it. What
may grow is a string, as `reason` and `cause` are, and readers bear values they do not know.
"""

from collections.abc import Iterator, Mapping

from integrations.kafka.contracts.schemas import Schema

# Words about a shape, not the shape; and what is compared by a rule of its own.
_IGNORED = frozenset({"title", "description", "default", "examples", "$schema", "$id", "$defs"})
_RULED = frozenset({"x-topic", "x-key", "properties", "required", "items", "anyOf", "additionalProperties", "enum"})


def refused_changes(*, released: Mapping[str, Schema], today: Mapping[str, Schema]) -> list[str]:
    """Return a sentence for each change between two sets of schemas, by type, that breaks somebody who reads them."""
    return [sentence for name in sorted(released) for sentence in _of_type(name, released[name], today.get(name))]


def _of_type(type_name: str, old: Schema, new: Schema | None) -> Iterator[str]:
    topic, _, version = type_name.rpartition(".v")
    if new is None:
        yield f"{type_name} is gone: keep it until nobody reads it any more and the log holds none."
        return
    for change in _differences(_whole(old, old), _whole(new, new), at=""):
        yield f"{type_name}: {change}; make it a .v{int(version) + 1} type of {topic}."


def _whole(schema: Schema, root: Schema) -> Schema:
    """Return the schema with every reference replaced by what it refers to, and without words."""
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].rpartition("/")[2]]
        schema = {**target, **{name: part for name, part in schema.items() if name != "$ref"}}
    whole = {name: part for name, part in schema.items() if name not in _IGNORED}
    if "properties" in whole:
        whole["properties"] = {name: _whole(part, root) for name, part in whole["properties"].items()}
    for name in whole.keys() & {"items", "additionalProperties"}:
        if isinstance(whole[name], dict):
            whole[name] = _whole(whole[name], root)
    if "anyOf" in whole:
        # The order of the parts says nothing.
        whole["anyOf"] = sorted((_whole(part, root) for part in whole["anyOf"]), key=_kind)
    return whole


def _differences(old: Schema, new: Schema, *, at: str) -> Iterator[str]:
    for name, what in (("x-topic", "topic"), ("x-key", "key")):
        if old.get(name) != new.get(name):
            yield f"its {what} was {old.get(name)} and is {new.get(name)}"
    if _kind(old) != _kind(new):
        yield f"{at or 'its data'} was {_kind(old)} and is {_kind(new)}"
        return
    yield from _of_values(old.get("enum", []), new.get("enum", []), at)
    yield from _of_fields(old, new, at)
    for name, below in (("items", f"{at}[]"), ("additionalProperties", f"{at}.*")):
        if isinstance(old.get(name), dict):
            yield from _differences(old[name], new[name], at=below)
    for one, other in zip(old.get("anyOf", []), new.get("anyOf", []), strict=True):
        yield from _differences(one, other, at=at)


def _of_values(old: list[object], new: list[object], at: str) -> Iterator[str]:
    yield from (f"{at} can no longer be {value!r}" for value in old if value not in new)
    yield from (f"{at} can now be {value!r}, which its readers refuse" for value in new if value not in old)


def _of_fields(old: Schema, new: Schema, at: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    needed, wanted = set(old.get("required", [])), set(new.get("required", []))
    for name in sorted(before.keys() | after.keys()):
        path = f"{at}.{name}".removeprefix(".")
        if name not in after:
            yield f"{path} is gone or has another name"
        elif name not in before:
            if name in wanted:
                yield f"{path} is new and has no default, so events of the log cannot be read"
        elif name in needed - wanted:
            yield f"{path} was always there and may be missing now, while readers count on it"
        elif name in wanted - needed:
            yield f"{path} could be missing and is required now, so events of the log cannot be read"
        if name in before and name in after:
            yield from _differences(before[name], after[name], at=path)


def _kind(schema: Schema) -> str:
    """Return in words what kind of value this is: `string (format=uuid)`, `integer or null`, `one of a set`."""
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if "enum" in schema:
        return "one of a set"
    rest = {name: part for name, part in schema.items() if name != "type" and name not in _RULED}
    if "additionalProperties" in schema:
        rest["fields"] = "any" if isinstance(schema["additionalProperties"], dict) else schema["additionalProperties"]
    form = ", ".join(f"{name}={part}" for name, part in sorted(rest.items()))
    return f"{schema.get('type', 'anything')} ({form})" if form else str(schema.get("type", "anything"))
