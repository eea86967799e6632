"""A task goes on with the trace of the request that woke it, on a real worker."""

import logging
from time import monotonic, sleep
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from django.db import transaction

from settings.celery import app as the_app
from shop.kernel.tasks import wake
from shop.kernel.tracing import Trace, current_trace, tracing

app: Any = the_app
seen: list[Trace] = []


@app.task(name="tests.settings.note_trace")
def note_trace(**_: object) -> None:
    """Remember the trace one runs in."""
    seen.append(current_trace())


def test_a_task_s_own_call_keeps_its_trace() -> None:
    seen.clear()
    # As a worker does with the headers of a message.
    note_trace.push_request(shop_correlation_id="request-1", shop_causation_id="event-1")
    note_trace()
    note_trace.pop_request()
    note_trace.apply()
    note_trace.apply()

    woken, ticked, other = seen
    assert woken == Trace("request-1", causation_id="event-1")
    assert ticked.causation_id == ""
    assert len({woken.correlation_id, ticked.correlation_id, other.correlation_id}) == 3


@pytest.mark.django_db(transaction=True)
def test_the_request_s_id_travels_to_the_worker() -> None:
    seen.clear()
    with (
        start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=90),
        tracing(Trace("request-2", "event-2")),
    ):
        with transaction.atomic():
            wake("tests.settings.note_trace")
        wait_for_one()

    assert seen == [Trace("request-2", causation_id="event-2")]


def wait_for_one() -> None:
    deadline = monotonic() + 90
    while not seen:
        assert monotonic() < deadline, "the task never ran"
        sleep(0.02)


def test_celery_s_own_lines_take_our_form() -> None:
    app.log.setup_logging_subsystem(loglevel=logging.INFO)

    [handler] = [one for one in logging.getLogger().handlers if type(one) is logging.StreamHandler]
    assert type(handler.formatter).__name__ == "ProcessorFormatter"
    assert [one for one in logging.getLogger("celery").handlers if type(one) is not logging.NullHandler] == []
