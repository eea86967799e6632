"""The documented words, the listed words and the words in the code are the same."""

import ast
import re
from pathlib import Path

from integrations.analytics.vocabulary import FACTS, NAMES, VIEWS

ROOT = Path(__file__).resolve().parents[3]
LOOKS_LIKE_ONE = re.compile(r"[A-Z][a-z]+ [A-Z][a-z]+")
PACKAGES = ("shop", "cart", "checkout", "orders", "payments", "notifications", "integrations")


def words_in_the_code() -> set[str]:
    """Return every literal that looks like an action's name and is said where actions are told."""
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            if "UserAction(" not in text:
                continue
            literals = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
            found |= {said for said in literals if isinstance(said, str) and LOOKS_LIKE_ONE.fullmatch(said)}
    return found


def test_the_code_tells_what_is_listed_and_nothing_else() -> None:
    assert words_in_the_code() == NAMES


def test_the_page_lists_each_with_its_kind() -> None:
    rows = re.findall(
        r"^\| `([A-Z][A-Za-z ]+)`(?: \*)? \| (view|fact) \|", (ROOT / "docs/analytics.md").read_text(), re.MULTILINE
    )

    assert dict(rows) == dict.fromkeys(VIEWS, "view") | dict.fromkeys(FACTS, "fact")
    assert len(rows) == len(NAMES)
