"""Probes and metrics: what is asked by machines, and who may."""

from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from pytest_django import Settings

from integrations.embedded.ports import any_free
from integrations.kafka.client import administration

EVERYTHING = ["database", "kafka", "migrations", "redis"]


@pytest.fixture
def _patience_with_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a broker that is there as long as a busy machine takes."""
    monkeypatch.setattr(administration, "PROBE_SECONDS", 90.0)


def reasons(response: Any) -> dict[str, str]:
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Retry-After"] == "5"
    assert response.json()["code"] == "not_ready"
    found: dict[str, str] = response.json()["reasons"]
    return found


def test_a_process_that_answers_is_alive_whatever_else_is_not(browser: Client) -> None:
    response = browser.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "alive"})


@pytest.mark.django_db
@pytest.mark.usefixtures("_patience_with_kafka")
def test_a_process_is_ready_when_everything_is_there(browser: Client) -> None:
    response = browser.get("/readyz")

    assert response.status_code == 200, response.content
    assert response.json()["status"] == "ready"
    assert sorted(response.json()["checks"]) == EVERYTHING


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_patience_with_kafka")
def test_a_database_that_is_away_is_named(browser: Client) -> None:
    there = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(HOST="127.0.0.1", PORT=any_free())
    try:
        found = reasons(browser.get("/readyz"))
    finally:
        connection.close()
        connection.settings_dict.update(there)

    assert sorted(found) == ["database", "migrations"]
    assert found["database"].startswith("OperationalError: ")
    assert "\n" not in found["database"]


@pytest.mark.django_db
@pytest.mark.usefixtures("_patience_with_kafka")
def test_redis_away_is_named(browser: Client, settings: Settings) -> None:
    here = settings.CACHES["default"]
    settings.CACHES = {"default": {**here, "LOCATION": f"redis://127.0.0.1:{any_free()}/0"}}

    found = reasons(browser.get("/readyz"))

    assert list(found) == ["redis"]
    assert "ConnectionError" in found["redis"]
    caches.close_all()


@pytest.mark.django_db
def test_kafka_away_is_named(browser: Client, settings: Settings) -> None:
    settings.KAFKA_BOOTSTRAP_SERVERS = f"127.0.0.1:{any_free()}"
    administration._asker.cache_clear()

    found = reasons(browser.get("/readyz"))

    assert list(found) == ["kafka"]
    assert found["kafka"]


@pytest.mark.django_db
@pytest.mark.usefixtures("_patience_with_kafka")
def test_migrations_that_are_missing_are_counted(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: [object(), object()])

    assert reasons(browser.get("/readyz")) == {"migrations": "2 migrations are not applied."}


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.0.9", "172.20.0.2", "::1", "fd00::1", "::ffff:10.0.0.1"]
)
def test_the_own_network_may_scrape(browser: Client, address: str) -> None:
    response = browser.get("/metrics", REMOTE_ADDR=address)

    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    assert b"django_http_requests_latency_seconds" in response.content


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450::1", "::ffff:8.8.8.8", "", "not an address"])
def test_others_may_not(browser: Client, address: str) -> None:
    response = browser.get("/metrics", REMOTE_ADDR=address)

    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="metrics"'


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto"])
def test_who_comes_through_a_proxy_is_not_the_own_network(browser: Client, header: str) -> None:
    assert browser.get("/metrics", headers={header: "127.0.0.1"}).status_code == 401


def test_the_token_opens_from_anywhere_and_a_wrong_one_from_nowhere(browser: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = "let-me-in"

    def scrape(token: str, address: str) -> int:
        return browser.get("/metrics", REMOTE_ADDR=address, headers={"Authorization": token}).status_code

    assert scrape("Bearer let-me-in", "8.8.8.8") == 200
    assert scrape("Bearer let-me-out", "8.8.8.8") == 401
    assert scrape("Bearer let-me-öut", "127.0.0.1") == 401
    assert scrape("Basic let-me-in", "8.8.8.8") == 401


def test_without_a_token_set_an_empty_one_opens_nothing(browser: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = ""

    assert browser.get("/metrics", REMOTE_ADDR="8.8.8.8", headers={"Authorization": "Bearer "}).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_what_is_for_reading_is_not_written_to(browser: Client, path: str) -> None:
    response = browser.post(path)

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, HEAD"
