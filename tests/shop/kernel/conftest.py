"""What the tests of the kernel share."""

import pytest

from shop.kernel import tasks


@pytest.fixture(autouse=True)
def _broker_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what an earlier test has made of the broker."""
    monkeypatch.setattr(tasks, "_away_until", 0.0, raising=False)
