"""The rules circuits keep in these tests, and the clock they go by."""

import pytest
from pytest_django import Settings

from payments.services import circuits
from tests.payments.circuits import PAUSE_SECONDS, Watch


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """The clock circuits go by."""
    watch = Watch()
    monkeypatch.setattr(circuits, "time", watch)
    return watch


@pytest.fixture
def circuit_rules(settings: Settings) -> None:
    """Two calls at once, nobody waits, and three silences open the circuit."""
    settings.GATEWAY_CALLS_AT_ONCE = 2
    settings.GATEWAY_SLOT_WAIT_SECONDS = 0.0
    settings.GATEWAY_CIRCUIT_SILENCES = 3
    settings.GATEWAY_CIRCUIT_WINDOW_SECONDS = 60
    settings.GATEWAY_CIRCUIT_PAUSE_SECONDS = PAUSE_SECONDS
