"""The walk is true: its functions exist (see test_pages), and its counts are what the code sends."""

import re
from collections.abc import Callable

import pytest

from tests.budgets.test_purchase import SEND_ONE_MAIL, Purchase, gateway, purchase
from tests.docs.markdown import ROOT, named, section, table_rows

# Fixtures of the budgets: a purchase whose statements are counted.
__all__ = ["gateway", "purchase"]

WALK = (ROOT / "docs" / "walk.md").read_text()
# In the order in which a purchase meets them.
FOLDERS = ["cart", "checkout", "orders", "payments"]


@pytest.mark.django_db(transaction=True)
def test_the_counts_are_what_the_code_sends(purchase: Callable[..., Purchase]) -> None:
    listed = {cells[0]: int(cells[1]) for cells in table_rows(section(WALK, "What it costs"))}

    assert listed == purchase(lines=3).shop()


def test_a_mail_costs_what_is_said() -> None:
    assert f"A mail is {SEND_ONE_MAIL} more" in " ".join(section(WALK, "What it costs").split())


def test_the_stops_are_numbered_without_a_gap() -> None:
    stops = [int(number) for number in re.findall(r"^(\d+)\. ", WALK, re.MULTILINE)]

    assert stops == list(range(1, len(stops) + 1))


def test_every_stop_names_a_function() -> None:
    road = WALK.split("## What it costs")[0]
    stops = re.split(r"^(?=\d+\. )", road, flags=re.MULTILINE)[1:]

    assert [stop.splitlines()[0] for stop in stops if not named(stop)] == []


def test_calls_that_shoppers_make_come_in_the_order_of_the_purchase() -> None:
    views = [path.split("/")[0] for path, _ in named(WALK) if path.endswith("/views.py")]

    assert list(dict.fromkeys(views)) == FOLDERS
