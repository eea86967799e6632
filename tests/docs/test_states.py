"""The states drawn in the READMEs of payments and checkout are those of their tables of moves."""

import re
from collections.abc import Mapping
from enum import StrEnum

import pytest

import checkout.states
import payments.states
from tests.docs.markdown import ROOT

_LINE = re.compile(r"^(\w+) +-> (.+)$", re.MULTILINE)
_DRAWING = re.compile(r"^```\n(.+?)^```$", re.MULTILINE | re.DOTALL)


def drawings(context: str) -> list[set[tuple[str, str]]]:
    """Return the moves of each of a README's drawings, one line a state, its followers parted by bars."""
    page = (ROOT / context / "README.md").read_text()
    return [
        {(was, to.split()[0]) for was, followers in _LINE.findall(drawing) for to in followers.split(" | ")}
        for drawing in _DRAWING.findall(page)
    ]


@pytest.mark.parametrize(
    ("context", "place", "table"),
    [
        ("payments", 0, payments.states.TRANSITIONS),
        ("payments", 1, payments.states.REFUND_TRANSITIONS),
        ("checkout", 0, checkout.states.TRANSITIONS),
    ],
)
def test_the_moves_are_drawn_as_the_table_has_them(
    context: str, place: int, table: Mapping[StrEnum, frozenset[StrEnum]]
) -> None:
    expected = {(was.value, to.value) for was, followers in table.items() for to in followers}

    assert drawings(context)[place] == expected
