"""The sandbox's real process, and an ear that keeps its callbacks byte by byte."""

from collections.abc import Iterator
from datetime import datetime, tzinfo

import pytest
from pytest_django import Settings

from integrations.gateways.sandbox import SandboxGateway
from tests.integrations.gateways.fakes.mollie import KEY as MOLLIE_KEY
from tests.integrations.gateways.fakes.mollie import MollieFake
from tests.integrations.gateways.fakes.stripe import KEY as STRIPE_KEY
from tests.integrations.gateways.fakes.stripe import StripeFake
from tests.integrations.gateways.providers import OURS, PATIENCE_SECONDS, Mollie, Provider, Sandbox, Stripe
from tests.integrations.sandbox_gateway.harness import SECRET, WEBHOOK_SECRET, Gateway, Receiver


class Ear(Receiver):
    """Keeps what came in as it came in."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[bytes, dict[str, str]]] = []

    def take(self, *, path: str, body: bytes, headers: dict[str, str]) -> int:
        """Keep the request, then do as any receiver."""
        self.heard.append((body, {name.lower(): value for name, value in headers.items()}))
        return super().take(path=path, body=body, headers=headers)


@pytest.fixture
def library_clock(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock that Standard Webhooks' library goes by at the test's own instant, however long the test takes."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Stopped":
            return cls.fromtimestamp(now.timestamp(), tz)

    monkeypatch.setattr("standardwebhooks.webhooks.datetime", Stopped)


@pytest.fixture(scope="session")
def _ear() -> Iterator[Ear]:
    ear = Ear()
    yield ear
    ear.close()


@pytest.fixture(scope="session")
def _process(tmp_path_factory: pytest.TempPathFactory, _ear: Ear) -> Iterator[Gateway]:
    process = Gateway(folder=tmp_path_factory.mktemp("gateway"), callback_url=_ear.url)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def ear(_ear: Ear) -> Ear:
    """What the gateway's callbacks came in as."""
    return _ear


@pytest.fixture
def process(_process: Gateway) -> Iterator[Gateway]:
    """The gateway's process, without faults."""
    _process.faults()
    yield _process
    _process.faults()


@pytest.fixture
def sandbox(process: Gateway, settings: Settings) -> SandboxGateway:
    """The adapter, connected to the process."""
    settings.SANDBOX_GATEWAY_URL = process.url
    settings.SANDBOX_GATEWAY_SECRET = SECRET
    settings.SANDBOX_WEBHOOK_SECRETS = [WEBHOOK_SECRET]
    settings.GATEWAY_READ_TIMEOUT_SECONDS = settings.PAYMENT_LOOK_TIMEOUT_SECONDS = PATIENCE_SECONDS
    return SandboxGateway()


@pytest.fixture
def stripe_fake(settings: Settings) -> Iterator[StripeFake]:
    """A stand-in for Stripe, and the settings that lead there."""
    fake = StripeFake(largest_page=7)
    settings.STRIPE_API_URL = fake.url
    settings.STRIPE_SECRET_KEY = STRIPE_KEY
    settings.STRIPE_WEBHOOK_SECRETS = [OURS]
    settings.GATEWAY_READ_TIMEOUT_SECONDS = settings.PAYMENT_LOOK_TIMEOUT_SECONDS = PATIENCE_SECONDS
    yield fake
    fake.close()


@pytest.fixture
def mollie_fake(settings: Settings) -> Iterator[MollieFake]:
    """A stand-in for Mollie, and the settings that lead there."""
    fake = MollieFake(largest_page=7)
    settings.MOLLIE_API_URL = fake.url
    settings.MOLLIE_API_KEY = MOLLIE_KEY
    settings.MOLLIE_WEBHOOK_SECRETS = [OURS]
    settings.PUBLIC_URL = "https://shop.example.com"
    settings.GATEWAY_READ_TIMEOUT_SECONDS = settings.PAYMENT_LOOK_TIMEOUT_SECONDS = PATIENCE_SECONDS
    yield fake
    fake.close()


@pytest.fixture(params=["sandbox", "stripe", "mollie"])
def provider(request: pytest.FixtureRequest, settings: Settings) -> Provider:
    """Each provider in turn."""
    if request.param == "stripe":
        return Stripe(request.getfixturevalue("stripe_fake"))
    if request.param == "mollie":
        return Mollie(request.getfixturevalue("mollie_fake"))
    request.getfixturevalue("sandbox")
    settings.SANDBOX_WEBHOOK_SECRETS = [OURS]
    return Sandbox(request.getfixturevalue("process"))
