"""Reading our own pages: tables, named tests and functions, links, sections."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# `tests/cart/test_views.py::test_a_cart`, `cart/services.py::add_item`, `cart/views.py::CartItemsView.post`.
_NAMED = re.compile(r"`([\w./-]+\.py)::([\w.]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Return every page of ours."""
    ours = (path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.parts[2:]))
    return sorted(path for path in ours if path.is_relative_to(ROOT))


def named(text: str) -> list[tuple[str, str]]:
    """Return the functions and tests a page names, as (path, function)."""
    return _NAMED.findall(text)


def links(text: str) -> list[str]:
    """Return where a page's links and images lead; what stands in code is none."""
    return [first or second for first, second in _LINK.findall(_FENCE.sub("", text))]


def section(text: str, title: str) -> str:
    """Return what stands under the heading `## title`."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    return found[1]


def table_rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of each table, headings and rules left out."""
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        is_heading = following.startswith("|---")
        if line.startswith("|") and not line.startswith("|---") and not is_heading:
            yield [cell.strip() for cell in line.strip("|").split("|")]


@cache
def functions_of(path: str) -> frozenset[str]:
    """Return the functions, classes and methods (`CartItemsView.post`) that a source file defines."""
    names = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return frozenset(names)
