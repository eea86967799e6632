"""Callbacks that nobody needs any more: waved through by a person, their bodies forgotten after a while."""

from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from payments import queries, services
from payments.dto import Processing, Receipt
from payments.errors import CallbackNotStuck
from payments.models import Callback
from tests.payments.factories import SIGNED, callback_body, received

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("state", ["parked", "quarantined", "dead"])
def test_a_callback_that_means_nothing_here_is_waved_through(state: str, now: datetime) -> None:
    callback_id = received("sess_1", now)
    Callback.objects.update(state=state)

    services.dismiss_callback(callback_id=callback_id)

    callback = Callback.objects.get()
    assert (callback.state, callback.next_attempt_at) == ("dismissed", None)
    assert services.process_callback(callback_id=callback_id, now=now) is Processing.NOT_DUE
    assert queries.stuck()["dead"] == queries.stuck()["parked"] == queries.stuck()["quarantined"] == 0
    with pytest.raises(CallbackNotStuck):
        services.dismiss_callback(callback_id=callback_id)


def test_what_a_gateway_said_long_ago_is_forgotten_and_that_it_said_it_is_not(
    settings: Settings, now: datetime
) -> None:
    settings.CALLBACK_BODIES_KEPT_DAYS = 90
    received("sess_1", now - timedelta(days=91), event_id="evt_old")
    received("sess_1", now - timedelta(days=89), event_id="evt_new")

    assert services.forget_callback_bodies(now=now) == 1
    assert services.forget_callback_bodies(now=now) == 0

    kept = {callback.event_id: bytes(callback.body) for callback in Callback.objects.all()}
    assert kept == {"evt_old": b"", "evt_new": callback_body("sess_1", event_id="evt_new")}
    assert Callback.objects.get(event_id="evt_old").headers == {}
    body = callback_body("sess_1", event_id="evt_old")
    assert services.receive_callback(gateway="fake", body=body, headers=SIGNED, now=now) == Receipt(new=0, repeated=1)
