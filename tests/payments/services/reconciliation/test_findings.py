"""A finding over time: found once, gone once mended, put right or waved through by a person, and never lost."""

from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from payments import services
from payments.dto import SessionState
from payments.errors import FindingNotFixable, FindingNotFound, FindingNotOpen
from payments.models import Attempt, Finding
from payments.ports import GatewayUnavailable
from payments.services import gateways
from payments.services.reconciliation.drift import MONEY_KINDS, REFUND_KINDS, SESSION_KINDS
from payments.states import FindingKind, Source
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from tests.payments.fakes import FakeGateway
from tests.payments.findings import look, planted

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def test_a_finding_found_again_is_the_same(gateway: FakeGateway, later: datetime) -> None:
    planted(gateway)

    assert [look(later), look(later + HOUR)] == [(1, 0), (0, 0)]

    finding = Finding.objects.get()
    assert (finding.found_at, finding.seen_at, finding.closed_at) == (later, later + HOUR, None)


def test_what_is_no_longer_so_is_gone_and_may_come_back(paid: Attempt, gateway: FakeGateway, later: datetime) -> None:
    gateway.become(paid.session_id, SessionState.CANCELLED)
    look(later)
    gateway.pay(paid.session_id)

    assert look(later + HOUR) == (0, 1)
    gone = Finding.objects.get()
    assert (gone.state, gone.closed_at) == ("gone", later + HOUR)

    gateway.become(paid.session_id, SessionState.CANCELLED)
    assert look(later + 2 * HOUR) == (1, 0)
    assert Finding.objects.count() == 2


def test_a_finding_older_than_what_is_listed_is_asked_about_by_name(
    paid: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    gateway.become(paid.session_id, SessionState.CANCELLED)
    look(later)
    gateway.unlisted = {paid.session_id}
    days_later = later + timedelta(days=9)

    look(days_later)
    assert Finding.objects.get().seen_at == days_later

    gateway.pay(paid.session_id)
    look(days_later + HOUR)
    assert Finding.objects.get().state == "gone"


@pytest.mark.parametrize("mended", [False, True])
def test_a_refunds_finding_older_than_what_is_listed_is_asked_about_too(
    mended: bool, paid: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    refund_id = gateway.refund_in_dashboard(870)
    look(later)
    gateway.unlisted = {refund_id}
    if mended:
        services.adopt_refunds_of(attempt_id=paid.id, source=Source.POLL, now=later)

    look(later + timedelta(days=9))

    assert Finding.objects.get().state == ("gone" if mended else "open")
    assert Finding.objects.get().seen_at == (later if mended else later + timedelta(days=9))


def test_a_finding_the_gateway_says_nothing_about_keeps_no_other_from_its_turn(
    paid: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    gateway.refund_in_dashboard(870)
    gateway.refund_in_dashboard(100)
    look(later)
    gateway.unlisted = set(gateway.refunds)
    gateway.deny("list_refunds", "permission_denied")

    look(later + timedelta(days=9))

    assert {finding.state for finding in Finding.objects.all()} == {"open"}
    assert {finding.seen_at for finding in Finding.objects.all()} == {later + timedelta(days=9)}


def test_a_gateway_that_fails_half_way_leaves_the_rest_as_it_was(
    gateway: FakeGateway, later: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "PAGE", 2)
    for place in range(6):
        planted(gateway, f"sess_{place}")
    look(later)
    for place in range(6):
        gateway.become(f"sess_{place}", SessionState.CANCELLED)
    gateway.breaks_off_after = 5

    with pytest.raises(GatewayUnavailable):
        look(later + HOUR)

    gone = Finding.objects.filter(state="gone").order_by("subject").values_list("subject", flat=True)
    assert list(gone) == ["sess_0", "sess_1", "sess_2", "sess_3"]
    left = Finding.objects.filter(state="open").order_by("subject").values_list("subject", "seen_at")
    assert list(left) == [("sess_4", later), ("sess_5", later)]


@pytest.mark.parametrize("call", ["list_sessions", "list_refunds_since", "fetch_session"])
def test_a_gateway_that_is_silent_touches_no_finding(
    call: str, paid: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    gateway.refund_in_dashboard(870)
    look(later)
    before = Finding.objects.values().get()
    gateway.unlisted = {paid.session_id}
    gateway.fall_silent(call)

    with pytest.raises(GatewayUnavailable):
        look(later + HOUR)

    assert Finding.objects.values().get() == before


def test_a_finding_of_another_gateway_is_left_alone(gateway: FakeGateway, later: datetime) -> None:
    Finding.objects.create(
        kind="paid_unknown_here", gateway="other", subject="sess_1", detail="-", found_at=later, seen_at=later
    )

    look(later + HOUR)

    assert Finding.objects.get().state == "open"


def test_a_finding_whose_payment_has_just_moved_is_looked_at_later(
    paid: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    gateway.become(paid.session_id, SessionState.CANCELLED)
    look(later)
    gateway.unlisted = {paid.session_id}
    gateway.pay(paid.session_id)
    Attempt.objects.update(moved_at=later + HOUR)

    assert look(later + HOUR) == (0, 0)
    assert look(later + 2 * HOUR) == (0, 1)


def test_what_a_person_waved_through_is_not_found_again_unless_it_changes(
    gateway: FakeGateway, later: datetime
) -> None:
    planted(gateway)
    look(later)

    services.dismiss_finding(finding_id=Finding.objects.get().id, reason="a test of the bank", now=later)
    assert look(later + HOUR) == (0, 0)
    dismissed = Finding.objects.get()
    assert (dismissed.state, dismissed.resolution, dismissed.closed_at) == ("dismissed", "a test of the bank", later)

    planted(gateway, captured=Money(501, "EUR"))
    assert look(later + 2 * HOUR) == (1, 0)


def test_a_closed_finding_is_neither_fixed_nor_dismissed(
    pending: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    gateway.pay(pending.session_id)
    look(later)
    finding_id = Finding.objects.get().id
    services.dismiss_finding(finding_id=finding_id, reason="", now=later)

    with pytest.raises(FindingNotOpen):
        services.fix_finding(finding_id=finding_id, source=Source.STAFF, now=later)
    with pytest.raises(FindingNotOpen):
        services.dismiss_finding(finding_id=finding_id, reason="", now=later)
    with pytest.raises(FindingNotFound):
        services.dismiss_finding(finding_id=new_id(), reason="", now=later)
    assert Attempt.objects.get().status == "pending"


@pytest.mark.parametrize(
    "kind", ["paid_unknown_here", "unpaid_there", "missing_there", "amount_mismatch", "session_differs"]
)
def test_what_needs_a_decision_is_not_fixed(kind: str, paid: Attempt, later: datetime) -> None:
    finding = Finding.objects.create(
        kind=kind,
        gateway="fake",
        subject="s",
        attempt_id=paid.id,
        order_id=paid.payable_id,
        detail="-",
        found_at=later,
        seen_at=later,
    )

    with pytest.raises(FindingNotFixable):
        services.fix_finding(finding_id=finding.id, source=Source.STAFF, now=later)


def test_a_finding_of_a_gateway_we_no_longer_have_is_not_fixed(
    pending: Attempt, gateway: FakeGateway, later: datetime, settings: Settings
) -> None:
    gateway.pay(pending.session_id)
    look(later)
    settings.GATEWAYS = {}

    with pytest.raises(FindingNotFixable):
        services.fix_finding(finding_id=Finding.objects.get().id, source=Source.STAFF, now=later)


def test_a_fix_that_does_not_help_leaves_the_finding_open(
    pending: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    gateway.pay(pending.session_id)
    look(later)
    Attempt.objects.update(review_reason="amount 1 instead of 2")

    fix = services.fix_finding(finding_id=Finding.objects.get().id, source=Source.RECONCILIATION, now=later)

    assert (fix.fixed, fix.done) == (False, "asked the gateway: quarantined, now pending")
    assert Finding.objects.get().state == "open"


def test_a_fix_the_gateway_does_not_answer_changes_nothing(
    pending: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    gateway.pay(pending.session_id)
    look(later)
    gateway.fall_silent("fetch_session")

    with pytest.raises(GatewayUnavailable):
        services.fix_finding(finding_id=Finding.objects.get().id, source=Source.STAFF, now=later)

    assert Finding.objects.get().state == "open"


def test_every_kind_there_is_has_its_place() -> None:
    of_the_house = {*MONEY_KINDS, FindingKind.ORDER_WITHOUT_MONEY, FindingKind.LEDGER_DIFFERS}

    assert SESSION_KINDS | REFUND_KINDS | of_the_house == set(FindingKind)
