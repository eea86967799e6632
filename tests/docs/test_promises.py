"""The page of promises: each names tests that are there (see test_pages), and none stands twice."""

import re

import pytest

from tests.docs.markdown import ROOT, named, section, table_rows

PAGE = (ROOT / "docs" / "events" / "promises.md").read_text()
GROUPS = ["Telling", "Relay", "Consume side", "Contracts"]
PROMISES = [cells for group in GROUPS for cells in table_rows(section(PAGE, group))]


def test_every_group_has_its_table_and_there_is_no_other() -> None:
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == GROUPS


def test_no_promise_stands_twice() -> None:
    promises = [promise for promise, _ in PROMISES]

    assert len(promises) == len(set(promises)) > 50


@pytest.mark.parametrize(("promise", "shown_by"), PROMISES)
def test_every_promise_is_shown_by_tests(promise: str, shown_by: str) -> None:
    tests = named(shown_by)

    assert tests, promise
    assert [name for _, name in tests if not name.startswith("test_")] == []
