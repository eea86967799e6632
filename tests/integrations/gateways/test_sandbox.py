"""The adapter against the sandbox's real process."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from integrations.gateways.http import Answer, GatewayHttp
from integrations.gateways.sandbox import SandboxGateway
from payments.dto import (
    CallbackMessage,
    GatewaySession,
    RefundRequest,
    RefundState,
    SessionRequest,
    SessionState,
)
from payments.ports import GatewayRefused, GatewayUnavailable
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from tests.integrations.gateways.conftest import Ear
from tests.integrations.gateways.factories import brief
from tests.integrations.gateways.providers import impatient
from tests.integrations.sandbox_gateway.harness import DECLINED, NO_FUNDS, PROCESSING, Gateway, eventually


def request(
    *, key: str | None = None, amount: Money | None = None, expires_at: datetime | None = None
) -> SessionRequest:
    return SessionRequest(
        idempotency_key=key or f"attempt-{new_id()}",
        reference="R7KD-2MNP-XW-3f9a1c22",
        amount=amount or Money(2_870, "EUR"),
        return_url="https://shop.example.com/thanks?payment_id=1",
        expires_at=expires_at or utc_now() + timedelta(minutes=30),
    )


def test_a_session_is_opened_as_it_was_wished_for(sandbox: SandboxGateway, process: Gateway) -> None:
    wished = request()

    session = sandbox.create_session(wished)

    assert session.state is SessionState.OPEN
    assert session.redirect_url == f"{process.url}/pay/{session.session_id}"
    assert (session.reference, session.amount, session.captured) == (wished.reference, wished.amount, Money(0, "EUR"))
    assert (session.live, session.failure_code) == (False, "")
    kept = process.fetch(session.session_id)
    instant = datetime.fromisoformat(kept["expires_at"])
    assert abs((instant - wished.expires_at).total_seconds()) < 0.001


def test_the_same_key_gives_the_same_session(sandbox: SandboxGateway) -> None:
    wished = request()

    assert sandbox.create_session(wished) == sandbox.create_session(wished)


def test_a_key_used_for_something_else_is_no_refusal_of_the_payment(sandbox: SandboxGateway) -> None:
    first = request()
    sandbox.create_session(first)

    with pytest.raises(GatewayUnavailable, match="idempotency_conflict"):
        sandbox.create_session(request(key=first.idempotency_key, amount=Money(1, "EUR")))


def test_a_request_that_will_never_do_is_refused(sandbox: SandboxGateway) -> None:
    with pytest.raises(GatewayRefused) as refused:
        sandbox.create_session(request(expires_at=utc_now() - timedelta(minutes=1)))

    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize(
    ("card", "state", "code"),
    [
        (None, SessionState.PAID, ""),
        (DECLINED, SessionState.FAILED, "card_declined"),
        (NO_FUNDS, SessionState.FAILED, "insufficient_funds"),
    ],
)
def test_what_the_shopper_did_is_the_gateways_word(
    card: str | None, state: SessionState, code: str, sandbox: SandboxGateway, process: Gateway
) -> None:
    session = sandbox.create_session(request())
    process.pay(session.session_id, *([card] if card else []))

    word = sandbox.fetch_session(session.session_id)

    assert (word.state, word.failure_code) == (state, code)
    assert word.captured == (word.amount if state is SessionState.PAID else Money(0, "EUR"))


def test_money_under_way_is_processing_and_then_paid(sandbox: SandboxGateway, process: Gateway) -> None:
    session = sandbox.create_session(request())
    process.pay(session.session_id, PROCESSING)

    assert sandbox.fetch_session(session.session_id).state is SessionState.PROCESSING
    eventually(lambda: sandbox.fetch_session(session.session_id).state is SessionState.PAID)


def test_a_shopper_may_cancel(sandbox: SandboxGateway, process: Gateway) -> None:
    session = sandbox.create_session(request())
    process.cancel(session.session_id)

    assert sandbox.fetch_session(session.session_id).state is SessionState.CANCELLED


def test_a_session_runs_out(sandbox: SandboxGateway) -> None:
    _, session = brief(sandbox, request)

    eventually(lambda: sandbox.fetch_session(session.session_id).state is SessionState.EXPIRED)


def test_an_open_session_is_closed_once_and_for_all(sandbox: SandboxGateway, process: Gateway) -> None:
    session = sandbox.create_session(request())

    first, again = sandbox.close_session(session.session_id), sandbox.close_session(session.session_id)

    assert (first.state, again.state) == (SessionState.CLOSED, SessionState.CLOSED)
    assert process.pay(session.session_id).status == 409


def test_a_paid_session_is_not_closed_but_returned(sandbox: SandboxGateway, process: Gateway) -> None:
    session = sandbox.create_session(request())
    process.pay(session.session_id)

    word = sandbox.close_session(session.session_id)

    assert (word.state, word.captured) == (SessionState.PAID, session.amount)


@pytest.mark.parametrize("session_id", ["sess_unheard_of", "../refunds", "a/b?c=d#e", "x y"])
def test_a_session_the_gateway_does_not_know_is_refused(session_id: str, sandbox: SandboxGateway) -> None:
    with pytest.raises(GatewayRefused) as refused:
        sandbox.fetch_session(session_id)

    assert refused.value.code == "not_found"


def test_sessions_are_listed_oldest_first_over_pages(sandbox: SandboxGateway) -> None:
    before = utc_now() - timedelta(milliseconds=2)
    made = [sandbox.create_session(request()).session_id for _ in range(60)]

    listed = [session.session_id for session in sandbox.list_sessions(created_after=before)]

    assert listed == made


def test_an_answer_that_comes_too_late_is_unknown_and_the_key_finds_what_was_done(
    sandbox: SandboxGateway, process: Gateway
) -> None:
    before, wished = utc_now() - timedelta(milliseconds=2), request()
    process.faults(timeout_after_doing=True)

    def made() -> list[str]:
        with impatient(), pytest.raises(GatewayUnavailable, match="no answer in time"):
            sandbox.create_session(wished)
        # A gateway that had not begun by then never does.
        return [session.session_id for session in sandbox.list_sessions(created_after=before)]

    (session_id,) = eventually(made)
    process.faults()

    assert sandbox.create_session(wished).session_id == session_id


def test_five_hundred_and_then_two_hundred_is_one_session(sandbox: SandboxGateway, process: Gateway) -> None:
    process.faults(fail_requests=2)
    before = utc_now() - timedelta(milliseconds=2)

    session = sandbox.create_session(request())

    assert [listed.session_id for listed in sandbox.list_sessions(created_after=before)] == [session.session_id]


def test_only_two_repeats_are_made(sandbox: SandboxGateway, process: Gateway) -> None:
    process.faults(fail_requests=3)

    with pytest.raises(GatewayUnavailable, match="status 500"):
        sandbox.create_session(request())

    assert sandbox.create_session(request()).state is SessionState.OPEN


def test_a_lie_about_the_amount_comes_through_as_it_was_told(sandbox: SandboxGateway, process: Gateway) -> None:
    session = sandbox.create_session(request())
    process.faults(wrong_amount=1)

    assert sandbox.fetch_session(session.session_id).amount == Money(2_871, "EUR")


SESSION = {
    "id": "sess_1",
    "url": "https://pay.example.com/sess_1",
    "status": "open",
    "amount": 1,
    "currency": "EUR",
    "reference": "r",
    "captured_amount": 0,
    "mode": "live",
}


@pytest.mark.parametrize(
    "spoiled",
    [{"status": "melted"}, {"currency": "ZZZ"}, {"amount": 1.5}, {"amount": "1"}, {"id": None}, {"mode": 7}],
)
def test_a_word_we_do_not_understand_is_no_word(
    spoiled: dict[str, object], sandbox: SandboxGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GatewayHttp, "send", lambda _self, _call: Answer(200, SESSION | spoiled))

    with pytest.raises(GatewayUnavailable, match="in words we do not know"):
        sandbox.fetch_session("sess_1")


@pytest.mark.parametrize(
    "answer", [Answer(409, []), Answer(409, {}), Answer(302, {}), Answer(404, []), Answer(404, {})]
)
def test_an_answer_that_is_neither_word_nor_refusal_is_no_word(
    answer: Answer, sandbox: SandboxGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GatewayHttp, "send", lambda _self, _call: answer)

    with pytest.raises(GatewayUnavailable):
        sandbox.close_session("sess_1")


def test_real_money_is_called_live(sandbox: SandboxGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GatewayHttp, "send", lambda _self, _call: Answer(200, SESSION))

    assert sandbox.fetch_session("sess_1").live


def test_a_wrong_secret_says_nothing_about_the_payment(sandbox: SandboxGateway, settings: Settings) -> None:
    settings.SANDBOX_GATEWAY_SECRET = "wrong"

    with pytest.raises(GatewayUnavailable, match="unauthorized"):
        SandboxGateway().create_session(request())


def test_the_process_killed_and_back_keeps_its_word(sandbox: SandboxGateway, process: Gateway) -> None:
    session = sandbox.create_session(request())
    process.kill()
    with pytest.raises(GatewayUnavailable):
        sandbox.fetch_session(session.session_id)

    process.start()

    assert sandbox.fetch_session(session.session_id) == session


def test_its_own_callbacks_are_believed(sandbox: SandboxGateway, process: Gateway, ear: Ear) -> None:
    session = sandbox.create_session(request())
    process.pay(session.session_id)

    body, headers = eventually(lambda: [heard for heard in ear.heard if session.session_id.encode() in heard[0]])[0]
    (message,) = sandbox.parse_callback(body=body, headers=headers, now=utc_now())

    assert re.fullmatch(r"evt_[0-9a-f]+", message.event_id)
    assert (message.type, message.session_id) == ("session.paid", session.session_id)
    assert message.occurred_at is not None
    assert datetime.now(UTC) - message.occurred_at < timedelta(minutes=5)


def refund_request(session: GatewaySession, *, amount: int, key: str | None = None) -> RefundRequest:
    return RefundRequest(
        idempotency_key=key or f"refund-{new_id()}",
        reference="0198c2f0-0000-7000-8000-000000000001",
        session_id=session.session_id,
        payment_id=session.payment_id,
        amount=Money(amount, session.amount.currency),
    )


@pytest.fixture
def paid(sandbox: SandboxGateway, process: Gateway) -> GatewaySession:
    session = sandbox.create_session(request())
    process.pay(session.session_id)
    return sandbox.fetch_session(session.session_id)


def test_what_the_gateway_keeps_is_told_once_there_is_money(sandbox: SandboxGateway, paid: GatewaySession) -> None:
    assert paid.fee == Money(43, "EUR")
    assert paid.created_at is not None
    assert abs((paid.created_at - utc_now()).total_seconds()) < 300
    assert sandbox.create_session(request()).fee is None


def test_a_refund_is_made_once_under_its_key(sandbox: SandboxGateway, paid: GatewaySession) -> None:
    wished = refund_request(paid, amount=1_000)

    first, again = sandbox.create_refund(wished), sandbox.create_refund(wished)

    assert first == again == sandbox.fetch_refund(refund_id=first.refund_id, session_id=paid.session_id)
    assert (first.session_id, first.reference, first.amount) == (paid.session_id, wished.reference, Money(1_000, "EUR"))
    assert (first.state, first.live, first.failure_code) == (RefundState.SUCCEEDED, False, "")


def test_a_refund_of_more_than_there_is_is_refused(sandbox: SandboxGateway, paid: GatewaySession) -> None:
    with pytest.raises(GatewayRefused) as refused:
        sandbox.create_refund(refund_request(paid, amount=2_871))

    assert refused.value.code == "refund_exceeds_captured"
    assert list(sandbox.list_refunds(session_id=paid.session_id, payment_id="")) == []


def test_a_refund_is_pending_then_known(sandbox: SandboxGateway, process: Gateway, paid: GatewaySession) -> None:
    process.faults(pending_refunds={"seconds": 0.4, "count": 1})
    refund = sandbox.create_refund(refund_request(paid, amount=1))
    assert refund.state is RefundState.PENDING

    def word() -> RefundState:
        return sandbox.fetch_refund(refund_id=refund.refund_id, session_id=paid.session_id).state

    eventually(lambda: word() is RefundState.SUCCEEDED)


@pytest.mark.parametrize(
    ("switch", "end"),
    [
        ("reject_refunds", (RefundState.REJECTED, "declined_by_bank")),
        ("reverse_refunds", (RefundState.REVERSED, "account_closed")),
    ],
)
def test_money_that_does_not_arrive_has_a_word_for_it(
    switch: str, end: tuple[RefundState, str], sandbox: SandboxGateway, process: Gateway, paid: GatewaySession
) -> None:
    process.faults(**{switch: 1})
    refund = sandbox.create_refund(refund_request(paid, amount=1))

    def word() -> tuple[RefundState, str]:
        said = sandbox.fetch_refund(refund_id=refund.refund_id, session_id=paid.session_id)
        return said.state, said.failure_code

    eventually(lambda: word() == end)


def test_a_refund_made_in_the_dashboard_is_listed_without_a_reference(
    sandbox: SandboxGateway, process: Gateway, paid: GatewaySession
) -> None:
    before = utc_now() - timedelta(milliseconds=2)
    ours = sandbox.create_refund(refund_request(paid, amount=70))
    process.call("POST", "/v1/refunds", {"session_id": paid.session_id, "amount": 30})

    listed = list(sandbox.list_refunds(session_id=paid.session_id, payment_id=""))

    assert listed == list(sandbox.list_refunds_since(created_after=before))
    assert [(refund.reference, refund.amount.amount) for refund in listed] == [(ours.reference, 70), ("", 30)]


def test_a_refund_that_is_not_there_is_refused(sandbox: SandboxGateway, paid: GatewaySession) -> None:
    with pytest.raises(GatewayRefused):
        sandbox.fetch_refund(refund_id="re_unheard/of", session_id=paid.session_id)


def test_callbacks_say_whether_they_are_about_refunds(
    sandbox: SandboxGateway, process: Gateway, ear: Ear, paid: GatewaySession
) -> None:
    process.call("POST", "/v1/refunds", {"session_id": paid.session_id, "amount": 30})

    def heard() -> list[CallbackMessage]:
        return [
            message
            for body, headers in ear.heard
            if paid.session_id.encode() in body
            for message in sandbox.parse_callback(body=body, headers=headers, now=utc_now())
        ]

    eventually(lambda: len(heard()) == 2)
    assert {(message.type, message.concerns_refunds) for message in heard()} == {
        ("session.paid", False),
        ("refund.succeeded", True),
    }


def test_where_only_real_money_counts_the_sandbox_does_not_exist(settings: Settings) -> None:
    settings.SANDBOX_GATEWAY_ALLOWED = False

    with pytest.raises(ImproperlyConfigured):
        SandboxGateway()
