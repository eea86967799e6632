"""What pages point at is there: links, tests and functions by name, decisions by number."""

import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, functions_of, links, named, pages

ADRS = sorted((ROOT / "docs" / "adr").glob("0*.md"))
MOST_WORDS = 300
PARTS = ("**Status**", "**Context.**", "**Decision.**", "**Consequences.**")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    inside = [link.partition("#")[0] for link in links(page.read_text()) if "://" not in link]

    assert [link for link in inside if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", pages(), ids=name)
def test_functions_that_are_named_exist(page: Path) -> None:
    missing = [
        f"{path}::{function}"
        for path, function in named(page.read_text())
        if not (ROOT / path).is_file() or function not in functions_of(path)
    ]

    assert missing == []


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text()

    assert [int(page.name[:4]) for page in ADRS] == list(range(1, len(ADRS) + 1))
    assert [page.name for page in ADRS] == re.findall(r"\((0[\w-]+\.md)\)", index)


@pytest.mark.parametrize("page", ADRS, ids=name)
def test_a_decision_is_short_and_has_its_parts(page: Path) -> None:
    text = page.read_text()
    missing = [part for part in PARTS if part not in text]

    assert len(text.split()) <= MOST_WORDS
    assert text.startswith(f"# {int(page.name[:4])}. ")
    assert missing == []


def test_the_index_has_the_title_of_each_decision() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text()

    assert [page.name for page in ADRS if page.read_text().splitlines()[0].partition(". ")[2] not in index] == []
