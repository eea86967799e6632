"""`manage.py reconcile_payments`, and the clock's hourly turn."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from orders.dto import OrderView
from payments import tasks
from payments.models import Attempt, Finding
from payments.states import AttemptStatus
from shop.kernel.auth.dto import Caller
from tests.payments.factories import attempt_in
from tests.payments.fakes import FakeGateway
from tests.payments.findings import planted

pytestmark = pytest.mark.django_db

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def now() -> datetime:
    """Some hours ago: commands and tasks read the clock themselves."""
    return datetime.now(UTC) - timedelta(hours=3)


@pytest.fixture
def pending(shopper: Caller, order: OrderView, gateway: FakeGateway, now: datetime) -> Attempt:
    """A payment that nobody will ask about again."""
    attempt = attempt_in(AttemptStatus.PENDING, caller=shopper, order=order, gateway=gateway, now=now)
    Attempt.objects.update(next_poll_at=None)
    return attempt


def reconcile(**options: object) -> tuple[int, str]:
    """Run the command and return its exit status and what it printed."""
    told = StringIO()
    try:
        call_command("reconcile_payments", stdout=told, stderr=told, **options)
    except CommandError as error:
        return error.returncode, f"{told.getvalue()}{error}"
    return 0, told.getvalue()


def test_nothing_to_find_ends_well(pending: Attempt) -> None:
    status, told = reconcile()

    assert (status, told.splitlines()) == (
        0,
        [
            "fake: 1 sessions, 0 refunds compared; 0 new, 0 gone",
            "house: 0 orders compared; 0 new, 0 gone",
            "No finding is open.",
        ],
    )


def test_findings_are_a_table_and_a_status(pending: Attempt, gateway: FakeGateway) -> None:
    gateway.pay(pending.session_id)

    status, told = reconcile()

    assert status == 1
    assert "fake: 1 sessions, 0 refunds compared; 1 new, 0 gone" in told
    heads, rule, row = told.splitlines()[-4:-1]
    assert heads.split() == ["found", "(UTC)", "kind", "gateway", "subject", "what"]
    assert set(rule) == {"-", " "}
    assert row.endswith(f"{pending.session_id}  {pending.reference} is pending here, paid there")
    assert heads.index("subject") == rule.index("-" * len(pending.session_id)) == row.index(pending.session_id)


def test_what_needs_no_decision_is_mended_when_asked(pending: Attempt, gateway: FakeGateway) -> None:
    gateway.pay(pending.session_id)
    session = gateway.sessions[pending.session_id]
    gateway.sessions["sess_x"] = replace(session, session_id="sess_x", reference="nobody's")

    status, told = reconcile(fix=True)

    assert status == 1
    assert f"paid_unsettled_here {pending.session_id}: mended: asked the gateway: moved, now succeeded" in told
    assert list(Finding.objects.order_by("id").values_list("kind", "state")) == [
        ("paid_unknown_here", "open"),
        ("paid_unsettled_here", "fixed"),
    ]


def test_what_could_not_be_mended_is_told(pending: Attempt, gateway: FakeGateway) -> None:
    gateway.pay(pending.session_id)
    reconcile()
    gateway.unlisted = {pending.session_id}
    Attempt.objects.update(review_reason="amount 1 instead of 2")

    status, told = reconcile(fix=True)

    assert status == 1
    assert "not mended yet: asked the gateway: quarantined, now pending" in told


def test_a_gateway_that_falls_silent_while_mending_is_told(pending: Attempt, gateway: FakeGateway) -> None:
    gateway.pay(pending.session_id)
    gateway.fall_silent("fetch_session")

    status, told = reconcile(fix=True)

    assert (status, "not mended: silence" in told) == (1, True)


def test_a_gateway_that_cannot_be_asked_is_a_status_of_its_own(pending: Attempt, gateway: FakeGateway) -> None:
    gateway.fall_silent("list_sessions")

    status, told = reconcile()

    assert status == 2
    assert "fake: silence" in told
    assert "house: 0 orders compared" in told
    assert told.endswith("Could not ask: fake; the rest was compared.")


def test_one_gateway_alone_leaves_our_own_books_out(pending: Attempt) -> None:
    status, told = reconcile(gateway=["fake"])

    assert (status, told.splitlines()) == (
        0,
        ["fake: 1 sessions, 0 refunds compared; 0 new, 0 gone", "No finding is open."],
    )


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("60m", 0),
        ("1h", 0),
        ("5h", 1),
        ("1d", 1),
        ("99999d", 1),
        ("2020-01-01T00:00:00Z", 1),
        ("2020-01-01 00:00", 1),
        ("0001-01-01T00:00:00Z", 1),
        ("0001-01-01T00:00:00+14:00", 1),
    ],
)
def test_how_far_back_is_an_instant_or_a_duration(
    text: str, missing: int, pending: Attempt, gateway: FakeGateway
) -> None:
    gateway.sessions.clear()

    call = ["reconcile_payments", "--since", text]

    if missing:
        with pytest.raises(CommandError):
            call_command(*call, stdout=StringIO())
    else:
        call_command(*call, stdout=StringIO())
    assert Finding.objects.filter(kind="missing_there").count() == missing


@pytest.mark.parametrize("text", ["yesterday", "3w", "2026-13-01T00:00:00", "", "-1h"])
def test_what_is_neither_is_refused(text: str, db: None) -> None:
    with pytest.raises(CommandError, match="neither an instant"):
        call_command("reconcile_payments", f"--since={text}")


def test_a_long_list_is_cut(gateway: FakeGateway, pending: Attempt) -> None:
    session = gateway.sessions[pending.session_id]
    gateway.pay(pending.session_id)
    paid = gateway.sessions.pop(pending.session_id)
    gateway.sessions[pending.session_id] = session
    for place in range(51):
        gateway.sessions[f"sess_{place}"] = replace(paid, session_id=f"sess_{place}", reference="nobody's")

    _, told = reconcile()

    assert told.count("paid_unknown_here") == 50
    assert "and more; the admin shows all of them" in told


@pytest.mark.parametrize("kind", ["Silent", "Mad"])
def test_the_clock_compares_every_gateway_though_one_cannot_be_compared(
    kind: str, pending: Attempt, gateway: FakeGateway, settings: Settings
) -> None:
    settings.GATEWAYS = {"other": f"tests.payments.test_reconcile_command.{kind}", **settings.GATEWAYS}
    gateway.pay(pending.session_id)

    tasks.reconcile()

    assert Finding.objects.get().kind == "paid_unsettled_here"


class Silent(FakeGateway):
    """A gateway that never answers a list."""

    def forget(self) -> None:
        """Be as new, and silent."""
        super().forget()
        self.fall_silent("list_sessions", times=1_000)


class Mad(FakeGateway):
    """A gateway that says what no database keeps."""

    def forget(self) -> None:
        """Be as new, and mad."""
        super().forget()
        planted(self, reference="nul\x00")
