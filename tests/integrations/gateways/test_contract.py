"""What every gateway keeps: the same sentences for the sandbox's process and the stand-ins for Stripe and Mollie."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from payments.dto import RefundRequest, RefundState, SessionState
from payments.ports import GatewayRefused, GatewayUnavailable
from shop.kernel.clock import utc_now
from shop.kernel.money import Money
from tests.integrations.gateways.factories import brief, opened, paid, refund_of, wished
from tests.integrations.gateways.providers import Provider, impatient
from tests.integrations.sandbox_gateway.harness import eventually

ENDED = {SessionState.CLOSED, SessionState.CANCELLED, SessionState.EXPIRED}


# --- sessions ---


def test_a_session_is_what_was_asked_for(provider: Provider) -> None:
    request = wished()

    session = provider.gateway.create_session(request)

    assert session.state is SessionState.OPEN
    assert (session.reference, session.amount, session.captured) == (request.reference, request.amount, Money(0, "EUR"))
    assert session.redirect_url.startswith("http")
    assert (session.live, session.failure_code, session.fee) == (False, "", None)
    assert session.created_at is not None
    assert abs((utc_now() - session.created_at).total_seconds()) < 300
    assert provider.gateway.fetch_session(session.session_id) == session


def test_the_same_key_is_the_same_session(provider: Provider) -> None:
    request = wished()

    assert provider.gateway.create_session(request) == provider.gateway.create_session(request)


def test_the_same_key_five_times_at_once_is_one_session(provider: Provider) -> None:
    request = wished()

    def ask(_: int) -> str:
        return provider.gateway.create_session(request).session_id

    with ThreadPoolExecutor(5) as pool:
        assert len(set(pool.map(ask, range(5)))) == 1


def test_a_key_used_for_another_amount_is_no_refusal_of_the_payment(provider: Provider) -> None:
    first = wished()
    provider.gateway.create_session(first)

    with pytest.raises(GatewayUnavailable):
        provider.gateway.create_session(wished(key=first.idempotency_key, amount=Money(1, "EUR")))


def test_a_payment_is_captured_as_a_whole(provider: Provider) -> None:
    session = paid(provider)

    assert (session.state, session.captured) == (SessionState.PAID, Money(2_870, "EUR"))
    assert session.fee is None or Money(0, "EUR") < session.fee < session.amount


def test_a_payment_under_way_is_processing_and_then_paid(provider: Provider) -> None:
    session = opened(provider)
    provider.begin_paying(session)

    def word() -> SessionState:
        return provider.gateway.fetch_session(session.session_id).state

    assert word() is SessionState.PROCESSING
    provider.finish_paying(session)
    eventually(lambda: word() is SessionState.PAID)


def test_a_payment_the_bank_refused_has_failed_and_says_why(provider: Provider) -> None:
    session = opened(provider)
    provider.fail_paying(session)

    word = provider.gateway.fetch_session(session.session_id)

    assert (word.state, word.captured) == (SessionState.FAILED, Money(0, "EUR"))
    assert word.failure_code in {"card_declined", "insufficient_funds"}


def test_a_closed_session_stays_closed(provider: Provider) -> None:
    session = opened(provider)

    assert provider.gateway.close_session(session.session_id).state is SessionState.CLOSED
    assert provider.gateway.close_session(session.session_id).state in ENDED
    assert provider.gateway.fetch_session(session.session_id).state in ENDED


def test_a_paid_session_is_not_closed_but_comes_back_paid(provider: Provider) -> None:
    session = paid(provider)

    assert provider.gateway.close_session(session.session_id) == session


@pytest.mark.parametrize("session_id", ["unheard-of", "../refunds", "a/b?c=d#e", "x y"])
def test_a_session_nobody_made_is_refused(provider: Provider, session_id: str) -> None:
    for ask in (provider.gateway.fetch_session, provider.gateway.close_session):
        with pytest.raises(GatewayRefused):
            ask(session_id)


def test_all_sessions_are_listed_over_pages(provider: Provider) -> None:
    before = utc_now() - timedelta(milliseconds=2)
    made = [paid(provider), *(opened(provider) for _ in range(16))]

    listed = list(provider.gateway.list_sessions(created_after=before))

    assert sorted(session.session_id for session in listed) == sorted(session.session_id for session in made)
    assert made[0] in listed
    assert list(provider.gateway.list_sessions(created_after=utc_now() + timedelta(seconds=2))) == []


@pytest.mark.parametrize(("amount", "currency"), [(2_870, "JPY"), (1, "JPY"), (12_340, "KWD"), (1, "EUR")])
def test_amounts_are_exact_in_every_currency_or_refused(provider: Provider, amount: int, currency: str) -> None:
    money = Money(amount, currency)
    if provider.name == "mollie" and currency == "KWD":
        with pytest.raises(GatewayRefused):
            provider.gateway.create_session(wished(amount=money))
        return

    session = paid(provider, money)
    refund = provider.gateway.create_refund(refund_of(session, amount))

    assert (session.amount, session.captured, refund.amount) == (money, money, money)


# --- trouble ---


def test_a_time_out_after_the_session_was_made_is_unknown_and_the_key_finds_it(provider: Provider) -> None:
    request = wished()
    provider.answer_late_once()

    with impatient(), pytest.raises(GatewayUnavailable, match="no answer in time"):
        provider.gateway.create_session(request)

    session = provider.gateway.create_session(request)
    before = utc_now() - timedelta(minutes=1)
    found = [
        word for word in provider.gateway.list_sessions(created_after=before) if word.reference == request.reference
    ]
    assert found == [session]


def test_asked_again_after_the_window_it_is_still_the_same_session(provider: Provider) -> None:
    request, session = brief(provider.gateway)
    eventually(lambda: utc_now() > request.expires_at)

    assert provider.gateway.create_session(request).session_id == session.session_id


def test_a_session_never_made_is_refused_once_its_window_is_long_over(provider: Provider) -> None:
    before, request = utc_now() - timedelta(seconds=1), wished(expires_at=utc_now() - timedelta(hours=1))

    with pytest.raises(GatewayRefused):
        provider.gateway.create_session(request)

    assert request.reference not in {word.reference for word in provider.gateway.list_sessions(created_after=before)}


def test_five_hundred_and_then_two_hundred_is_one_session(provider: Provider) -> None:
    request = wished()
    provider.fail_calls(2)

    session = provider.gateway.create_session(request)

    assert provider.gateway.create_session(request) == session


def test_five_hundred_and_nothing_else_is_a_gateway_that_is_down(provider: Provider) -> None:
    provider.fail_calls(3)

    with pytest.raises(GatewayUnavailable):
        provider.gateway.create_session(wished())


def test_wrong_credentials_say_nothing_about_the_payment(provider: Provider) -> None:
    session = opened(provider)
    stranger = provider.let_nobody_in()

    for ask in (
        lambda: stranger.create_session(wished()),
        lambda: stranger.fetch_session(session.session_id),
        lambda: stranger.close_session(session.session_id),
        lambda: list(stranger.list_sessions(created_after=utc_now())),
    ):
        with pytest.raises(GatewayUnavailable):
            ask()


# --- refunds ---


def test_the_same_key_is_the_same_refund(provider: Provider) -> None:
    session = paid(provider)
    request = refund_of(session, 700)

    first, again = provider.gateway.create_refund(request), provider.gateway.create_refund(request)

    assert first == again == provider.gateway.fetch_refund(refund_id=first.refund_id, session_id=session.session_id)
    assert (first.session_id, first.payment_id) == (session.session_id, session.payment_id)
    assert (first.reference, first.amount, first.state) == (request.reference, Money(700, "EUR"), RefundState.SUCCEEDED)
    assert (first.live, first.failure_code) == (False, "")


def test_a_refund_knows_its_money_when_only_the_session_is_known(provider: Provider) -> None:
    session = paid(provider)
    request = refund_of(session, 700)
    nameless = RefundRequest(request.idempotency_key, request.reference, session.session_id, "", request.amount)

    refund = provider.gateway.create_refund(nameless)

    assert list(provider.gateway.list_refunds(session_id=session.session_id, payment_id="")) == [refund]


def test_no_more_goes_back_than_came(provider: Provider) -> None:
    session = paid(provider)
    provider.gateway.create_refund(refund_of(session, 2_000))

    for amount in (871, 2_870):
        with pytest.raises(GatewayRefused):
            provider.gateway.create_refund(refund_of(session, amount))
    provider.gateway.create_refund(refund_of(session, 870))
    with pytest.raises(GatewayRefused):
        provider.gateway.create_refund(refund_of(session, 1))

    listed = provider.gateway.list_refunds(session_id=session.session_id, payment_id=session.payment_id)
    assert sorted(refund.amount.amount for refund in listed) == [870, 2_000]


def test_money_that_never_came_does_not_go_back(provider: Provider) -> None:
    session = opened(provider)

    with pytest.raises(GatewayRefused):
        provider.gateway.create_refund(refund_of(session, 1))

    assert list(provider.gateway.list_refunds(session_id=session.session_id, payment_id="")) == []


def test_a_refund_the_bank_rejects_says_so(provider: Provider) -> None:
    session = paid(provider)
    provider.reject_next_refund()

    assert provider.gateway.create_refund(refund_of(session, 700)).state is RefundState.REJECTED
    assert provider.gateway.create_refund(refund_of(session, 2_870)).state is RefundState.SUCCEEDED


def test_a_time_out_after_the_refund_was_made_is_one_refund(provider: Provider) -> None:
    session = paid(provider)
    request = refund_of(session, 2_870)
    provider.answer_late_once()

    with impatient(), pytest.raises(GatewayUnavailable):
        provider.gateway.create_refund(request)

    refund = provider.gateway.create_refund(request)
    listed = provider.gateway.list_refunds(session_id=session.session_id, payment_id=session.payment_id)
    assert list(listed) == [refund]


def test_a_refund_made_in_the_dashboard_is_listed_and_has_no_reference(provider: Provider) -> None:
    before = utc_now() - timedelta(milliseconds=2)
    session, other = paid(provider), paid(provider)
    ours = provider.gateway.create_refund(refund_of(session, 70))
    provider.refund_in_dashboard(session, Money(30, "EUR"))
    elsewhere = provider.gateway.create_refund(refund_of(other, 5))

    of_session = list(provider.gateway.list_refunds(session_id=session.session_id, payment_id=session.payment_id))
    since = list(provider.gateway.list_refunds_since(created_after=before))

    assert {(refund.reference, refund.amount.amount) for refund in of_session} == {(ours.reference, 70), ("", 30)}
    ids = {refund.refund_id for refund in of_session}
    assert {refund.refund_id for refund in since} == ids | {elsewhere.refund_id}
    # Each knows the session or its money, so that it is found again.
    names = {(session.session_id, session.payment_id), (other.session_id, other.payment_id)}
    assert all(
        (refund.session_id, refund.payment_id) in names or (refund.payment_id in {m for _, m in names if m})
        for refund in since
    )


def test_all_refunds_are_listed_over_pages(provider: Provider) -> None:
    session = paid(provider)
    made = {provider.gateway.create_refund(refund_of(session, 1 + place)).refund_id for place in range(17)}

    listed = list(provider.gateway.list_refunds(session_id=session.session_id, payment_id=session.payment_id))

    assert len(listed) == 17
    assert {refund.refund_id for refund in listed} == made


def test_a_refund_nobody_made_is_refused(provider: Provider) -> None:
    with pytest.raises(GatewayRefused):
        provider.gateway.fetch_refund(refund_id="re_unheard/of", session_id=paid(provider).session_id)
