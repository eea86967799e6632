"""A gateway that hangs holds few threads and is left alone after a while."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from prometheus_client import REGISTRY
from pytest_django import Settings

from integrations.embedded.processes import WEB_THREADS
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.services.circuits import Circuit, CircuitState, GatewayHeldBack, circuit_of
from tests.payments.circuits import PAUSE_SECONDS, Watch, silent
from tests.races import at_once


@pytest.fixture
def circuit(watch: Watch, circuit_rules: None) -> Circuit:
    return Circuit(gateway="fake")


def answered(circuit: Circuit, *, patient: bool = True) -> None:
    with circuit.call(patient=patient):
        pass


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


@pytest.mark.usefixtures("circuit_rules")
def test_while_the_gateway_is_quick_a_call_waits_for_a_slot(settings: Settings) -> None:
    settings.GATEWAY_SLOT_WAIT_SECONDS = 30
    circuit = Circuit(gateway="fake")
    both_in, go_on = threading.Barrier(3), threading.Event()

    def hold() -> None:
        with circuit.call(patient=True):
            both_in.wait(60)
            go_on.wait(60)

    with ThreadPoolExecutor(3) as threads:
        holding = [threads.submit(hold) for _ in range(2)]
        both_in.wait(60)
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
