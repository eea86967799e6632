"""Throttles count in Redis, and a Redis that is away costs no sale."""

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from integrations.embedded.ports import any_free
from shop.kernel.http.throttling import AddressThrottle, GuestThrottle


@pytest.fixture(autouse=True)
def _two_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GuestThrottle, "THROTTLE_RATES", {"guest": "2/min"})


def test_an_address_is_stopped_after_its_share_and_others_are_not(browser: Client) -> None:
    answers = [browser.get("/t/counted", REMOTE_ADDR="10.0.0.1").status_code for _ in range(3)]

    assert answers == [200, 200, 429]
    assert browser.get("/t/counted", REMOTE_ADDR="10.0.0.2").status_code == 200


def test_who_is_stopped_hears_when_to_come_back(browser: Client) -> None:
    for _ in range(2):
        browser.get("/t/counted")
    response = browser.get("/t/counted")

    assert response.json()["code"] == "throttled"
    assert 1 <= int(response.headers["Retry-After"]) <= 60


def test_a_forwarded_address_is_believed_only_behind_known_proxies(browser: Client) -> None:
    answers = [
        browser.get("/t/counted", headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code for number in range(3)
    ]

    assert answers == [200, 200, 429]


def test_redis_away_lets_everybody_through_and_says_so(
    browser: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    here = settings.CACHES["default"]
    settings.CACHES = {"default": {**here, "LOCATION": f"redis://127.0.0.1:{any_free()}/0"}}

    answers = [browser.get("/t/counted").status_code for _ in range(4)]

    assert answers == [200] * 4
    assert sum("throttle.skipped" in str(record.msg) for record in caplog.records) == 4
    caches.close_all()


def test_a_throttle_without_a_scope_is_a_defect() -> None:
    class Nameless(AddressThrottle):
        """Forgot its scope."""

        rate = "1/min"

    with pytest.raises(ImproperlyConfigured, match="names no scope"):
        Nameless().get_cache_key(Request(APIRequestFactory().get("/")), APIView())
