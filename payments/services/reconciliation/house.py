"""Our own books against each other: payments against orders, and the ledger against both."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from orders import queries as orders
from payments.models import Finding
from payments.queries import books
from payments.services.audit import Difference, LedgerCheck, audit_ledger
from payments.services.reconciliation.drift import MONEY_KINDS, Drift, moneyless_order, order_drift, rests
from payments.services.reconciliation.findings import Looked, Noted, note
from payments.services.reconciliation.gateway import Progress
from payments.states import FindingKind, FindingState

# More than so many rows that differ are one story; the command tells the whole number.
LEDGER_FINDINGS = 100
# How the subjects of differing attempts begin: what they captured may be missing in the ledger.
CAPTURES = f"{LedgerCheck.ATTEMPTS.name.lower()}: "


class HouseSweep:
    """One pass over the orders that have money, the orders that should, and the ledger."""

    def __init__(self, *, since: datetime, now: datetime, on_progress: Progress) -> None:
        self.orders = 0
        self.noted = Noted()
        self._since, self._now, self._on_progress = since, now, on_progress

    def run(self) -> None:
        """Compare everything since then; the ledger always as a whole."""
        for order_ids in books.orders_with_money_since(since=self._since):
            self._compare_money(order_ids)
        self._compare_closed()
        after = None
        while page := orders.taken_as_paid(since=self._since, limit=books.PAGE, after=after):
            self._compare_paid([order.order_id for order in page])
            after = page[-1].order_id
        self._look_again()
        self.noted += compare_ledger(now=self._now)

    def _compare_money(self, order_ids: Sequence[UUID]) -> None:
        moneys = books.money_of(order_ids=order_ids)
        resting = [money for money in moneys.values() if rests(moved_at=money.moved_at, now=self._now)]
        drifts = money_drifts(order_ids=[money.order_id for money in resting])
        self._note(MONEY_KINDS, drifts, [money.order_id for money in resting])
        self._count(len(order_ids))

    def _compare_closed(self) -> None:
        """Compare orders that have ended since then, however long ago their money came."""
        until, after = self._now - timedelta(seconds=settings.RECONCILIATION_QUIET_SECONDS), None
        while page := orders.closed_with_money(since=self._since, until=until, limit=books.PAGE, after=after):
            self._compare_money(page)
            after = page[-1]

    def _compare_paid(self, order_ids: Sequence[UUID]) -> None:
        drifts = moneyless_drifts(order_ids=order_ids)
        self._note(frozenset({FindingKind.ORDER_WITHOUT_MONEY}), drifts, order_ids)
        self._count(len(order_ids))

    def _look_again(self) -> None:
        """Look at what is still open of earlier days."""
        kinds = [kind.value for kind in (*MONEY_KINDS, FindingKind.ORDER_WITHOUT_MONEY)]
        left = Finding.objects.filter(state=FindingState.OPEN, kind__in=kinds, seen_at__lt=self._now)
        order_ids = [UUID(subject) for subject in left.values_list("subject", flat=True)[: books.PAGE]]
        if order_ids:
            self._compare_money(order_ids)
            self._compare_paid(order_ids)
            without = set(order_ids) - set(books.money_of(order_ids=order_ids))
            self._note(MONEY_KINDS, [], list(without))

    def _note(self, kinds: frozenset[FindingKind], drifts: Sequence[Drift], order_ids: Iterable[UUID]) -> None:
        looked = Looked(kinds=kinds, subjects=[str(order_id) for order_id in order_ids], gateway=None)
        self.noted += note(drifts=drifts, looked=looked, now=self._now)

    def _count(self, compared: int) -> None:
        self.orders += compared
        self._on_progress(compared)


def money_drifts(*, order_ids: Sequence[UUID]) -> list[Drift]:
    """Compare the money of these orders with the orders: three statements, however many."""
    moneys = books.money_of(order_ids=order_ids)
    known = orders.payables(order_ids=list(moneys))
    drifts = [order_drift(order=known.get(order_id), money=money) for order_id, money in moneys.items()]
    return [drift for drift in drifts if drift]


def moneyless_drifts(*, order_ids: Sequence[UUID]) -> list[Drift]:
    """Compare these orders, if they count as paid, with what their payments have brought."""
    moneys = books.money_of(order_ids=order_ids)
    known = orders.payables(order_ids=order_ids)
    drifts = [moneyless_order(order=order, money=moneys.get(order_id)) for order_id, order in known.items()]
    return [drift for drift in drifts if drift]


def compare_ledger(*, now: datetime) -> Noted:
    """Check the ledger, each row that differs a finding; only a list that was named whole can say what is gone."""
    drifts = ledger_drifts()
    kind = FindingKind.LEDGER_DIFFERS
    left = Finding.objects.filter(state=FindingState.OPEN, kind=kind)
    known = list(left.values_list("subject", flat=True)) if len(drifts) < LEDGER_FINDINGS else []
    return note(drifts=drifts, looked=Looked(kinds={kind}, subjects=known, gateway=None), now=now)


def ledger_drifts() -> list[Drift]:
    """Check the whole ledger and return the first rows that differ."""
    return [_of_ledger(difference) for difference in audit_ledger(limit=LEDGER_FINDINGS).differences]


def _of_ledger(difference: Difference) -> Drift:
    return Drift(
        kind=FindingKind.LEDGER_DIFFERS,
        gateway="",
        subject=f"{difference.check.name.lower()}: {difference.subject}",
        attempt_id=difference.attempt_id,
        order_id=difference.order_id,
        detail=difference.detail,
    )
