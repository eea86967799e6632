"""Pages of promises: each promise names tests that are there (see test_pages), and none stands twice."""

import re

import pytest

from tests.docs.markdown import ROOT, named, section, table_rows

EVENTS = (ROOT / "docs" / "events" / "promises.md").read_text()
GROUPS = ["Telling", "Relay", "Consume side", "Contracts"]
WEBHOOKS = (ROOT / "docs" / "webhooks.md").read_text()
OF_EVENTS = [cells for group in GROUPS for cells in table_rows(section(EVENTS, group))]
OF_WEBHOOKS = list(table_rows(section(WEBHOOKS, "Shown by")))


def test_every_group_has_its_table_and_there_is_no_other() -> None:
    assert re.findall(r"^## (.+)$", EVENTS, re.MULTILINE) == GROUPS


@pytest.mark.parametrize(("promises", "at_least"), [(OF_EVENTS, 50), (OF_WEBHOOKS, 20)])
def test_no_promise_stands_twice(promises: list[list[str]], at_least: int) -> None:
    said = [promise for promise, _ in promises]

    assert len(said) == len(set(said)) > at_least


@pytest.mark.parametrize(("promise", "shown_by"), [*OF_EVENTS, *OF_WEBHOOKS])
def test_every_promise_is_shown_by_tests(promise: str, shown_by: str) -> None:
    tests = named(shown_by)

    assert tests, promise
    assert [name for _, name in tests if not name.startswith("test_")] == []
