"""The trace: one id from the request through its events to its tasks."""

import threading

import pytest

from shop.kernel.tracing import Trace, current_trace, trace_under_way, tracing

FIRST = Trace("request-1")
SECOND = Trace("request-2", causation_id="event-1")


def test_work_is_part_of_its_trace_and_of_the_outer_one_afterwards() -> None:
    with tracing(FIRST) as given:
        assert given is current_trace() is FIRST
        with tracing(SECOND):
            assert current_trace() is SECOND
        assert current_trace() is FIRST


def test_a_trace_ends_with_its_work_even_when_that_fails() -> None:
    before = trace_under_way()

    with pytest.raises(LookupError), tracing(FIRST):
        raise LookupError

    assert trace_under_way() is before


def test_work_nobody_asked_for_begins_its_own_trace_and_keeps_it() -> None:
    seen: list[Trace | None] = []

    def alone() -> None:
        seen.append(trace_under_way())
        seen.append(current_trace())
        seen.append(current_trace())

    for _ in range(2):
        thread = threading.Thread(target=alone)
        thread.start()
        thread.join()

    nothing, first, same, nothing_again, other, _same = seen
    assert nothing is nothing_again is None
    assert first is same
    assert first
    assert other
    assert first.correlation_id != other.correlation_id
