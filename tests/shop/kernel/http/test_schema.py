"""The OpenAPI document is valid and complete; its page needs nothing from elsewhere."""

import re
import warnings
from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from pytest_django import Settings

from shop.kernel.http.schema import add_problem_responses
from tests.clients import problem

# A connection that an earlier test left open is looked after at the begin of each request.
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _our_own_paths(settings: Settings) -> None:
    settings.ROOT_URLCONF = "settings.urls"


def test_the_document_is_openapi_31_and_without_a_warning() -> None:
    written = StringIO()

    with warnings.catch_warnings():
        # What its validator's own dependencies have to say to their maintainers.
        warnings.simplefilter("ignore", DeprecationWarning)
        call_command("spectacular", "--validate", "--fail-on-warn", stdout=written)

    assert yaml.safe_load(written.getvalue())["openapi"].startswith("3.1")


def test_every_call_has_a_name_of_its_own_and_can_answer_with_a_problem() -> None:
    generator: Any = SchemaGenerator
    document = generator().get_schema(request=None, public=True)
    calls = [call for path in document["paths"].values() for call in path.values()]

    assert len({call["operationId"] for call in calls}) == len(calls) > 20
    for call in calls:
        assert "application/problem+json" in call["responses"]["default"]["content"]
    assert document["components"]["schemas"]["Problem"]["required"] == ["type", "title", "status", "detail", "code"]


def test_every_call_is_named_by_a_verb_and_what_it_acts_on() -> None:
    generator: Any = SchemaGenerator
    paths = generator().get_schema(request=None, public=True)["paths"]
    names = {call["operationId"].removeprefix("internal_") for path in paths.values() for call in path.values()}

    verbs = {
        *("add", "cancel", "clear", "create", "fulfil", "list", "log", "open", "ping", "place", "read", "receive"),
        *("redeliver", "refresh", "refund", "register", "release", "remove", "rotate", "set", "start"),
    }
    assert {name for name in names if name.split("_")[0] not in verbs} == {"healthz", "readyz", "metrics"}


def test_a_document_without_calls_gets_the_component_all_the_same() -> None:
    assert "Problem" in add_problem_responses({}, None, None, public=True)["components"]["schemas"]


def test_the_document_is_served_to_anybody(browser: Client) -> None:
    response = browser.get("/schema")

    assert response.status_code == 200
    assert yaml.safe_load(response.content)["openapi"].startswith("3.1")


@pytest.mark.django_db  # closing an answer looks after connections
def test_the_page_and_all_it_loads_come_from_here(browser: Client) -> None:
    page = browser.get("/docs")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())

    assert page.status_code == 200
    assert len(loaded) >= 4
    for address in loaded:
        assert re.match(r"/(static/|docs\?)", address), address
        answer = browser.get(address.replace("&amp;", "&"))
        answer.close()
        assert answer.status_code == 200, address


def test_the_page_runs_under_its_policy(browser: Client) -> None:
    page = browser.get("/docs").content.decode()

    assert re.findall(r"<script>", page) == []
    assert browser.get("/docs?script=").headers["Content-Type"].startswith("application/javascript")


def test_the_page_is_for_reading_only(browser: Client) -> None:
    for method in ("OPTIONS", "POST", "DELETE"):
        response = browser.generic(method, "/docs")

        assert problem(response) == (405, "method_not_allowed"), method
        assert "GET" in response.headers["Allow"]
