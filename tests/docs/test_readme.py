"""What the README says about variables, packages and proofs is what the code says."""

import re

from tests.docs.markdown import ROOT, named, section, table_rows
from tests.docs.variables import read_by_code

README = (ROOT / "README.md").read_text()
_CODE = re.compile(r"`([^`]+)`")
_COMMAND = re.compile(r"`(make|promtool test rules) ")


def variables() -> dict[str, str]:
    """Return the rows of the configuration table: variable -> what holds without it."""
    rows = table_rows(section(README, "Configuration"))
    return {cells[0].strip("`"): cells[2] for cells in rows if cells[0].startswith("`")}


def test_every_variable_is_listed_and_no_other() -> None:
    listed = [cells[0].strip("`") for cells in table_rows(section(README, "Configuration")) if cells[0].startswith("`")]

    assert sorted(listed) == sorted(read_by_code())


def test_defaults_are_those_of_the_code() -> None:
    listed = variables()
    wrong = {
        name: (default, listed[name])
        for name, default in read_by_code().items()
        if default is not None and default not in _CODE.findall(listed[name])
    }

    assert wrong == {}


def test_every_requirement_has_its_reason_and_no_other_has() -> None:
    pinned = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line]
    names = [re.split(r"[\[=;]", line)[0].strip() for line in pinned]
    rows = list(table_rows(section(README, "Dependencies")))

    assert [cells[0].strip("`") for cells in rows] == names
    assert all(len(cells[1]) > 3 for cells in rows)


def test_each_proof_and_each_trouble_names_a_test_or_a_command() -> None:
    rows = [*table_rows(section(README, "Proof")), *table_rows(section(README, "When things go wrong"))]

    assert [cells[0] for cells in rows if not named(cells[-1]) and not _COMMAND.search(cells[-1])] == []
    assert list(ROOT.glob("deploy/prometheus/tests/*.yml"))


def test_the_commands_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    mentioned = set(re.findall(r"(?:^|`|[A-Z]=\S+ )make ([a-z-]+)", README, re.MULTILINE))

    assert mentioned - targets == set()
    assert {"run", "test", "demo"} <= mentioned


def test_production_names_what_it_must_be_given() -> None:
    required = re.search(r"_REQUIRED = \((.*?)\)", (ROOT / "settings" / "production.py").read_text(), re.DOTALL)

    assert required
    names = re.findall(r'"(\w+)"', required[1])
    said = re.search(r"unless these are set: (.*?)\.", section(README, "In production"), re.DOTALL)
    assert said
    assert _CODE.findall(said[1]) == names
