"""A gateway that settings no longer have keeps its payments and refunds: they wait, and nobody meets an error."""

from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from orders.dto import OrderView
from payments import services
from payments.errors import GatewayDown
from payments.models import Attempt, Callback, Refund
from payments.ports import GatewayUnavailable
from payments.states import AttemptStatus
from shop.kernel.auth.dto import Caller
from tests.payments.factories import attempt_in, received, started, status_of
from tests.payments.fakes import FakeGateway
from tests.payments.refunds import asked

pytestmark = pytest.mark.django_db

OTHER = {"other": "tests.payments.fakes.FakeGateway"}


def test_its_payment_is_read_as_it_is_known_here(pending: Attempt, settings: Settings, now: datetime) -> None:
    settings.GATEWAYS = OTHER

    seen = services.look(payment_id=pending.id, now=now + timedelta(minutes=1))

    assert seen is not None
    assert seen.status == "pending"


def test_its_payment_is_not_called_off(pending: Attempt, shopper: Caller, settings: Settings, now: datetime) -> None:
    settings.GATEWAYS = OTHER

    with pytest.raises(GatewayDown):
        services.cancel_attempt(caller=shopper, payment_id=pending.id, now=now)

    assert status_of(pending.id) == "pending"


def test_a_payment_it_never_answered_for_stays_as_it_is(
    shopper: Caller, order: OrderView, gateway: FakeGateway, settings: Settings, now: datetime
) -> None:
    attempt = attempt_in(AttemptStatus.CREATED, caller=shopper, order=order, gateway=gateway, now=now)
    settings.GATEWAYS = OTHER
    settings.DEFAULT_GATEWAY = "other"

    with pytest.raises(GatewayDown):
        started(shopper, order, now)

    assert status_of(attempt.id) == "created"


def test_a_refund_of_its_money_waits(paid: Attempt, settings: Settings, now: datetime) -> None:
    settings.GATEWAYS = OTHER

    refund = services.give_back(payment_id=paid.id, amount=None, reason="Broken.", now=now)

    assert refund.status == "requested"


def test_no_turn_of_its_clocks_is_spent(paid: Attempt, settings: Settings, gateway: FakeGateway, now: datetime) -> None:
    refund_id = asked(paid.id, now)
    due_at = Refund.objects.get(id=refund_id).next_try_at
    assert due_at is not None
    settings.GATEWAYS = OTHER

    with pytest.raises(GatewayUnavailable):
        services.poll_refund(refund_id=refund_id, now=due_at)

    refund = Refund.objects.get(id=refund_id)
    assert (refund.status, refund.tries) == ("requested", 0)
    settings.GATEWAYS = {"fake": OTHER["other"]}
    assert refund.next_try_at is not None
    settlement = services.poll_refund(refund_id=refund_id, now=refund.next_try_at)
    assert settlement is not None
    assert settlement.status == "succeeded"
    assert gateway.calls.count("create_refund") == 1


def test_what_it_told_before_is_put_off(pending: Attempt, settings: Settings, now: datetime) -> None:
    callback_id = received(pending.session_id, now)
    settings.GATEWAYS = OTHER

    assert services.process_callback(callback_id=callback_id, now=now) == "put_off"

    assert Callback.objects.get(id=callback_id).attempts == 0
