"""The states drawn in the READMEs of payments and checkout are those of their tables of moves."""

import re
from collections.abc import Mapping
from enum import StrEnum

import pytest

import checkout.states
import payments.states
from tests.docs.markdown import ROOT

_LINE = re.compile(r"^(\w+) +-> (.+)$", re.MULTILINE)


def drawn(context: str) -> set[tuple[str, str]]:
    """Return the moves a README draws, one line a state, its followers parted by bars."""
    page = (ROOT / context / "README.md").read_text()
    return {(was, to.split()[0]) for was, followers in _LINE.findall(page) for to in followers.split(" | ")}


@pytest.mark.parametrize(
    ("context", "table"),
    [("payments", payments.states.TRANSITIONS), ("checkout", checkout.states.TRANSITIONS)],
)
def test_the_moves_are_drawn_as_the_table_has_them(context: str, table: Mapping[StrEnum, frozenset[StrEnum]]) -> None:
    assert drawn(context) == {(was.value, to.value) for was, followers in table.items() for to in followers}
