"""What browsers are told to refuse, by what lies at the path."""

import pytest
from django.test import Client

from shop.kernel.http.security import policy_for

# A connection that an earlier test left open is looked after at the begin of each request.
pytestmark = pytest.mark.django_db

STRICTEST = "default-src 'none'; frame-ancestors 'none'"


def directives(path: str) -> dict[str, list[str]]:
    parts = (part.split() for part in policy_for(path).split(";"))
    return {name: values for name, *values in parts}


@pytest.mark.parametrize(
    "path", ["/healthz", "/no/such/path", "/cart/me", "/schema", "/metrics", "/t/raise/defect", "/t/raise/conflict"]
)
def test_an_answer_of_the_api_may_do_nothing_in_a_browser(browser: Client, path: str) -> None:
    headers = browser.get(path).headers

    assert headers["Content-Security-Policy"] == STRICTEST
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/administration", "/adm", "/schema", "/products/admin/", "/", "/payments/docs"])
def test_only_the_pages_themselves_are_relaxed(path: str) -> None:
    assert policy_for(path) == STRICTEST


@pytest.mark.parametrize("path", ["/admin/", "/admin/orders/order/", "/docs"])
def test_our_pages_load_from_us_alone_and_are_framed_by_nobody(path: str) -> None:
    policy = directives(path)

    assert policy["default-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == ["'none'"]
    assert policy["form-action"] == ["'self'"]
    assert not any("http" in value or "*" in value for values in policy.values() for value in values)
    assert "'unsafe-inline'" not in policy.get("script-src", policy["default-src"])


def test_eval_is_for_the_admin_only() -> None:
    assert "'unsafe-eval'" in directives("/admin/")["script-src"]
    assert "unsafe-eval" not in policy_for("/docs") + policy_for("/static/x.svg") + policy_for("/cart/me")


@pytest.mark.django_db  # closing an answer looks after connections
def test_a_picture_opened_on_its_own_runs_nothing(browser: Client) -> None:
    response = browser.get("/static/catalog/products/speckled-mug.svg")
    response.close()

    assert response.status_code == 200
    assert "sandbox" in directives("/static/catalog/products/speckled-mug.svg")
    assert response.headers["Content-Security-Policy"] == policy_for("/static/")
    assert "no-store" not in response.headers["Cache-Control"]


def test_what_can_be_asked_about_again_is_kept_by_its_reader(browser: Client) -> None:
    assert browser.get("/t/tagged").headers["Cache-Control"] == "private, no-cache"


def test_a_view_has_the_last_word(browser: Client) -> None:
    headers = browser.get("/t/opinionated").headers

    assert headers["Cache-Control"] == "public"
    assert headers["Content-Security-Policy"] == "default-src 'self'"
