"""A gateway that hangs holds few threads, is left alone after a while, and costs no work."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from pytest_django import Settings

from integrations.embedded.processes import WEB_THREADS
from orders.dto import OrderView
from payments import services, tasks
from payments.dto import Processing
from payments.errors import GatewayDown
from payments.models import Attempt, Callback
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.services import circuits
from payments.services.circuits import Circuit, CircuitState, GatewayHeldBack, circuit_of
from payments.states import AttemptStatus
from shop.kernel.auth.dto import Caller
from tests.orders.factories import placed
from tests.payments.factories import attempt_in, history, received, started, status_of, told
from tests.payments.fakes import FakeGateway
from tests.races import at_once

S = AttemptStatus
PAUSE_SECONDS = 15


class Watch:
    """A monotonic clock that goes when it is told to."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(circuits, "time", watch)
    return watch


@pytest.fixture(autouse=True)
def _rules(settings: Settings) -> None:
    settings.GATEWAY_CALLS_AT_ONCE = 2
    settings.GATEWAY_SLOT_WAIT_SECONDS = 0.0
    settings.GATEWAY_CIRCUIT_SILENCES = 3
    settings.GATEWAY_CIRCUIT_WINDOW_SECONDS = 60
    settings.GATEWAY_CIRCUIT_PAUSE_SECONDS = PAUSE_SECONDS


@pytest.fixture
def circuit(watch: Watch) -> Circuit:
    return Circuit(gateway="fake")


def answered(circuit: Circuit, *, patient: bool = True) -> None:
    with circuit.call(patient=patient):
        pass


def silent(circuit: Circuit, *, times: int = 1, patient: bool = True) -> None:
    for _ in range(times):
        with suppress(GatewayUnavailable), circuit.call(patient=patient):
            raise GatewayUnavailable("silence")


def held_back(circuit: Circuit, *, patient: bool = True) -> GatewayHeldBack:
    with pytest.raises(GatewayHeldBack) as caught, circuit.call(patient=patient):
        raise AssertionError("the gateway was asked")
    return caught.value


# --- slots ---


def test_half_of_a_web_workers_threads_stay_free_of_gateways(settings: Settings) -> None:
    assert 2 * settings.GATEWAY_CALLS_AT_ONCE <= WEB_THREADS


def test_a_call_beyond_the_slots_is_refused_at_once_and_the_next_goes_through(circuit: Circuit) -> None:
    with circuit.call(patient=True), circuit.call(patient=True):
        error = held_back(circuit)

    assert (error.reason, error.retry_after_seconds) == ("busy", 5)
    answered(circuit)


def test_a_refused_call_is_counted(circuit: Circuit) -> None:
    labels = {"gateway": "fake", "reason": "busy"}
    before = REGISTRY.get_sample_value("payments_gateway_held_back_total", labels) or 0

    with circuit.call(patient=True), circuit.call(patient=True):
        held_back(circuit)

    assert REGISTRY.get_sample_value("payments_gateway_held_back_total", labels) == before + 1


def test_while_the_gateway_is_quick_a_call_waits_for_a_slot(settings: Settings) -> None:
    settings.GATEWAY_SLOT_WAIT_SECONDS = 30
    circuit = Circuit(gateway="fake")
    both_in, go_on = threading.Barrier(3), threading.Event()

    def hold() -> None:
        with circuit.call(patient=True):
            both_in.wait(10)
            go_on.wait(10)

    with ThreadPoolExecutor(3) as threads:
        holding = [threads.submit(hold) for _ in range(2)]
        both_in.wait(10)
        third = threads.submit(answered, circuit)
        assert not third.done()
        go_on.set()
        third.result(10)
        for one in holding:
            one.result(10)


def test_nobody_waits_behind_calls_that_take_long(circuit: Circuit, watch: Watch, settings: Settings) -> None:
    settings.GATEWAY_SLOT_WAIT_SECONDS = 1

    with circuit.call(patient=True), circuit.call(patient=True):
        watch.at += 1.5
        error = held_back(circuit)

    assert error.reason == "busy"


def test_nobody_waits_for_a_slot_after_a_silence_until_the_gateway_has_answered_again(
    circuit: Circuit, settings: Settings
) -> None:
    settings.GATEWAY_SLOT_WAIT_SECONDS = 30
    silent(circuit)

    with circuit.call(patient=True), circuit.call(patient=True):
        assert held_back(circuit).reason == "busy"


def test_a_reader_does_not_wait_for_a_slot(circuit: Circuit, settings: Settings) -> None:
    settings.GATEWAY_SLOT_WAIT_SECONDS = 30

    with circuit.call(patient=True), circuit.call(patient=True):
        assert held_back(circuit, patient=False).reason == "busy"


def test_a_slot_is_given_back_whatever_happens(circuit: Circuit) -> None:
    for error in (GatewayUnavailable("x"), GatewayRefused("x", "x"), ValueError(), KeyboardInterrupt()):
        with suppress(BaseException), circuit.call(patient=True):
            raise error

    with circuit.call(patient=True), circuit.call(patient=True):
        pass


# --- the circuit ---


def test_silences_in_a_row_open_the_circuit_and_the_answer_says_how_long(circuit: Circuit, watch: Watch) -> None:
    silent(circuit, times=3)

    watch.at += 4
    error = held_back(circuit)

    assert (circuit.state, error.reason, error.retry_after_seconds) == (CircuitState.OPEN, "open", PAUSE_SECONDS - 4)
    assert REGISTRY.get_sample_value("payments_gateway_circuit", {"gateway": "fake"}) == CircuitState.OPEN


def test_an_answer_between_silences_keeps_it_closed(circuit: Circuit) -> None:
    silent(circuit, times=2)
    answered(circuit)
    silent(circuit, times=2)

    assert circuit.state is CircuitState.CLOSED


def test_a_refusal_is_an_answer(circuit: Circuit) -> None:
    silent(circuit, times=2)
    with suppress(GatewayRefused), circuit.call(patient=True):
        raise GatewayRefused("no", "No.")
    silent(circuit, times=2)

    assert circuit.state is CircuitState.CLOSED


def test_a_defect_of_ours_says_nothing_about_the_gateway(circuit: Circuit) -> None:
    for _ in range(10):
        with suppress(ValueError), circuit.call(patient=True):
            raise ValueError

    assert circuit.state is CircuitState.CLOSED


def test_silences_far_apart_do_not_open_it(circuit: Circuit, watch: Watch) -> None:
    for _ in range(10):
        silent(circuit)
        watch.at += 31

    assert circuit.state is CircuitState.CLOSED


def test_after_the_pause_one_call_finds_out_and_the_others_do_not_wait_for_it(circuit: Circuit, watch: Watch) -> None:
    silent(circuit, times=3)
    watch.at += PAUSE_SECONDS

    with circuit.call(patient=True):
        assert circuit.state is CircuitState.HALF_OPEN
        assert held_back(circuit).reason == "probing"

    assert REGISTRY.get_sample_value("payments_gateway_circuit", {"gateway": "fake"}) == CircuitState.CLOSED
    answered(circuit)


def test_a_silent_probe_begins_another_pause(circuit: Circuit, watch: Watch) -> None:
    silent(circuit, times=3)
    watch.at += PAUSE_SECONDS
    silent(circuit)

    assert held_back(circuit).retry_after_seconds == PAUSE_SECONDS


def test_a_probe_that_died_leaves_the_way_to_the_next(circuit: Circuit, watch: Watch) -> None:
    silent(circuit, times=3)
    watch.at += PAUSE_SECONDS
    with suppress(ValueError), circuit.call(patient=True):
        raise ValueError

    answered(circuit)

    assert circuit.state is CircuitState.CLOSED


def test_calls_from_before_the_opening_do_not_lengthen_the_pause(circuit: Circuit, watch: Watch) -> None:
    with suppress(GatewayUnavailable), circuit.call(patient=True):
        silent(circuit, times=3)
        watch.at += 10
        raise GatewayUnavailable("late silence")

    assert held_back(circuit).retry_after_seconds == PAUSE_SECONDS - 10


def test_a_reader_never_probes(circuit: Circuit, watch: Watch) -> None:
    silent(circuit, times=3)
    watch.at += PAUSE_SECONDS

    held_back(circuit, patient=False)

    answered(circuit)


def test_silence_towards_a_reader_holds_back_readers_only(circuit: Circuit, watch: Watch) -> None:
    silent(circuit, patient=False)

    assert held_back(circuit, patient=False).reason == "resting"
    answered(circuit)
    watch.at += PAUSE_SECONDS
    answered(circuit, patient=False)


@pytest.mark.django_db
def test_all_threads_of_a_process_share_a_gateways_circuit() -> None:
    for number in range(50):
        name = f"gateway {number}"
        first, *others = at_once(*[lambda name=name: circuit_of(name)] * 4)
        assert all(other is first for other in others)


def test_a_circuit_can_be_switched_off(circuit: Circuit, settings: Settings) -> None:
    settings.GATEWAY_CIRCUIT_SILENCES = 0
    silent(circuit, times=50)

    assert circuit.state is CircuitState.CLOSED


# --- what it means for payments: nothing is lost ---


@pytest.fixture
def opened(gateway: FakeGateway, watch: Watch) -> Circuit:
    """The circuit of the shop's gateway, open."""
    silent(circuit_of("fake"), times=3)
    return circuit_of("fake")


@pytest.mark.django_db
def test_starting_a_payment_keeps_the_attempt_says_when_to_come_back_and_asks_nothing(
    opened: Circuit, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    with pytest.raises(GatewayDown) as refused:
        started(shopper, order, now)

    attempt = Attempt.objects.get()
    assert refused.value.retry_after_seconds == PAUSE_SECONDS
    assert refused.value.data == {"payment_id": str(attempt.id)}
    # Nobody asked, so there is nothing unknown about it.
    assert history(attempt.id) == [("", "created")]
    assert gateway.calls == []


@pytest.mark.django_db
def test_the_kept_attempt_is_resolved_by_the_clock_once_the_gateway_is_back(
    opened: Circuit, shopper: Caller, order: OrderView, now: datetime, watch: Watch
) -> None:
    with suppress(GatewayDown):
        started(shopper, order, now)
    attempt = Attempt.objects.get()
    watch.at += PAUSE_SECONDS

    services.poll(attempt_id=attempt.id, now=now + timedelta(seconds=60))

    assert status_of(attempt.id) == "pending"


@pytest.mark.django_db
def test_a_poll_that_was_held_back_spends_no_turn(
    opened: Circuit, shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    with suppress(GatewayDown):
        started(shopper, order, now)
    Attempt.objects.update(status="unknown", polls=7, next_poll_at=now)
    attempt = Attempt.objects.get()

    for hour in range(100):
        at = now + timedelta(hours=hour)
        with pytest.raises(GatewayHeldBack):
            services.poll(attempt_id=attempt.id, now=at)
        row = Attempt.objects.get()
        assert (row.polls, row.next_poll_at) == (7, at + timedelta(seconds=PAUSE_SECONDS))

    assert (row.status, row.review_reason) == ("unknown", "")
    assert told(order) == []
    assert gateway.calls == []


@pytest.mark.django_db
def test_a_callback_that_was_held_back_comes_no_nearer_to_its_death(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime, watch: Watch
) -> None:
    started(shopper, order, now)
    gateway.pay(gateway.only_session())
    callback_id = received(gateway.only_session(), now)
    silent(circuit_of("fake"), times=3)

    for turn in range(50):
        at = now + timedelta(seconds=turn * PAUSE_SECONDS)
        assert services.process_callback(callback_id=callback_id, now=at) is Processing.PUT_OFF
        assert Callback.objects.get().attempts == 0
    watch.at += PAUSE_SECONDS
    processed = services.process_callback(callback_id=callback_id, now=at + timedelta(seconds=PAUSE_SECONDS))

    assert processed is Processing.APPLIED
    assert told(order) == ["payment.success"]


@pytest.mark.django_db
def test_nothing_expires_while_nobody_may_ask(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime, watch: Watch
) -> None:
    attempt = attempt_in(S.PENDING, caller=shopper, order=order, gateway=gateway, now=now)
    silent(circuit_of("fake"), times=3)

    with pytest.raises(GatewayHeldBack):
        services.expire_order(order_id=order.order_id, now=order.payment_deadline + timedelta(hours=1))

    assert status_of(attempt.id) == "pending"
    assert told(order) == []


@pytest.mark.django_db
def test_a_payment_is_read_from_the_database_while_nobody_may_ask(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime, watch: Watch
) -> None:
    attempt = attempt_in(S.PENDING, caller=shopper, order=order, gateway=gateway, now=now)
    silent(circuit_of("fake"), times=3)
    gateway.calls.clear()

    seen = services.look(payment_id=attempt.id, now=now)

    assert seen is not None
    assert seen.status == "pending"
    assert gateway.calls == []


@pytest.mark.django_db
def test_one_gateways_open_circuit_does_not_keep_the_clock_from_the_rows_behind(
    shopper: Caller, gateway: FakeGateway, now: datetime, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GATEWAYS = {**settings.GATEWAYS, "other": settings.GATEWAYS["fake"]}
    monkeypatch.setattr(tasks, "utc_now", lambda: now + timedelta(minutes=1))
    orders = [placed(caller=shopper, now=now) for _ in range(8)]
    for order in orders:
        started(shopper, order, now)
    Attempt.objects.filter(payable_id=orders[-1].order_id).update(gateway="other")
    for session_id in gateway.sessions:
        gateway.pay(session_id)
    silent(circuit_of("fake"), times=3)

    tasks.poll_attempts()

    assert [len(told(order)) for order in orders] == [0] * 7 + [1]


@pytest.mark.django_db
def test_the_gateway_down_two_hours_fails_nothing(
    shopper: Caller, gateway: FakeGateway, now: datetime, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [now]
    monkeypatch.setattr(tasks, "utc_now", lambda: clock[0])
    orders = [placed(caller=shopper, now=now) for _ in range(3)]
    started(shopper, orders[0], now)
    paid_session = gateway.only_session()
    gateway.pay(paid_session)
    for call in ("create_session", "fetch_session", "close_session"):
        gateway.fall_silent(call, times=10_000)
    received(paid_session, now)
    for order in orders[1:]:
        with suppress(GatewayDown):
            started(shopper, order, now)

    for _ in range(2 * 60 * 6):
        clock[0] += timedelta(seconds=10)
        watch.at += 10
        tasks.settle_callbacks()
        tasks.poll_attempts()
        tasks.expire_orders()

    assert set(Attempt.objects.values_list("status", flat=True)) <= {"pending", "created", "unknown"}
    assert set(Attempt.objects.values_list("review_reason", flat=True)) == {""}
    assert Callback.objects.get().state == "received"
    assert [told(order) for order in orders] == [[], [], []]


@pytest.mark.django_db
def test_cancelling_says_when_to_come_back(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime, watch: Watch
) -> None:
    attempt = attempt_in(S.PENDING, caller=shopper, order=order, gateway=gateway, now=now)
    silent(circuit_of("fake"), times=3)

    with pytest.raises(GatewayDown) as refused:
        services.cancel_attempt(caller=shopper, payment_id=attempt.id, now=now)

    assert refused.value.retry_after_seconds == PAUSE_SECONDS
    assert status_of(attempt.id) == "pending"
