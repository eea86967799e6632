"""The page of cases: each names a test that is there (see test_pages), and where a process dies, a real one does."""

import re

import pytest

from tests.docs.markdown import ROOT, named, section, table_rows

PAGE = (ROOT / "docs" / "payments.md").read_text()
GROUPS = ["Start", "Callback", "Clock", "Refund", "Ledger and security"]
CASES = [cells for group in GROUPS for cells in table_rows(section(PAGE, group))]
# Here a stack of processes is started, and those that are to die are killed.
WITH_PROCESSES = ("tests/journeys/", "tests/ordeals/")


def test_every_group_has_its_table_and_there_is_no_other() -> None:
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == GROUPS


def test_no_case_stands_twice() -> None:
    cases = [case for _, case, _ in CASES]

    assert len(cases) == len(set(cases)) > 60


@pytest.mark.parametrize(("case", "shown_by"), [(case, shown_by) for _, case, shown_by in CASES])
def test_every_case_is_shown_by_tests(case: str, shown_by: str) -> None:
    tests = named(shown_by)

    assert tests, case
    assert [name for _, name in tests if not name.startswith("test_")] == []


def test_where_a_starred_case_kills_a_real_process_is_killed() -> None:
    deadly = [(case, named(shown_by)) for star, case, shown_by in CASES if star and "kill" in case]

    assert len(deadly) >= 3
    assert [case for case, tests in deadly if not any(path.startswith(WITH_PROCESSES) for path, _ in tests)] == []
