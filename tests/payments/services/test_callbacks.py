"""Callbacks: verified, stored once, processed until applied; parked while nobody knows them, dead in the end."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from orders.dto import OrderView
from payments import services
from payments.dto import Outcome, Processing, Receipt, SessionState
from payments.errors import CallbackForNobody, CallbackNotStuck, InvalidCallback
from payments.models import Attempt, Callback
from payments.services import settling
from payments.states import AttemptStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from tests.conftest import Statements
from tests.payments.factories import SIGNED, attempt_in, callback_body, history, received, started, status_of, told
from tests.payments.fakes import FakeGateway, Killed

pytestmark = pytest.mark.django_db

Counting = Callable[[], AbstractContextManager[Statements]]


@pytest.fixture
def paid_session(shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime) -> str:
    """A session the shopper has paid; we do not know yet."""
    started(shopper, order, now)
    session_id = gateway.only_session()
    gateway.pay(session_id)
    return session_id


def receive(body: bytes, now: datetime) -> Receipt:
    return services.receive_callback(gateway="fake", body=body, headers=SIGNED, now=now)


def test_a_callback_is_stored_as_it_came_and_asks_the_gateway_nothing(
    paid_session: str, gateway: FakeGateway, now: datetime
) -> None:
    gateway.calls.clear()
    body = callback_body(paid_session)

    receipt = receive(body, now)

    callback = Callback.objects.get()
    assert receipt == Receipt(new=1, repeated=0)
    assert bytes(callback.body) == body
    assert callback.headers == {"webhook-id": "1", "webhook-signature": SIGNED["webhook-signature"]}
    assert (callback.state, callback.type, callback.received_at) == ("received", "session.paid", now)
    assert gateway.calls == []


def test_a_card_number_or_token_in_a_callback_is_not_kept(paid_session: str, now: datetime) -> None:
    said = json.loads(callback_body(paid_session))
    said[0] |= {"note": "paid with 4242 4242 4242 4242", "key": "sk_live_51H8abcdefghijkl", "name": "Ång"}

    receive(json.dumps(said, ensure_ascii=False).encode(), now)

    (kept,) = json.loads(bytes(Callback.objects.get().body))
    assert kept == said[0] | {"note": "paid with ***", "key": "***"}


def test_a_callback_is_applied_by_asking_the_gateway(paid_session: str, order: OrderView, now: datetime) -> None:
    callback_id = received(paid_session, now)

    result = services.process_callback(callback_id=callback_id, now=now)

    callback = Callback.objects.get()
    assert result is Processing.APPLIED
    assert (callback.state, callback.next_attempt_at) == ("applied", None)
    assert Attempt.objects.get().status == "succeeded"
    assert told(order) == ["payment.success"]


def test_what_a_callback_says_of_itself_is_not_believed(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    started(shopper, order, now)
    callback_id = received(gateway.only_session(), now)

    services.process_callback(callback_id=callback_id, now=now)

    assert Attempt.objects.get().status == "pending"
    assert told(order) == []


def test_a_repeated_event_is_received_again_and_changes_nothing(paid_session: str, now: datetime) -> None:
    services.process_callback(callback_id=received(paid_session, now), now=now)

    again = receive(callback_body(paid_session), now + timedelta(days=20))

    assert again == Receipt(new=0, repeated=1)
    assert Callback.objects.get().state == "applied"


def test_an_event_id_used_for_another_body_keeps_the_first(paid_session: str, now: datetime) -> None:
    first = callback_body(paid_session)
    receive(first, now)

    again = receive(callback_body("sess_other"), now)

    assert again == Receipt(new=0, repeated=1)
    assert bytes(Callback.objects.get().body) == first


def test_an_unsigned_callback_leaves_no_trace(paid_session: str, gateway: FakeGateway, now: datetime) -> None:
    gateway.calls.clear()

    with pytest.raises(InvalidCallback) as refused:
        services.receive_callback(gateway="fake", body=callback_body(paid_session), headers={}, now=now)

    assert refused.value.detail == "This is not a valid callback."
    assert not Callback.objects.exists()
    assert gateway.calls == []


def test_a_gateway_we_do_not_work_with_has_no_callbacks(now: datetime) -> None:
    with pytest.raises(CallbackForNobody):
        services.receive_callback(gateway="stripe", body=b"", headers=SIGNED, now=now)


def test_each_message_of_a_batch_is_stored(now: datetime) -> None:
    body = b'[{"event_id": "a", "type": "t", "session_id": "s"}, {"event_id": "b", "type": "t", "session_id": "s"}]'

    receipt = receive(body, now)

    assert receipt == Receipt(new=2, repeated=0)
    assert set(Callback.objects.values_list("event_id", flat=True)) == {"a", "b"}


def test_failed_after_succeeded_stays_succeeded(
    paid_session: str, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    services.process_callback(callback_id=received(paid_session, now), now=now)
    gateway.become(paid_session, SessionState.FAILED)

    result = services.process_callback(callback_id=received(paid_session, now, event_id="evt_2"), now=now)

    assert result is Processing.APPLIED
    assert Attempt.objects.get().status == "succeeded"
    assert told(order) == ["payment.success"]


def test_a_failing_fetch_is_retried_with_growing_pauses_and_then_dead(
    paid_session: str, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    callback_id = received(paid_session, now)
    gateway.fall_silent("fetch_session", times=100)
    pauses, at = [], now

    while (result := services.process_callback(callback_id=callback_id, now=at)) is Processing.POSTPONED:
        next_at = Callback.objects.get().next_attempt_at
        assert next_at is not None
        pauses.append((next_at - at).total_seconds())
        at = next_at

    callback = Callback.objects.get()
    planned = [5, 30, 120, 600, 1_800, 3_600, 7_200, 18_000, 36_000]
    assert all(plan <= pause <= plan * 1.2 for plan, pause in zip(planned, pauses, strict=True))
    assert result is Processing.DEAD
    assert (callback.state, callback.next_attempt_at, callback.attempts) == ("dead", None, 10)
    assert callback.last_error == "GatewayUnavailable: silence"
    assert Attempt.objects.get().status == "pending"
    assert told(order) == []


def test_a_dead_callback_is_processed_when_a_person_wants_it(
    paid_session: str, order: OrderView, now: datetime
) -> None:
    callback_id = received(paid_session, now)
    Callback.objects.update(state="dead", next_attempt_at=None, attempts=10)

    services.retry_callback(callback_id=callback_id, now=now)

    assert services.process_callback(callback_id=callback_id, now=now) is Processing.APPLIED
    assert told(order) == ["payment.success"]


@pytest.mark.parametrize("state", ["received", "applied"])
def test_a_callback_that_is_not_stuck_is_not_retried(state: str, now: datetime) -> None:
    callback_id = received("sess_1", now)
    Callback.objects.update(state=state)

    with pytest.raises(CallbackNotStuck) as refused:
        services.retry_callback(callback_id=callback_id, now=now)

    assert refused.value.data == {"state": state}
    assert Callback.objects.get().state == state


def test_a_callback_that_names_the_payment_instead_of_its_session_finds_it(
    paid_session: str, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.sessions["pay_1"] = gateway.sessions[paid_session]
    callback_id = received("pay_1", now)

    assert services.process_callback(callback_id=callback_id, now=now) is Processing.APPLIED
    assert told(order) == ["payment.success"]


def test_a_callback_that_does_not_exist_is_not_retried(now: datetime) -> None:
    with pytest.raises(CallbackNotStuck):
        services.retry_callback(callback_id=new_id(), now=now)


@pytest.mark.parametrize("status", [AttemptStatus.CREATED, AttemptStatus.UNKNOWN])
def test_a_callback_before_we_wrote_the_session_down_finds_the_payment_by_its_reference(
    status: AttemptStatus, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    if status is AttemptStatus.CREATED:
        gateway.kill("create_session", after_doing=True)
        with pytest.raises(Killed):
            started(shopper, order, now)
    else:
        attempt_in(status, caller=shopper, order=order, gateway=gateway, now=now)
        gateway.fall_silent("create_session", after_doing=True)
        with pytest.raises(Exception, match="does not answer"):
            started(shopper, order, now)
    session_id = gateway.only_session()
    gateway.pay(session_id)

    result = services.process_callback(callback_id=received(session_id, now), now=now)

    attempt = Attempt.objects.get()
    assert result is Processing.APPLIED
    assert (attempt.status, attempt.session_id) == ("succeeded", session_id)
    assert told(order) == ["payment.success"]


def test_an_unknown_payment_is_parked_and_matched_later(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    callback_id = received("sess_unheard_of", now)

    assert services.process_callback(callback_id=callback_id, now=now) is Processing.PARKED
    parked = Callback.objects.get()
    assert parked.state == "parked"
    assert parked.next_attempt_at is not None

    payment = started(shopper, order, now).payment
    Attempt.objects.update(session_id="sess_unheard_of")
    gateway.sessions["sess_unheard_of"] = gateway.sessions.pop(gateway.only_session())
    gateway.lies = {"session_id": "sess_unheard_of"}
    gateway.pay("sess_unheard_of")
    later = services.process_callback(callback_id=callback_id, now=parked.next_attempt_at)

    assert later is Processing.APPLIED
    assert status_of(payment.payment_id) == "succeeded"


def test_a_second_session_with_our_reference_pays_nothing(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    started(shopper, order, now)
    forged = replace(gateway.sessions[gateway.only_session()], session_id="sess_forged")
    gateway.sessions["sess_forged"] = forged
    gateway.pay("sess_forged")

    result = services.process_callback(callback_id=received("sess_forged", now), now=now)

    assert result is Processing.PARKED
    assert Attempt.objects.get().status == "pending"


def test_a_callback_about_another_amount_is_quarantined(
    paid_session: str, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    gateway.lies = {"amount": Money(1, "EUR")}

    result = services.process_callback(callback_id=received(paid_session, now), now=now)

    assert result is Processing.QUARANTINED
    assert Callback.objects.get().state == "quarantined"
    assert told(order) == []


def test_a_callback_is_processed_by_one_worker_at_a_time(
    paid_session: str, gateway: FakeGateway, now: datetime
) -> None:
    callback_id = received(paid_session, now)
    meanwhile: list[Processing] = []
    gateway.during(
        "fetch_session", lambda: meanwhile.append(services.process_callback(callback_id=callback_id, now=now))
    )

    services.process_callback(callback_id=callback_id, now=now)

    assert meanwhile == [Processing.NOT_DUE]


def test_killed_between_inbox_and_processing_the_callback_is_processed_after_the_lease(
    paid_session: str, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    callback_id = received(paid_session, now)
    gateway.kill("fetch_session")
    with pytest.raises(Killed):
        services.process_callback(callback_id=callback_id, now=now)

    at_once = services.process_callback(callback_id=callback_id, now=now + timedelta(seconds=1))
    after_the_lease = services.process_callback(callback_id=callback_id, now=now + timedelta(seconds=61))

    assert at_once is Processing.NOT_DUE
    assert after_the_lease is Processing.APPLIED
    assert told(order) == ["payment.success"]


def test_a_defect_while_processing_is_postponed_like_any_failure(
    paid_session: str, order: OrderView, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    callback_id = received(paid_session, now)

    def broken(**_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken_for_now:
        broken_for_now.setattr(settling, "move", broken)
        first = services.process_callback(callback_id=callback_id, now=now)
    postponed = Callback.objects.get()
    second = services.process_callback(callback_id=callback_id, now=now + timedelta(minutes=1))

    assert (first, postponed.state, postponed.last_error) == (Processing.POSTPONED, "received", "ZeroDivisionError")
    assert second is Processing.APPLIED
    assert told(order) == ["payment.success"]


def test_the_lag_of_callbacks_is_measured(paid_session: str, now: datetime) -> None:
    def seconds() -> float:
        return REGISTRY.get_sample_value("payments_callback_lag_seconds_sum", {"gateway": "fake"}) or 0.0

    before = seconds()

    receive(callback_body(paid_session), now + timedelta(seconds=7))
    receive(callback_body(paid_session, event_id="evt_undated", kind="undated"), now + timedelta(seconds=7))

    assert seconds() - before == pytest.approx(7)


@pytest.mark.django_db(transaction=True)
def test_receiving_costs_one_statement_and_processing_six(
    paid_session: str, now: datetime, statements: Counting
) -> None:
    with statements() as receiving:
        receive(callback_body(paid_session), now)
    callback_id = Callback.objects.get().id

    with statements() as processing:
        services.process_callback(callback_id=callback_id, now=now)

    assert len(receiving) == 1
    assert len(processing) == 6


def test_a_session_that_settled_otherwise_needs_no_second_move(
    paid_session: str, order: OrderView, now: datetime
) -> None:
    attempt = Attempt.objects.get()
    callback_id = received(paid_session, now)
    assert services.settle(attempt_id=attempt.id, source=Source.READER, now=now).outcome is Outcome.MOVED

    services.process_callback(callback_id=callback_id, now=now)

    assert [to for _, to in history(attempt.id)] == ["created", "pending", "succeeded"]
    assert told(order) == ["payment.success"]
