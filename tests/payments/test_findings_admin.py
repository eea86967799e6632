"""What support staff see of findings and of the ledger, and may do."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from orders.dto import OrderView
from payments import services
from payments.admin import findings_panel
from payments.admin.findings import _FIXES, _MEANINGS
from payments.models import Attempt, Finding, Posting
from payments.services.reconciliation.fixing import FIXABLE
from payments.states import AttemptStatus, FindingKind
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.panels import Link
from tests.clients import logged_in
from tests.payments.factories import attempt_in, status_of
from tests.payments.fakes import FakeGateway

pytestmark = pytest.mark.django_db

FINDINGS, LEDGER = "/admin/payments/finding/", "/admin/payments/posting/"
Counting = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def now() -> datetime:
    """Some hours ago: the admin reads the clock itself."""
    return datetime.now(UTC) - timedelta(hours=3)


@pytest.fixture
def support() -> Client:
    return logged_in("view_finding", "change_finding", "view_posting", "view_order", "view_attempt")


@pytest.fixture
def pending(shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime) -> Attempt:
    return attempt_in(AttemptStatus.PENDING, caller=shopper, order=order, gateway=gateway, now=now)


@pytest.fixture
def finding(pending: Attempt, gateway: FakeGateway, now: datetime) -> Finding:
    """Money that came and was never settled."""
    Attempt.objects.update(next_poll_at=None)
    gateway.pay(pending.session_id)
    services.reconcile_gateway(gateway="fake", since=now - timedelta(hours=1), now=now + timedelta(hours=2))
    return Finding.objects.get()


def test_a_finding_says_what_it_means_and_what_it_is_about(
    support: Client, finding: Finding, pending: Attempt, order: OrderView
) -> None:
    page = support.get(f"{FINDINGS}{finding.pk}/change/").content.decode()

    for text in (
        "paid_unsettled_here",
        "The gateway took the money, and our payment does not say so.",
        pending.session_id,
        f"{pending.reference} is pending here, paid there",
        f'href="/admin/payments/attempt/{pending.pk}/change/"',
        f'href="/admin/orders/order/{order.order_id}/change/"',
    ):
        assert text in page
    assert f'action="{FINDINGS}{finding.pk}/fix/"' in page
    assert "Settle the payment" in page
    assert f'action="{FINDINGS}{finding.pk}/dismiss/"' in page


def test_a_finding_about_nothing_of_ours_has_no_links(support: Client, now: datetime) -> None:
    finding = Finding.objects.create(
        kind="paid_unknown_here", gateway="fake", subject="sess_1", detail="5.00 EUR", found_at=now, seen_at=now
    )

    page = support.get(f"{FINDINGS}{finding.pk}/change/").content.decode()

    assert "unknown" in page
    assert f'action="{FINDINGS}{finding.pk}/fix/"' not in page
    assert f'action="{FINDINGS}{finding.pk}/dismiss/"' in page


def test_one_click_mends_it(support: Client, finding: Finding, pending: Attempt) -> None:
    page = support.post(f"{FINDINGS}{finding.pk}/fix/", follow=True).content.decode()

    assert "Mended: asked the gateway: moved, now succeeded." in page
    assert status_of(pending.pk) == "succeeded"
    assert Finding.objects.get().state == "fixed"
    assert LogEntry.objects.get().change_message == "Mended: asked the gateway: moved, now succeeded."
    assert f"{finding.pk}/fix/" not in page


def test_what_is_not_mended_yet_stays_open(support: Client, finding: Finding, gateway: FakeGateway) -> None:
    gateway.lies = {"reference": "another"}

    page = support.post(f"{FINDINGS}{finding.pk}/fix/", follow=True).content.decode()

    assert "asked the gateway: quarantined, now pending" in page
    assert "Mended" not in page
    assert Finding.objects.get().state == "open"


def test_a_gateway_that_is_silent_is_told(support: Client, finding: Finding, gateway: FakeGateway) -> None:
    gateway.fall_silent("fetch_session")

    page = support.post(f"{FINDINGS}{finding.pk}/fix/", follow=True).content.decode()

    assert "The gateway gave no answer" in page
    assert Finding.objects.get().state == "open"


def test_several_are_mended_at_once_as_far_as_that_needs_no_decision(
    support: Client, finding: Finding, pending: Attempt, now: datetime
) -> None:
    other = Finding.objects.create(
        kind="paid_unknown_here", gateway="fake", subject="sess_1", detail="5.00 EUR", found_at=now, seen_at=now
    )

    chosen = {"action": "fix_chosen", "_selected_action": [str(finding.pk), str(other.pk)]}
    page = support.post(FINDINGS, chosen, follow=True).content.decode()

    assert "Mended: asked the gateway: moved, now succeeded." in page
    assert "The others need a person" in page
    assert dict(Finding.objects.values_list("id", "state")) == {finding.pk: "fixed", other.pk: "open"}


def test_several_of_which_the_gateway_answers_for_none_stay_open(
    support: Client, finding: Finding, gateway: FakeGateway
) -> None:
    gateway.fall_silent("fetch_session")

    chosen = {"action": "fix_chosen", "_selected_action": [str(finding.pk)]}
    page = support.post(FINDINGS, chosen, follow=True).content.decode()

    assert "The gateway gave no answer" in page
    assert "The others need a person" not in page
    assert Finding.objects.get().state == "open"


def test_a_person_waves_it_through(support: Client, finding: Finding) -> None:
    support.post(f"{FINDINGS}{finding.pk}/dismiss/")

    closed = Finding.objects.get()
    assert (closed.state, closed.resolution) == ("dismissed", "waved through by support@example.com")
    assert support.post(f"{FINDINGS}{finding.pk}/dismiss/", follow=True).content.decode().count("is closed") == 1


def test_looking_is_not_acting(finding: Finding, pending: Attempt) -> None:
    looking_only = logged_in("view_finding")

    assert looking_only.post(f"{FINDINGS}{finding.pk}/fix/").status_code == 403
    assert looking_only.post(f"{FINDINGS}{finding.pk}/dismiss/").status_code == 403
    assert looking_only.post(f"{FINDINGS}{finding.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Finding.objects.get().state == "open"


def test_a_finding_is_found_by_what_it_is_about(support: Client, finding: Finding, order: OrderView) -> None:
    def shown(term: str) -> int:
        return len(support.get(FINDINGS, {"q": term}).context["cl"].result_list)

    assert shown(finding.subject) == 1
    assert shown(str(order.order_id)) == 1
    assert shown(str(new_id())) == 0
    assert shown("sess_other") == 0


def test_an_orders_page_shows_its_findings(support: Client, finding: Finding, order: OrderView) -> None:
    panel = findings_panel(order_id=order.order_id)

    (row,) = panel.rows
    assert row.cells[1] == Link("paid_unsettled_here", f"{FINDINGS}{finding.pk}/change/")
    assert [act.label for act in row.actions] == ["Settle the payment", "Wave through"]
    assert len(row.cells) == len(panel.columns)
    assert findings_panel(order_id=new_id()).rows == ()


def test_every_kind_has_a_meaning_and_every_fix_a_name() -> None:
    assert set(_MEANINGS) == set(FindingKind)
    assert set(_FIXES) == FIXABLE


def test_an_entry_is_found_by_the_ids_it_bears(support: Client, finding: Finding, pending: Attempt) -> None:
    support.post(f"{FINDINGS}{finding.pk}/fix/")
    posting = Posting.objects.get()

    def shown(term: str) -> int:
        return len(support.get(LEDGER, {"q": term}).context["cl"].result_list)

    page = support.get(f"{LEDGER}{posting.pk}/change/").content.decode()
    assert "28.70 EUR" in page
    assert "gateway_receivable" in page
    assert [shown(str(term)) for term in (pending.pk, pending.payable_id, posting.source_id)] == [1, 1, 1]
    assert [shown(str(new_id())), shown("x"), shown("")] == [0, 0, 1]
    assert support.post(f"{LEDGER}{posting.pk}/change/", {"amount": 1}).status_code == 403
    assert support.post(f"{LEDGER}{posting.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_balances_are_shown_in_as_many_statements_whatever_there_is(
    support: Client, finding: Finding, statements: Counting
) -> None:
    with statements() as empty:
        assert support.get(f"{LEDGER}balances/").status_code == 200
    support.post(f"{FINDINGS}{finding.pk}/fix/")

    with statements() as filled:
        page = support.get(f"{LEDGER}balances/").content.decode()

    for text in ("gateway_receivable", "customer_liability", "fake", "28.70 EUR"):
        assert text in page
    assert len(filled) == len(empty)
    assert "balances" in support.get(LEDGER).content.decode()


def test_balances_are_for_those_who_may_see_the_ledger() -> None:
    assert logged_in("view_finding").get(f"{LEDGER}balances/").status_code == 403
