"""One event of every type, sent by the relay and read back from the broker."""

import pytest

from integrations.kafka.client import Received, read_back
from integrations.kafka.topics import declared_topics, ensure_topics
from shop.kernel.outbox.models import LoggedEvent, PendingEvent
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.kafka.conftest import relaying, wait_until
from tests.integrations.kafka.contracts.samples import EVENTS


@pytest.fixture
def sent(transactional_db: None) -> dict[str, Received]:
    """The record of each type's sample, by type, as the broker keeps it."""
    ensure_topics()
    with open_unit_of_work():
        for event in EVENTS:
            publish(event)
    ids = {str(event_id).encode() for event_id in LoggedEvent.objects.values_list("id", flat=True)}
    with relaying():
        wait_until(lambda: not PendingEvent.objects.exists())
    records = [record for record in read_back(topics=declared_topics()) if record.headers.get("ce_id") in ids]
    assert len(records) == len(EVENTS)
    return {record.headers["ce_type"].decode(): record for record in records}
