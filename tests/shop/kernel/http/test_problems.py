"""Every kind of error is problem details with its status, and tells nothing of the inside."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from pytest_django import Settings
from rest_framework.exceptions import ValidationError

from integrations.embedded.ports import any_free
from shop.kernel.http.problems import exception_handler, for_exception, problem
from tests.races import be_patient
from tests.shop.kernel.http.urls import SECRET


def problem_of(response: Any) -> dict[str, Any]:
    """Return the body of a problem, having checked what all of them share."""
    assert response.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    assert body["type"] == f"/docs/problems#{body['code']}"
    assert body["title"]
    assert body["detail"]
    assert SECRET not in response.content.decode()
    assert response.headers["X-Request-ID"]
    return body


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("refused", 400, "refused"),
        ("invalid", 400, "invalid"),
        ("unauthorized", 401, "not_authenticated"),
        ("forbidden", 403, "permission_denied"),
        ("not_found", 404, "not_found"),
        ("conflict", 409, "conflict"),
        ("illegal", 409, "illegal_transition"),
        ("precondition", 412, "precondition_failed"),
        ("unprocessable", 422, "unprocessable"),
        ("unavailable", 503, "unavailable"),
        ("django404", 404, "not_found"),
        ("django403", 403, "permission_denied"),
        ("django400", 400, "malformed_request"),
        ("malformed", 400, "malformed_request"),
        ("unread", 400, "malformed_request"),
        ("database", 500, "internal_error"),
        ("interface", 503, "database_unavailable"),
        ("defect", 500, "internal_error"),
    ],
)
def test_what_a_view_raises_becomes_a_problem(browser: Client, name: str, status: int, code: str) -> None:
    response = browser.get(f"/t/raise/{name}")

    assert (response.status_code, problem_of(response)["code"]) == (status, code)


def test_a_refusal_brings_its_data_and_a_wait_its_length(browser: Client) -> None:
    assert browser.get("/t/raise/conflict").json()["available"] == 2
    assert (
        browser.get("/t/raise/illegal").json() | {"current": "lit", "wanted": "unlit"}
        == browser.get("/t/raise/illegal").json()
    )
    assert browser.get("/t/raise/unavailable").headers["Retry-After"] == "7"
    assert browser.get("/t/raise/unauthorized").headers["WWW-Authenticate"] == 'Bearer realm="shop"'


def test_an_unknown_path_is_404(browser: Client) -> None:
    assert problem_of(browser.get("/no/such/path"))["code"] == "not_found"


def test_an_unknown_method_is_405_and_names_the_known_ones(browser: Client) -> None:
    response = browser.delete("/t/posted")

    assert (response.status_code, problem_of(response)["code"]) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "POST, OPTIONS"


def test_what_we_cannot_write_is_406(browser: Client) -> None:
    response = browser.get("/t/asking", headers={"Accept": "application/xml"})

    assert (response.status_code, problem_of(response)["code"]) == (406, "not_acceptable")


def test_what_we_cannot_read_is_415(browser: Client) -> None:
    response = browser.post("/t/posted", "a=1", content_type="application/x-www-form-urlencoded")

    assert (response.status_code, problem_of(response)["code"]) == (415, "unsupported_media_type")


def test_a_body_too_long_is_413(browser: Client, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    long = '{"name": "' + "x" * 100 + '"}'

    response = browser.post("/t/posted", long, content_type="application/json")

    assert (response.status_code, problem_of(response)["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("body", [b"{", b'{"a": NaN}', b"\xff", b'{"name": "\xed\xa0\x80"}', b"[" * 100_000, b"'{}'"])
def test_a_body_that_is_no_json_is_400(browser: Client, body: bytes) -> None:
    response = browser.post("/t/posted", body, content_type="application/json")

    assert (response.status_code, problem_of(response)["code"]) == (400, "malformed_body")


def test_too_often_is_429_with_the_wait_in_whole_seconds(browser: Client) -> None:
    response = browser.get("/t/throttled")

    assert (response.status_code, problem_of(response)["code"]) == (429, "throttled")
    assert response.headers["Retry-After"] == "3"


def test_no_token_is_401_and_says_how_to_come_in(browser: Client) -> None:
    for token in ("", "Bearer", "Bearer nonsense", "Basic c2FtOnNhbQ=="):
        response = browser.get("/cart/me", headers={"Authorization": token} if token else {})

        assert response.status_code == 401, token
        assert problem_of(response)["code"] in {"not_authenticated", "token_not_valid"}
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_host_that_is_not_ours_is_400(browser: Client) -> None:
    response = browser.get("/t/absolute", headers={"Host": "evil.example"})

    assert (response.status_code, problem_of(response)["code"]) == (400, "malformed_request")


def test_a_defect_outside_the_api_is_500_and_leaks_nothing(browser: Client) -> None:
    response = browser.get("/t/plain")

    assert (response.status_code, problem_of(response)["code"]) == (500, "internal_error")


@pytest.mark.parametrize("path", ["/t/raise/defect", "/t/plain", "/admin/t/plain"])
def test_a_defect_is_logged_with_its_traceback_and_its_request(
    browser: Client, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    browser.get(path, headers={"X-Request-ID": "find-me"})

    [line] = [record for record in caplog.records if "request.failed" in str(record.msg)]
    assert isinstance(line.msg, dict)
    assert isinstance(line.msg["exc_info"], RuntimeError)
    assert line.msg["request_id"] == "find-me"


@pytest.fixture
def locked() -> Iterator[None]:
    """Somebody else holds the table that `/t/locked` wants."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        be_patient()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE idempotency_key IN ACCESS EXCLUSIVE MODE")
            held.set()
            over.wait(90)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(90)
    yield
    over.set()
    holder.join(90)


@pytest.mark.django_db(transaction=True)
def test_a_lock_waited_for_too_long_is_503(browser: Client, locked: None) -> None:
    response = browser.get("/t/locked")

    assert (response.status_code, problem_of(response)["code"]) == (503, "busy")
    assert response.headers["Retry-After"] == "2"


@pytest.mark.django_db(transaction=True)
def test_a_statement_that_takes_too_long_is_503(browser: Client) -> None:
    response = browser.get("/t/slow")

    assert (response.status_code, problem_of(response)["code"]) == (503, "busy")


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_503_and_back_again_is_not(browser: Client) -> None:
    there = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(HOST="127.0.0.1", PORT=any_free())
    try:
        response = browser.get("/t/asking")
    finally:
        connection.close()
        connection.settings_dict.update(there)

    assert (response.status_code, problem_of(response)["code"]) == (503, "database_unavailable")
    assert response.headers["Retry-After"] == "2"
    assert browser.get("/t/asking").status_code == 200


def test_errors_by_place_are_named_by_place() -> None:
    response = for_exception(ValidationError([{"sku": ["Unknown."]}, {}, {"sku": ["Unknown."]}], code="unknown"))

    assert response
    errors = json.loads(response.content)["errors"]
    assert [(error["pointer"], error["code"]) for error in errors] == [("/0/sku", "unknown"), ("/2/sku", "unknown")]


def test_what_is_not_anticipated_is_left_to_others() -> None:
    assert for_exception(KeyError("x")) is None
    assert exception_handler(KeyError("x"), {}) is None


def test_a_problem_does_not_repeat_a_card_number_or_a_key() -> None:
    sent = "4242 4242 4242 4242"

    answer = problem(
        400, code="odd", detail=f"{sent} is odd", data={"errors": [{"pointer": f"/{sent}"}], "lines": (1, sent)}
    )

    body = json.loads(answer.content)
    assert (body["detail"], body["errors"], body["lines"]) == ("*** is odd", [{"pointer": "/***"}], [1, "***"])
