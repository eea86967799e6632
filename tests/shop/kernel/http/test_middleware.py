"""A request has an id, which its answer and its log line carry; sessions are the admin's alone."""

from uuid import UUID

import pytest
from django.test import Client


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    found = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [line for line in found if line["event"] == "request.answered"]


@pytest.mark.parametrize("given", ["a", "0190-abc", "A.b:c_d-9", "x" * 64])
def test_a_request_keeps_the_id_it_came_with(browser: Client, given: str) -> None:
    assert browser.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "ü", '"; rm', "<script>"])
def test_what_is_no_id_is_replaced_by_one(browser: Client, given: str) -> None:
    answered = browser.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]

    assert UUID(answered).version == 7


@pytest.mark.parametrize("given", ["4242424242424242", "card:4242-4242-4242-4242", "sk_live_51H8abcdefghijkl"])
def test_what_looks_like_a_secret_is_no_id_since_ids_travel(browser: Client, given: str) -> None:
    answered = browser.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]

    assert UUID(answered).version == 7


def test_a_request_is_one_line_with_its_id(browser: Client, caplog: pytest.LogCaptureFixture) -> None:
    browser.get("/no/such/path?token=secret", headers={"X-Request-ID": "me"})

    [line] = lines(caplog)
    assert (line["method"], line["path"], line["status"], line["request_id"]) == ("GET", "/no/such/path", 404, "me")
    assert isinstance(line["duration_ms"], float)
    assert "secret" not in str(line)


def test_probes_write_no_line(browser: Client, caplog: pytest.LogCaptureFixture) -> None:
    for path in ("/healthz", "/metrics"):
        browser.get(path)

    assert lines(caplog) == []


@pytest.mark.django_db
def test_the_api_sets_no_cookie_and_varies_by_none(browser: Client) -> None:
    response = browser.post("/auth/guest", content_type="application/json")

    assert response.status_code == 201
    assert not response.cookies
    assert "Cookie" not in response.headers.get("Vary", "")


@pytest.mark.django_db
def test_the_admin_has_its_cookie_and_is_framed_by_nobody(browser: Client) -> None:
    response = browser.get("/admin/login/")

    assert response.status_code == 200
    assert "csrftoken" in response.cookies
    assert response.headers["X-Frame-Options"] == "DENY"
    assert "Cookie" in response.headers["Vary"]


@pytest.mark.django_db
def test_the_admin_is_guarded_against_forgery() -> None:
    browser = Client(enforce_csrf_checks=True)

    assert browser.post("/admin/login/", {"username": "x", "password": "x"}).status_code == 403


@pytest.mark.django_db
def test_a_defect_in_the_admin_keeps_django_s_page(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr("django.contrib.auth.views.LoginView.get_context_data", fail)

    response = browser.get("/admin/login/")

    assert response.status_code == 500
    assert b"inside" not in response.content
