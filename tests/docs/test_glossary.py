"""The glossary can be read by looking a word up."""

import re

from tests.docs.markdown import ROOT

WORDS = re.findall(r"^\*\*(.+?)\.\*\* ", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)


def test_words_stand_in_the_order_of_the_alphabet_and_once() -> None:
    assert [word.lower() for word in WORDS] == sorted({word.lower() for word in WORDS})


def test_a_word_that_leads_to_another_leads_to_one_that_is_there() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()

    assert {word for word in re.findall(r"\bSee ([a-z ]+)\.", text) if word.capitalize() not in WORDS} == set()
