"""Reads of mails."""

from datetime import datetime
from uuid import UUID

from django.db.models import Count, Min

from notifications import rendering
from notifications.dto import Letter, Occasion, Standing, Template, Waiting
from notifications.models import Mail
from notifications.states import State
from orders import queries as orders
from orders.dto import PayableOrder
from orders.errors import OrderNotFound
from payments import queries as payments
from shop.kernel.money import Money

# Orders' own words for an order that waits for its money, and for one that takes none any more.
_WAITS_FOR_MONEY = "pending_payment"
_CLOSED = frozenset({"expired", "cancelled"})
_SETTLED = (State.SENT, State.DISMISSED)


def due_mails(*, now: datetime, limit: int) -> list[UUID]:
    """Return mails whose turn has come, the longest due first."""
    due = Mail.objects.filter(state=State.PENDING, next_attempt_at__lte=now)
    return list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:limit])


def waiting(*, now: datetime) -> Waiting:
    """Count what is not sent, but for what was dismissed."""
    unsent = Mail.objects.exclude(state__in=_SETTLED).order_by()
    found = {
        state: (count, oldest)
        for state, count, oldest in unsent.values_list("state").annotate(Count("pk"), Min("created_at"))
    }
    _, oldest_pending = found.get(State.PENDING, (0, now))
    return Waiting(
        by_state={state: found.get(state, (0, now))[0] for state in State if state not in _SETTLED},
        oldest_pending_seconds=max((now - oldest_pending).total_seconds(), 0),
    )


def due_since() -> datetime | None:
    """Return when the first mail that waits was due, or will be; None when none waits."""
    due: datetime | None = Mail.objects.aggregate(at=Min("next_attempt_at"))["at"]
    return due


def letter_of(*, mail: Mail, now: datetime) -> Letter:
    """Return the mail in words. What it says of the order's state is true `now`, however long it has waited.

    OrderNotFound.
    """
    order = orders.mail_order(order_id=mail.order_id)
    payable = orders.payable(order_id=mail.order_id)
    if order is None or payable is None:
        raise OrderNotFound
    occasion = Occasion(
        template=Template(mail.template),
        amount=Money(mail.amount_minor, mail.currency),
        occurred_at=mail.occurred_at,
        failure_code=mail.failure_code,
        cause=mail.cause,
        order=order,
        standing=_standing(payable, now=now),
        payment=payments.payment(payment_id=mail.payment_id) if mail.payment_id else None,
    )
    return rendering.render(occasion=occasion, language=mail.language)


def _standing(order: PayableOrder, *, now: datetime) -> Standing:
    if order.status == _WAITS_FOR_MONEY:
        return Standing.WAITING if now < order.payment_deadline else Standing.OVERDUE
    return Standing.CLOSED if order.status in _CLOSED else Standing.PAID
