import json

import pytest
from cloudevents.core.bindings import kafka as sdk

from integrations.kafka.client import Received
from integrations.kafka.envelope import arrived, headers_of, of_log, source_of
from integrations.kafka.errors import Unreadable
from shop.kernel.events import event_classes
from shop.kernel.ids import new_id
from shop.kernel.outbox.dto import Told
from tests.shop.kernel.outbox.factories import AT, expired

KEY = new_id()
TOLD = Told(
    id=new_id(),
    topic="order.expired",
    type="order.expired.v1",
    key=KEY,
    sequence=3,
    data=expired(order_id=KEY).encode(),
    headers={"correlationid": "request-1", "causationid": "event-0", "traceparent": "00-ab-cd-01"},
    occurred_at=AT,
)


def received(**changes: bytes | None) -> Received:
    headers = dict(headers_of(TOLD)) | {name: value for name, value in changes.items() if value is not None}
    left = {name: value for name, value in headers.items() if changes.get(name, b"") is not None}
    return Received(topic=TOLD.topic, partition=0, offset=0, key=str(KEY).encode(), value=TOLD.data, headers=left)


def test_headers_are_those_of_cloudevents_in_binary_mode() -> None:
    assert dict(headers_of(TOLD)) == {
        "ce_specversion": b"1.0",
        "content-type": b"application/json",
        "ce_id": str(TOLD.id).encode(),
        "ce_type": b"order.expired.v1",
        "ce_source": b"/shop/orders",
        "ce_subject": str(KEY).encode(),
        "ce_time": b"2026-11-22T12:00:00.000Z",
        "ce_sequence": b"3",
        "ce_correlationid": b"request-1",
        "ce_causationid": b"event-0",
        "traceparent": b"00-ab-cd-01",
    }


def test_the_official_sdk_reads_a_message() -> None:
    message = sdk.KafkaMessage(headers=dict(headers_of(TOLD)), key=str(KEY), value=TOLD.data)

    event = sdk.from_binary_event(message)

    assert (event.get_id(), event.get_type(), event.get_source()) == (str(TOLD.id), "order.expired.v1", "/shop/orders")
    assert (event.get_subject(), event.get_time(), event.get_specversion()) == (str(KEY), AT, "1.0")
    assert event.get_extension("sequence") == "3"
    assert event.get_extension("correlationid") == "request-1"
    assert event.get_data() == json.loads(TOLD.data)


def test_every_event_names_the_context_that_declares_it() -> None:
    sources = {name: source_of(name).decode() for name in event_classes()}

    assert sources["order.created.v1"] == "/shop/orders"
    assert sources["payment.success.v1"] == "/shop/payments"
    assert sources["analytics.events.v1"] == "/shop"
    assert source_of("nobody.knows.v9") == b"/shop"


def test_what_was_sent_arrives() -> None:
    event = arrived(received())

    assert (event.id, event.type, event.key, event.data) == (TOLD.id, TOLD.type, str(KEY), TOLD.data)
    assert (event.correlation_id, event.traceparent) == ("request-1", "00-ab-cd-01")
    assert event == of_log(TOLD)


@pytest.mark.parametrize(
    "broken",
    [
        {"ce_id": None},
        {"ce_id": b"17"},
        {"ce_type": None},
        {"ce_type": b"\xff\xfe"},
        {"ce_correlationid": b"zero \0 byte"},
    ],
)
def test_what_is_no_cloudevent_is_unreadable(broken: dict[str, bytes | None]) -> None:
    with pytest.raises(Unreadable):
        arrived(received(**broken))
