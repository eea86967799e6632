"""What import contracts cannot see: rooms, keys across contexts, wiring, schemas, sizes."""

import ast
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db.models import ForeignKey
from django.utils.module_loading import import_string

from settings import celery_app, wiring
from shop.kernel.errors import Refusal
from shop.kernel.events import event_classes

ROOT = Path(__file__).resolve().parents[2]
CONTEXTS = ["shop/inventory", "shop/catalog", "cart", "checkout", "orders", "payments", "notifications"]
OUR_LABELS = {
    config.label
    for config in apps.get_app_configs()
    if Path(config.path).is_relative_to(ROOT) and ".venv" not in config.path
}
ROOMS = {
    "services", "queries", "events", "errors", "dto", "states", "models", "serializers", "views", "urls",
    "handlers", "tasks", "admin", "apps", "ports", "metrics", "migrations", "templates", "__init__",
}  # fmt: skip
# Rooms a single context has, each for a reason its README gives.
OWN_ROOMS = {
    "shop/catalog": {"shopify", "management", "static", "seed"},
    "checkout": {"rates"},
    "notifications": {"rendering"},
    "payments": {"management"},
}


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_context_has_the_rooms_every_context_has(context: str) -> None:
    found = {path.stem for path in (ROOT / context).iterdir() if path.name not in {"__pycache__", "README.md"}}

    assert found - ROOMS - OWN_ROOMS.get(context, set()) == set()


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_context_explains_itself_on_one_screen(context: str) -> None:
    assert 10 <= len((ROOT / context / "README.md").read_text().splitlines()) <= 80


def test_no_foreign_key_crosses_contexts() -> None:
    crossing = [
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        if model._meta.app_label in OUR_LABELS
        for field in model._meta.get_fields()
        if isinstance(field, ForeignKey)
        and field.related_model._meta.app_label != model._meta.app_label
        and field.related_model._meta.app_label in OUR_LABELS
    ]

    assert crossing == []


def test_every_task_the_clock_wakes_exists() -> None:
    celery_app.loader.import_default_modules()

    assert set(wiring.CLOCK) - set(celery_app.tasks) == set()


@pytest.mark.parametrize(
    "path",
    [
        *settings.GATEWAYS.values(),
        *settings.READINESS.values(),
        *settings.ORDER_PANELS,
        *settings.ORDER_SEARCHES,
        settings.SHIPPING_RATES,
        settings.TAX_RATES,
        settings.MONEY_GOING_BACK,
        *(handler for group in settings.CONSUMERS.values() for handler in group.values()),
    ],
)
def test_everything_that_is_wired_exists(path: str) -> None:
    assert callable(import_string(path))


@pytest.mark.parametrize("group", settings.CONSUMERS)
def test_consumers_consume_declared_events(group: str) -> None:
    assert set(settings.CONSUMERS[group]) - set(event_classes()) == set()


def test_the_three_topics_of_the_purchase_have_the_consumers_of_the_design() -> None:
    consumers = {
        event: {group for group, handlers in settings.CONSUMERS.items() if event in handlers}
        for event in ("order.created.v1", "payment.success.v1", "payment.failed.v1")
    }

    assert consumers == {
        "order.created.v1": {"notifications", "payments", "analytics", "webhooks"},
        "payment.success.v1": {"notifications", "orders", "analytics", "webhooks"},
        "payment.failed.v1": {"notifications", "orders", "analytics", "webhooks"},
    }


@pytest.mark.parametrize("event", event_classes())
def test_every_event_has_a_schema(event: str) -> None:
    assert (ROOT / "docs" / "events" / f"{event}.schema.json").is_file()


def refusals(kind: type[Refusal]) -> list[type[Refusal]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in refusals(child))]


def test_every_refusal_is_listed_in_the_docs() -> None:
    listed = (ROOT / "docs" / "problems.md").read_text()
    missing = {kind.code for kind in refusals(Refusal) if kind.__module__.split(".")[0] != "tests"}

    assert {code for code in missing if f"`{code}`" not in listed} == set()


def sources(*beside: str) -> list[Path]:
    """Return the files of the shop, and those of the folders that are named."""
    shop = ("settings", "integrations", "notifications", "payments", "orders", "checkout", "cart", "shop")
    return [
        path
        for package in (*shop, *beside)
        for path in (ROOT / package).rglob("*.py")
        if "migrations" not in path.parts
    ]


def test_files_stay_under_four_hundred_lines() -> None:
    everything = sources("tests", "bench")
    long = {str(path.relative_to(ROOT)): n for path in everything if (n := len(path.read_text().splitlines())) > 400}

    assert long == {}


def test_functions_fit_a_screen() -> None:
    functions = [
        (f"{path.relative_to(ROOT)}::{node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]

    assert len(functions) > 1_000
    assert [name for name, lines in functions if lines > 40] == []


def test_every_exception_to_a_rule_says_why() -> None:
    silent = re.compile(r"# (noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\])$", re.MULTILINE)

    assert [str(path.relative_to(ROOT)) for path in sources("tests", "bench") if silent.search(path.read_text())] == []


def test_no_unfinished_work_is_left_behind() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")

    assert [str(path.relative_to(ROOT)) for path in sources() if marks.search(path.read_text())] == []


def test_only_loopback_is_bound() -> None:
    assert [str(path.relative_to(ROOT)) for path in sources() if "0.0.0.0" in path.read_text()] == []
