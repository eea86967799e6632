"""One gateway process for all tests of this folder that do not kill theirs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.sandbox_gateway.harness import Gateway, Receiver


@pytest.fixture(scope="session")
def _shared_receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def _shared_gateway(tmp_path_factory: pytest.TempPathFactory, _shared_receiver: Receiver) -> Iterator[Gateway]:
    gateway = Gateway(folder=tmp_path_factory.mktemp("gateway"), callback_url=_shared_receiver.url)
    gateway.start()
    yield gateway
    gateway.stop()
    log = gateway.log.read_text()
    assert "api.defect" not in log
    assert "Traceback" not in log
    assert _shared_receiver.unverified == []


@pytest.fixture
def receiver(_shared_receiver: Receiver) -> Iterator[Receiver]:
    """The shop's end of the callbacks, answering 200 unless the test says otherwise."""
    yield _shared_receiver
    _shared_receiver.answer = lambda _event: 200


@pytest.fixture
def gateway(_shared_gateway: Gateway, receiver: Receiver) -> Iterator[Gateway]:
    """A running gateway without faults."""
    _shared_gateway.faults()
    yield _shared_gateway
    _shared_gateway.faults()


@pytest.fixture
def own_gateway(tmp_path: Path, receiver: Receiver) -> Iterator[Gateway]:
    """A gateway not started yet, which the test may kill."""
    gateway = Gateway(folder=tmp_path, callback_url=receiver.url)
    yield gateway
    if gateway.process is not None and gateway.process.poll() is None:
        gateway.stop()
    gateway.http.clear()
