"""Reconciliation looks both ways, mends what it safely can, and takes nothing away."""

from datetime import datetime, timedelta

import pytest
from django.apps import apps

from orders.dto import OrderView
from payments import services
from payments.dto import SessionState
from payments.models import Finding
from payments.states import AttemptStatus, Source
from shop.kernel.auth.dto import Caller
from tests.orders.factories import placed
from tests.payments.factories import attempt_in, started, status_of
from tests.payments.fakes import FakeGateway
from tests.payments.findings import planted

pytestmark = pytest.mark.django_db

HOURS = timedelta(hours=1)


def all_rows() -> dict[str, set[object]]:
    """Return the keys of every row of orders and payments, table by table."""
    models = [model for label in ("orders", "payments") for model in apps.get_app_config(label).get_models()]
    return {model._meta.db_table: set(model._default_manager.values_list("pk", flat=True)) for model in models}


def test_planted_drift_is_found_both_ways_and_nothing_is_deleted(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime
) -> None:
    later = now + 3 * HOURS
    paid = attempt_in(AttemptStatus.SUCCEEDED, caller=shopper, order=order, gateway=gateway, now=now)
    another = started(shopper, placed(caller=shopper, now=now), now).payment
    unsettled = next(session_id for session_id in gateway.sessions if session_id != paid.session_id)
    gateway.become(paid.session_id, SessionState.CANCELLED)
    gateway.pay(unsettled)
    planted(gateway)
    before = all_rows()

    services.reconcile_gateway(gateway="fake", since=now - HOURS, now=later)
    found = dict(Finding.objects.values_list("subject", "kind"))
    for finding in Finding.objects.exclude(kind="paid_unknown_here").exclude(kind="unpaid_there"):
        services.fix_finding(finding_id=finding.id, source=Source.STAFF, now=later)
    services.reconcile_gateway(gateway="fake", since=now - HOURS, now=later)

    # There and not here, there and not yet here, here and not there.
    assert found == {
        "sess_planted": "paid_unknown_here",
        unsettled: "paid_unsettled_here",
        paid.session_id: "unpaid_there",
    }
    after = all_rows()
    assert {table: gone for table, keys in before.items() if (gone := keys - after[table])} == {}
    assert "sess_planted" in gateway.sessions
    assert status_of(another.payment_id) == "succeeded"
