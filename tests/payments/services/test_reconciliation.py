"""Planted drift is found, both ways, and nothing is ever deleted."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from pytest_django import Settings

from orders.dto import OrderView
from payments import services
from payments.dto import GatewaySession, RefundState, SessionState
from payments.errors import FindingNotFixable, FindingNotFound, FindingNotOpen
from payments.models import Attempt, Finding, Refund
from payments.ports import GatewayUnavailable
from payments.services import gateways
from payments.services.reconciliation import Fix
from payments.services.reconciliation.drift import MONEY_KINDS, REFUND_KINDS, SESSION_KINDS
from payments.states import AttemptStatus, FindingKind, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.payments.factories import attempt_in, started
from tests.payments.fakes import FakeGateway
from tests.payments.ledger import refund_of

pytestmark = pytest.mark.django_db

AttemptAt = Callable[[AttemptStatus], Attempt]
Counting = Callable[[], AbstractContextManager[list[str]]]
TOTAL = 2_870
HOUR = timedelta(hours=1)


@pytest.fixture
def later(now: datetime) -> datetime:
    """When everything has come to rest."""
    return now + 3 * HOUR


@pytest.fixture
def attempt_at(shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime) -> AttemptAt:
    """Return what makes an attempt of the order, in this status."""
    return partial(attempt_in, caller=shopper, order=order, gateway=gateway, now=now)


@pytest.fixture
def pending(attempt_at: AttemptAt) -> Attempt:
    return attempt_at(AttemptStatus.PENDING)


@pytest.fixture
def paid(attempt_at: AttemptAt) -> Attempt:
    return attempt_at(AttemptStatus.SUCCEEDED)


def look(at: datetime) -> tuple[int, int]:
    """Compare with the gateway; return how many findings were new and how many are gone."""
    done = services.reconcile_gateway(gateway="fake", since=at - 26 * HOUR, now=at)
    return done.new, done.gone


def found() -> list[tuple[str, str, str]]:
    """Return kind, subject and detail of the open findings."""
    return list(Finding.objects.filter(state="open").order_by("kind", "id").values_list("kind", "subject", "detail"))


def kinds() -> list[str]:
    return [kind for kind, _, _ in found()]


def planted(gateway: FakeGateway, session_id: str = "sess_planted", **other: object) -> GatewaySession:
    """Let the gateway have a session that took money and that nobody here has heard of."""
    session = GatewaySession(
        session_id=session_id,
        state=SessionState.PAID,
        redirect_url="",
        reference="somebody's",
        amount=Money(500, "EUR"),
        captured=Money(500, "EUR"),
        live=False,
    )
    gateway.sessions[session_id] = replace(session, **other)  # type: ignore[arg-type]  # a test's own choice of fields
    return gateway.sessions[session_id]


# --- sessions ---


@pytest.mark.parametrize("status", AttemptStatus)
def test_books_that_agree_hold_no_finding(status: AttemptStatus, attempt_at: AttemptAt, later: datetime) -> None:
    attempt_at(status)

    assert look(later) == (0, 0)
    assert found() == []


def test_money_taken_for_nobody_is_found(gateway: FakeGateway, later: datetime) -> None:
    planted(gateway)

    assert look(later) == (1, 0)

    assert found() == [("paid_unknown_here", "sess_planted", "5.00 EUR taken for somebody's")]
    assert Attempt.objects.count() == 0


@pytest.mark.parametrize("state", [SessionState.OPEN, SessionState.CLOSED, SessionState.FAILED])
def test_a_session_of_nobody_that_took_no_money_is_nothing(
    state: SessionState, gateway: FakeGateway, later: datetime
) -> None:
    planted(gateway, state=state, captured=Money(0, "EUR"))

    assert look(later) == (0, 0)


def test_a_second_session_of_one_payment_that_took_money_is_found(
    paid: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    planted(gateway, reference=paid.reference)

    look(later)

    finding = Finding.objects.get()
    assert (finding.kind, finding.subject, finding.attempt_id) == ("paid_unknown_here", "sess_planted", paid.id)
    assert finding.order_id == paid.payable_id
    assert finding.detail.endswith(f"; that payment has the session {paid.session_id}")


def test_money_that_came_and_was_never_settled_is_found_and_fixed(
    pending: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    gateway.pay(pending.session_id)

    look(later)
    assert found() == [
        ("paid_unsettled_here", pending.session_id, f"{pending.reference} is pending here, paid there"),
    ]
    fix = services.fix_finding(finding_id=Finding.objects.get().id, source=Source.RECONCILIATION, now=later)

    assert (fix.fixed, fix.done) == (True, "asked the gateway: moved, now succeeded")
    finding = Finding.objects.get()
    assert (finding.state, finding.resolution, finding.closed_at) == ("fixed", fix.done, later)
    assert Attempt.objects.get().status == "succeeded"
    assert look(later + HOUR) == (0, 0)


def test_a_session_whose_id_we_never_learned_is_known_by_its_reference(
    shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime, later: datetime
) -> None:
    gateway.fall_silent("create_session", after_doing=True)
    with pytest.raises(Exception, match="does not answer"):
        started(shopper, order, now)
    gateway.pay(gateway.only_session())

    look(later)

    assert kinds() == ["paid_unsettled_here"]
    fix = services.fix_finding(finding_id=Finding.objects.get().id, source=Source.STAFF, now=later)
    assert fix.fixed
    assert Attempt.objects.get().session_id == gateway.only_session()


def test_money_here_that_is_not_there_is_found(paid: Attempt, gateway: FakeGateway, later: datetime) -> None:
    gateway.become(paid.session_id, SessionState.CANCELLED)

    look(later)

    assert found() == [("unpaid_there", paid.session_id, f"{paid.reference} is succeeded here, cancelled there")]
    assert Attempt.objects.get().captured == TOTAL


def test_a_payment_the_gateway_denies_is_found(paid: Attempt, gateway: FakeGateway, later: datetime) -> None:
    gateway.sessions.clear()

    look(later)

    detail = f"{paid.reference} is succeeded here; the gateway says not_found"
    assert found() == [("missing_there", paid.session_id, detail)]
    assert Attempt.objects.count() == 1


def test_a_payment_the_list_leaves_out_is_asked_for_by_name(
    paid: Attempt, gateway: FakeGateway, later: datetime
) -> None:
    gateway.unlisted = {paid.session_id}

    assert look(later) == (0, 0)
    assert gateway.calls[-3:] == ["list_sessions", "fetch_session", "list_refunds_since"]


@pytest.mark.parametrize(
    ("lie", "kind"),
    [
        ({"captured": Money(TOTAL - 1, "EUR")}, "amount_mismatch"),
        ({"amount": Money(TOTAL + 1, "EUR")}, "amount_mismatch"),
        ({"amount": Money(TOTAL, "USD"), "captured": Money(TOTAL, "USD")}, "amount_mismatch"),
        ({"live": True}, "session_differs"),
        ({"reference": "another"}, "session_differs"),
    ],
)
@pytest.mark.parametrize("status", [AttemptStatus.PENDING, AttemptStatus.SUCCEEDED])
def test_what_differs_is_found_before_and_after_the_money_was_taken_as_ours(
    status: AttemptStatus, lie: dict[str, object], kind: str, attempt_at: AttemptAt, gateway: FakeGateway
) -> None:
    attempt = attempt_at(status)
    gateway.pay(attempt.session_id)
    gateway.lies = lie

    look(attempt.moved_at + 3 * HOUR)

    assert kinds() == [kind]
    assert "instead of" in found()[0][2]
    assert Attempt.objects.get().status == status


def test_what_has_just_moved_is_no_finding(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    gateway.become(paid.session_id, SessionState.CANCELLED)

    assert look(now + timedelta(seconds=299)) == (0, 0)
    assert look(now + timedelta(seconds=301)) == (1, 0)


def test_what_is_about_to_be_asked_about_is_no_finding(pending: Attempt, gateway: FakeGateway, now: datetime) -> None:
    gateway.pay(pending.session_id)
    at = now + timedelta(minutes=20)
    Attempt.objects.update(next_poll_at=at + timedelta(seconds=30))

    assert look(at) == (0, 0)

    Attempt.objects.update(next_poll_at=None)
    assert look(at) == (1, 0)


def test_what_has_just_moved_is_not_missed_in_the_list(paid: Attempt, gateway: FakeGateway, now: datetime) -> None:
    gateway.sessions.clear()

    assert look(now + timedelta(seconds=299)) == (0, 0)
    assert look(now + timedelta(seconds=301)) == (1, 0)


# --- refunds ---


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


# --- findings over time ---


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


def test_nothing_is_compared_inside_a_transaction(gateway: FakeGateway, later: datetime) -> None:
    with open_unit_of_work(), pytest.raises(TransactionMisuse):
        look(later)

    assert gateway.calls == []


def test_thirty_sessions_take_as_many_statements_as_three(
    gateway: FakeGateway, later: datetime, statements: Counting
) -> None:
    counts = []
    for many in (3, 30):
        for place in range(many):
            planted(gateway, f"sess_{place}")
        with statements() as counted:
            look(later)
        counts.append(len(counted))

    assert counts[0] == counts[1]


def test_every_kind_there_is_has_its_place() -> None:
    of_the_house = {*MONEY_KINDS, FindingKind.ORDER_WITHOUT_MONEY, FindingKind.LEDGER_DIFFERS}

    assert SESSION_KINDS | REFUND_KINDS | of_the_house == set(FindingKind)
