"""Which messages the sandbox's adapter believes. Signed by the library, spoiled by hand."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings
from standardwebhooks import Webhook, WebhookVerificationError

from integrations.gateways.sandbox import SandboxGateway
from payments.dto import CallbackMessage
from payments.ports import CallbackInvalid

OURS = "whsec_" + base64.b64encode(b"the-secret-of-today-0000000000001").decode()
OLD = "whsec_" + base64.b64encode(b"the-secret-of-yesterday-000000002").decode()
THEIRS = "whsec_" + base64.b64encode(b"somebody-elses-secret-00000000003").decode()
EVENT: dict[str, Any] = {
    "id": "evt_1",
    "type": "session.paid",
    "created_at": "2026-11-22T12:00:00.000000Z",
    "mode": "test",
    "data": {"id": "sess_1"},
}
BODY = json.dumps(EVENT).encode()


@pytest.fixture
def sandbox(settings: Settings) -> SandboxGateway:
    settings.SANDBOX_WEBHOOK_SECRETS = [OURS]
    return SandboxGateway()


@pytest.fixture
def now() -> datetime:
    """The present: the library reads the clock itself."""
    return datetime.now(UTC)


def signed(body: bytes, at: datetime, *, secret: str = OURS, event_id: str = "evt_1") -> dict[str, str]:
    """Return the headers for a body of any bytes, also of those the library would not sign."""
    stamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def test_a_signed_message_is_believed(sandbox: SandboxGateway, now: datetime) -> None:
    messages = sandbox.parse_callback(body=BODY, headers=signed(BODY, now), now=now)

    assert messages == [CallbackMessage("evt_1", "session.paid", "sess_1", datetime(2026, 11, 22, 12, tzinfo=UTC))]


def test_our_way_of_signing_here_is_the_librarys(now: datetime) -> None:
    assert signed(BODY, now)["webhook-signature"] == Webhook(OURS).sign("evt_1", now, BODY.decode())


def test_a_message_about_a_refund_names_its_session(sandbox: SandboxGateway, now: datetime) -> None:
    body = json.dumps(EVENT | {"type": "refund.succeeded", "data": {"id": "ref_1", "session_id": "sess_9"}}).encode()

    (message,) = sandbox.parse_callback(body=body, headers=signed(body, now), now=now)

    assert message.session_id == "sess_9"


def test_while_a_secret_is_rotated_both_are_good_and_afterwards_the_old_is_not(
    sandbox: SandboxGateway, settings: Settings, now: datetime
) -> None:
    by_old = signed(BODY, now, secret=OLD)
    settings.SANDBOX_WEBHOOK_SECRETS = [OURS, OLD]
    assert sandbox.parse_callback(body=BODY, headers=by_old, now=now)
    assert sandbox.parse_callback(body=BODY, headers=signed(BODY, now), now=now)

    settings.SANDBOX_WEBHOOK_SECRETS = [OURS]

    with pytest.raises(CallbackInvalid):
        sandbox.parse_callback(body=BODY, headers=by_old, now=now)


def test_several_signatures_in_one_header_are_tried(sandbox: SandboxGateway, now: datetime) -> None:
    headers = signed(BODY, now)
    other = signed(BODY, now, secret=THEIRS)["webhook-signature"]

    for signature in (f"{other} {headers['webhook-signature']}", f"v2,AAAA {headers['webhook-signature']}"):
        assert sandbox.parse_callback(body=BODY, headers=headers | {"webhook-signature": signature}, now=now)


@pytest.mark.usefixtures("library_clock")
@pytest.mark.parametrize("seconds", [-299, 299])
def test_five_minutes_either_way_are_forgiven(seconds: int, sandbox: SandboxGateway, now: datetime) -> None:
    headers = signed(BODY, now + timedelta(seconds=seconds))

    assert sandbox.parse_callback(body=BODY, headers=headers, now=now)


@pytest.mark.parametrize("seconds", [-302, 302, -86_400, 86_400 * 365])
def test_the_old_and_the_future_are_refused(seconds: int, sandbox: SandboxGateway, now: datetime) -> None:
    with pytest.raises(CallbackInvalid):
        sandbox.parse_callback(body=BODY, headers=signed(BODY, now + timedelta(seconds=seconds)), now=now)


def test_the_library_refuses_the_future_by_itself(now: datetime) -> None:
    with pytest.raises(WebhookVerificationError, match="too new"):
        Webhook(OURS).verify(BODY, signed(BODY, now + timedelta(seconds=400)))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(EVENT, indent=1).encode(),
        BODY + b" ",
        BODY.replace(b"sess_1", b"sess_2"),
        b"",
    ],
)
def test_another_body_under_the_same_signature_is_refused(body: bytes, sandbox: SandboxGateway, now: datetime) -> None:
    with pytest.raises(CallbackInvalid):
        sandbox.parse_callback(body=body, headers=signed(BODY, now), now=now)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b"{",
        b"\xff\xfe",
        b'{"id": "\xff"}',
        b"[" * 5_000,
        json.dumps([EVENT, EVENT]).encode(),
        json.dumps(EVENT | {"data": []}).encode(),
        json.dumps(EVENT | {"data": {"id": 7}}).encode(),
        json.dumps(EVENT | {"data": {"id": ""}}).encode(),
        json.dumps(EVENT | {"data": {"id": "sess_\x00"}}).encode(),
        json.dumps(EVENT | {"data": {"id": "s" * 201}}).encode(),
        json.dumps(EVENT | {"type": None}).encode(),
        json.dumps(EVENT | {"created_at": "yesterday"}).encode(),
    ],
)
def test_what_is_signed_but_no_event_is_refused(body: bytes, sandbox: SandboxGateway, now: datetime) -> None:
    with pytest.raises(CallbackInvalid):
        sandbox.parse_callback(body=body, headers=signed(body, now), now=now)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,not base64"},
        {"webhook-signature": "v1,====="},
        {"webhook-signature": "v1,a,b"},
        {"webhook-signature": "v1,sch\u00f6n"},
        {"webhook-signature": "\udcff"},
        {"webhook-signature": "   "},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "inf"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "1_0"},
        {"webhook-id": ""},
        {"webhook-id": "evt_2"},
        {"webhook-id": "\udcff"},
    ],
)
def test_a_spoiled_header_is_refused(spoiled: dict[str, str], sandbox: SandboxGateway, now: datetime) -> None:
    with pytest.raises(CallbackInvalid):
        sandbox.parse_callback(body=BODY, headers=signed(BODY, now) | spoiled, now=now)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_refused(missing: str, sandbox: SandboxGateway, now: datetime) -> None:
    headers = signed(BODY, now)
    del headers[missing]

    with pytest.raises(CallbackInvalid):
        sandbox.parse_callback(body=BODY, headers=headers, now=now)


def test_somebody_elses_signature_is_refused(sandbox: SandboxGateway, now: datetime) -> None:
    with pytest.raises(CallbackInvalid):
        sandbox.parse_callback(body=BODY, headers=signed(BODY, now, secret=THEIRS), now=now)


def test_without_any_secret_nothing_is_believed(sandbox: SandboxGateway, settings: Settings, now: datetime) -> None:
    settings.SANDBOX_WEBHOOK_SECRETS = []

    with pytest.raises(CallbackInvalid):
        sandbox.parse_callback(body=BODY, headers=signed(BODY, now), now=now)
