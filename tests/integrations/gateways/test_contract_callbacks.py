"""What every gateway keeps of callbacks: who is believed, for how long, and what is no message."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from payments.ports import CallbackInvalid
from tests.integrations.gateways.factories import opened, paid
from tests.integrations.gateways.providers import OLD, OURS, THEIRS, Provider, spoiled


@pytest.fixture
def now() -> datetime:
    """The present: libraries read the clock themselves."""
    return datetime.now(UTC)


def test_a_callback_leads_to_its_session(provider: Provider, now: datetime) -> None:
    session = paid(provider)
    body = provider.body(session)

    (message,) = provider.gateway.parse_callback(body=body, headers=provider.headers(body, at=now), now=now)

    assert provider.gateway.fetch_session(message.session_id) == session
    assert 0 < len(message.event_id) <= 200


def test_a_callback_about_a_refund_says_so_and_leads_to_the_session_too(provider: Provider, now: datetime) -> None:
    session = paid(provider)
    body = provider.body(session, about_refund=True)

    (message,) = provider.gateway.parse_callback(body=body, headers=provider.headers(body, at=now), now=now)

    assert message.concerns_refunds
    assert provider.gateway.fetch_session(message.session_id) == session


def test_a_callback_of_a_stranger_is_refused(provider: Provider, now: datetime) -> None:
    body = provider.body(opened(provider))

    with pytest.raises(CallbackInvalid):
        provider.gateway.parse_callback(body=body, headers=provider.headers(body, at=now, secret=THEIRS), now=now)


def test_while_a_secret_is_rotated_both_are_good_and_afterwards_the_old_is_not(
    provider: Provider, now: datetime
) -> None:
    body = provider.body(opened(provider))
    by_old, by_new = (provider.headers(body, at=now, secret=secret) for secret in (OLD, OURS))
    provider.believe(OURS, OLD)
    assert provider.gateway.parse_callback(body=body, headers=by_old, now=now)
    assert provider.gateway.parse_callback(body=body, headers=by_new, now=now)

    provider.believe(OURS)

    assert provider.gateway.parse_callback(body=body, headers=by_new, now=now)
    with pytest.raises(CallbackInvalid):
        provider.gateway.parse_callback(body=body, headers=by_old, now=now)


def test_without_any_secret_nothing_is_believed(provider: Provider, now: datetime) -> None:
    body = provider.body(opened(provider))
    headers = provider.headers(body, at=now)
    provider.believe()

    with pytest.raises(CallbackInvalid):
        provider.gateway.parse_callback(body=body, headers=headers, now=now)


@pytest.mark.parametrize("seconds", [-302, 302, -86_400, 86_400 * 365])
def test_the_old_and_the_future_are_refused_where_time_is_signed(
    provider: Provider, seconds: int, now: datetime
) -> None:
    body = provider.body(opened(provider))
    headers = provider.headers(body, at=now + timedelta(seconds=seconds))

    if not provider.signs:
        assert provider.gateway.parse_callback(body=body, headers=headers, now=now)
        return
    with pytest.raises(CallbackInvalid):
        provider.gateway.parse_callback(body=body, headers=headers, now=now)


@pytest.mark.usefixtures("library_clock")
@pytest.mark.parametrize("seconds", [-298, 298])
def test_five_minutes_either_way_are_forgiven(provider: Provider, seconds: int, now: datetime) -> None:
    body = provider.body(opened(provider))
    headers = provider.headers(body, at=now + timedelta(seconds=seconds))

    assert provider.gateway.parse_callback(body=body, headers=headers, now=now)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body + b" ",
        lambda body: body.replace(b'": ', b'":').replace(b"=", b"%3D"),
        lambda _: b"",
    ],
)
def test_a_body_other_than_the_signed_one_is_refused(
    provider: Provider, change: Callable[[bytes], bytes], now: datetime
) -> None:
    body = provider.body(opened(provider))
    headers = provider.headers(body, at=now)

    with pytest.raises(CallbackInvalid):
        provider.gateway.parse_callback(body=change(body), headers=headers, now=now)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b"{",
        b"\xff\xfe",
        b"\x00",
        b"id=",
        b"[" * 5_000,
        b"id=tr_x%00",
        b"a" * 9_999,
    ],
)
def test_what_is_vouched_for_but_no_message_is_refused(provider: Provider, body: bytes, now: datetime) -> None:
    with pytest.raises(CallbackInvalid):
        provider.gateway.parse_callback(body=body, headers=provider.headers(body, at=now), now=now)


def test_a_batch_is_refused_as_a_whole(provider: Provider, now: datetime) -> None:
    first, second = provider.body(opened(provider)), provider.body(opened(provider))
    body = b"[" + first + b"," + second + b"]" if provider.signs else first + b"&" + second

    with pytest.raises(CallbackInvalid):
        provider.gateway.parse_callback(body=body, headers=provider.headers(body, at=now), now=now)


@pytest.mark.parametrize(
    "by",
    [
        lambda _: "",
        lambda _: "\udcff",
        lambda _: "v1,sch\u00f6n",
        lambda _: "t=1,v1=sch\u00f6n",
        lambda _: "=,=,=",
        lambda _: "for=a&token=sch\u00f6n",
        lambda _: "for=%ff&token=%ff",
        lambda value: value[:-1] + ("0" if value[-1] != "0" else "1"),
        lambda value: "x" + value,
        lambda _: "9" * 9_999,
    ],
)
def test_a_spoiled_header_is_refused(provider: Provider, by: Callable[[str], str], now: datetime) -> None:
    body = provider.body(opened(provider))

    for headers in spoiled(provider.headers(body, at=now), by=by):
        with pytest.raises(CallbackInvalid):
            provider.gateway.parse_callback(body=body, headers=headers, now=now)


def test_a_missing_header_is_refused(provider: Provider, now: datetime) -> None:
    body = provider.body(opened(provider))

    with pytest.raises(CallbackInvalid):
        provider.gateway.parse_callback(body=body, headers={"content-type": "application/json"}, now=now)
