"""Planted drift of refunds is found, both ways, and nothing is ever deleted."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from payments import services
from payments.dto import RefundState
from payments.errors import FindingNotFixable
from payments.models import Attempt, Finding, Refund
from payments.services.reconciliation import Fix
from payments.states import Source
from shop.kernel.money import Money
from tests.payments.fakes import FakeGateway
from tests.payments.findings import found, look, planted
from tests.payments.ledger import refund_of

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def test_refunds_that_agree_hold_no_finding(
    paid: Attempt, gateway: FakeGateway, now: datetime, later: datetime
) -> None:
    for state in RefundState:
        services.adopt_refunds_of(attempt_id=paid.id, source=Source.POLL, now=now)
        gateway.refund_in_dashboard(100, state)
    services.adopt_refunds_of(attempt_id=paid.id, source=Source.POLL, now=now)

    assert look(later) == (0, 0)


def test_a_refund_of_the_dashboard_is_found_and_imported(paid: Attempt, gateway: FakeGateway, later: datetime) -> None:
    refund_id = gateway.refund_in_dashboard(870)

    look(later)
    assert found() == [("refund_unknown_here", refund_id, f"8.70 EUR succeeded there, of {paid.reference}")]
    fix = services.fix_finding(finding_id=Finding.objects.get().id, source=Source.STAFF, now=later)

    assert fix.fixed
    assert Finding.objects.get().resolution == "asked for the payment's refunds: moved, now succeeded"
    assert Refund.objects.get().cause == "external"
    assert Attempt.objects.get().refunded == 870
    assert services.audit_ledger().clean


def test_a_refund_for_which_no_money_is_left_stays_a_finding(
    paid: Attempt, gateway: FakeGateway, now: datetime, later: datetime
) -> None:
    refund_of(paid, 2_500, now)
    gateway.refund_in_dashboard(870)
    look(later)
    unknown = Finding.objects.get(kind="refund_unknown_here")

    fix = services.fix_finding(finding_id=unknown.id, source=Source.STAFF, now=later)

    assert fix == Fix(
        "asked for the payment's refunds: none of them ours; 1 for which no money is left here", fixed=False
    )
    assert Finding.objects.get(id=unknown.id).state == "open"


def test_a_refund_of_a_payment_nobody_knows_is_found_and_cannot_be_imported(
    gateway: FakeGateway, later: datetime
) -> None:
    planted(gateway)
    refund_id = gateway.refund_in_dashboard(500)

    look(later)

    finding = Finding.objects.get(kind="refund_unknown_here")
    assert (finding.subject, finding.attempt_id) == (refund_id, None)
    assert finding.detail == "5.00 EUR succeeded there, of an unknown payment, session sess_planted"
    with pytest.raises(FindingNotFixable):
        services.fix_finding(finding_id=finding.id, source=Source.STAFF, now=later)
    # Nobody can ask for it by name; it stays until a list holds it no more.
    gateway.unlisted = {refund_id}
    look(later + HOUR)
    assert Finding.objects.get(id=finding.id).state == "open"


def test_a_refund_the_gateway_refused_to_somebody_else_is_nothing(
    paid: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    gateway.refund_in_dashboard(870, RefundState.REJECTED)

    assert look(later) == (0, 0)


def test_a_refund_just_made_is_no_finding(paid: Attempt, gateway: FakeGateway, later: datetime) -> None:
    refund_id = gateway.refund_in_dashboard(870)
    gateway.refunds[refund_id] = replace(gateway.refunds[refund_id], created_at=later - timedelta(minutes=1))

    assert look(later) == (0, 0)


def test_a_refund_that_stands_elsewhere_is_found_and_fixed(
    paid: Attempt, gateway: FakeGateway, now: datetime, later: datetime
) -> None:
    refund_id = gateway.refund_in_dashboard(870, RefundState.PENDING)
    services.adopt_refunds_of(attempt_id=paid.id, source=Source.POLL, now=now)
    gateway.refund_becomes(refund_id, RefundState.SUCCEEDED)

    look(later)
    assert found() == [("refund_differs", refund_id, "succeeded there, submitted here")]
    fix = services.fix_finding(finding_id=Finding.objects.get().id, source=Source.RECONCILIATION, now=later)

    assert fix.fixed
    assert Refund.objects.get().status == "succeeded"


def test_a_refund_of_another_amount_is_found(
    paid: Attempt, gateway: FakeGateway, now: datetime, later: datetime
) -> None:
    refund_id = gateway.refund_in_dashboard(870)
    services.adopt_refunds_of(attempt_id=paid.id, source=Source.POLL, now=now)
    gateway.refund_lies = {"amount": Money(871, "EUR")}

    look(later)

    assert found() == [("refund_differs", refund_id, "amount 871 instead of 870")]


def test_a_refund_the_gateway_denies_is_found(
    paid: Attempt, gateway: FakeGateway, now: datetime, later: datetime
) -> None:
    row = refund_of(paid, 870, now)

    look(later)

    detail = "8.70 EUR is succeeded here; the gateway says not_found"
    assert found() == [("refund_missing_there", row.gateway_refund_id, detail)]
    assert Refund.objects.count() == 1


def test_a_refund_that_has_just_moved_is_not_missed_in_the_list(
    paid: Attempt, gateway: FakeGateway, now: datetime
) -> None:
    refund_of(paid, 870, now)

    assert look(now + timedelta(seconds=299)) == (0, 0)
    assert look(now + timedelta(seconds=301)) == (1, 0)
