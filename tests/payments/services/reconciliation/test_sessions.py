"""Planted drift of sessions is found, both ways, and nothing is ever deleted."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest

from orders.dto import OrderView
from payments import services
from payments.dto import SessionState
from payments.models import Attempt, Finding
from payments.states import AttemptStatus, Source
from shop.kernel.auth.dto import Caller
from shop.kernel.money import Money
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.payments.factories import started
from tests.payments.fakes import FakeGateway
from tests.payments.findings import AttemptAt, found, kinds, look, planted

pytestmark = pytest.mark.django_db

Counting = Callable[[], AbstractContextManager[list[str]]]
TOTAL = 2_870
HOUR = timedelta(hours=1)


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
