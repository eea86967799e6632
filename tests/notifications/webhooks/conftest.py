"""A merchant's system that can be told how to answer."""

from datetime import datetime

import pytest
from pytest_django.fixtures import Settings

from notifications.dto import EndpointView
from notifications.services.webhooks import sending
from tests.notifications.webhooks import factories


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> factories.FakeSender:
    """The sender everything goes through."""
    fake = factories.FakeSender()
    monkeypatch.setattr(sending, "_sender", lambda _path: fake)
    return fake


@pytest.fixture
def endpoint(db: None, sender: factories.FakeSender, now: datetime) -> EndpointView:
    """An endpoint that hears everything."""
    return factories.endpoint(now=now)


@pytest.fixture(autouse=True)
def _schedule(settings: Settings) -> None:
    settings.WEBHOOK_SECRET_KEYS = ["k" * 32]
    settings.WEBHOOK_RETRY_DELAYS_SECONDS = [5, 300, 1_800]
    settings.WEBHOOK_CIRCUIT_FAILURES = 3
    settings.WEBHOOK_CIRCUIT_PAUSES_SECONDS = [60, 300]
