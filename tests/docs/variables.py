"""Which environment variables the code reads, and what holds without them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.markdown import ROOT

READERS = ("settings", "integrations", "shop/kernel")
# The interpreter's own, which a command only passes on; and what a WSGI server calls an environment: a request.
_NOT_OURS = re.compile(r"PYTHONPATH|CONTENT_LENGTH|HTTP_\w+|PATH_INFO|QUERY_STRING|REQUEST_METHOD")
_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,}")
# What an environment is called where one is read, and the functions that are given one and a name.
_ENVIRONMENTS = frozenset({"env", "environ", "environment", "given", "_given"})
_HELPERS = frozenset({"_port", "_number", "_port_from", "_port_or_free"})


def read_by_code() -> dict[str, str | None]:
    """Return each variable with its default as one would write it; None where the code computes it or has several."""
    found: dict[str, set[str | None]] = {}
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            for name, default in _reads(node):
                if _NAME.fullmatch(name) and not _NOT_OURS.fullmatch(name):
                    found.setdefault(name, set()).add(default)
    return {name: defaults.pop() if len(defaults) == 1 else None for name, defaults in found.items()}


def _sources() -> Iterator[Path]:
    yield ROOT / "manage.py"
    for folder in READERS:
        yield from (ROOT / folder).rglob("*.py")


def _reads(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    match node:
        case ast.Call(func=ast.Attribute(value=receiver), args=[ast.Constant(value=str(name)), *rest], keywords=named):
            if _is_environment(receiver):
                given = [keyword.value for keyword in named if keyword.arg == "default"] or rest
                yield name, _written(given[0]) if given else None
        case ast.Call(func=ast.Name(id=helper), args=args, keywords=named) if helper in _HELPERS:
            for value in (*args, *(keyword.value for keyword in named)):
                if isinstance(value, ast.Constant) and _NAME.fullmatch(str(value.value)):
                    default = next((keyword.value for keyword in named if keyword.arg == "default"), None)
                    yield str(value.value), _written(default) if default else None
        case ast.Subscript(value=receiver, slice=ast.Constant(value=str(name))) if _is_environment(receiver):
            yield name, None
        case ast.Compare(left=ast.Constant(value=str(name)), comparators=[receiver]) if _is_environment(receiver):
            yield name, None


def _is_environment(receiver: ast.expr) -> bool:
    return ast.unparse(receiver).rpartition(".")[2] in _ENVIRONMENTS


def _written(default: ast.expr) -> str | None:
    """Return a default as it would stand in an environment; None when it depends on something."""
    try:
        value = eval(compile(ast.Expression(default), "default", "eval"), {"__builtins__": {}})
    except NameError:
        return None
    match value:
        case bool():
            return str(value).lower()
        case list() | dict():
            return ",".join(map(str, value)) or None
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value) or None
