"""Alarm clocks: find what is due, call one service for each. The row is the truth; a lost tick loses nothing."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from time import monotonic
from uuid import UUID

import structlog
from celery import shared_task
from django.conf import settings

from orders import queries as orders
from payments import queries, services
from payments.dto import Processing
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.services.circuits import GatewayHeldBack
from shop.kernel.clock import utc_now
from shop.kernel.clockwatch.services import may_enforce, may_forget
from shop.kernel.clockwatch.uptime import uptime

log = structlog.get_logger(__name__)

BATCH = 200
# After so many silences in a row the gateway is down, and asking on would only keep the worker waiting.
SILENCES = 5
# A gateway that answers slowly must not keep the worker from mails and events; who is left has the next turn.
RUN_SECONDS = 25


@shared_task(name="payments.tasks.settle_callback")
def settle_callback(*, callback_id: str, **_: object) -> None:
    """Process one callback that has just been stored."""
    services.process_callback(callback_id=UUID(callback_id), now=utc_now())


@shared_task(name="payments.tasks.settle_callbacks")
def settle_callbacks(**_: object) -> None:
    """Process the callbacks whose wake-up was lost, whose gateway failed, or whose payment was not known yet."""
    due = queries.due_callbacks(now=utc_now(), limit=BATCH)
    _each(_in_time(due), lambda callback_id: services.process_callback(callback_id=callback_id, now=utc_now()))


@shared_task(name="payments.tasks.poll_attempts")
def poll_attempts(**_: object) -> None:
    """Ask the gateways about the attempts whose turn has come."""
    due = queries.due_polls(now=utc_now(), limit=BATCH)
    _each(_in_time(due), lambda attempt_id: services.poll(attempt_id=attempt_id, now=utc_now()))


@shared_task(name="payments.tasks.settle_refund")
def settle_refund(*, refund_id: str, **_: object) -> None:
    """Send a refund that has just been asked for; what does not get through is the clock's."""
    _each([UUID(refund_id)], lambda one: services.poll_refund(refund_id=one, now=utc_now()))


@shared_task(name="payments.tasks.settle_refunds")
def settle_refunds(**_: object) -> None:
    """Send the refunds whose sender was killed or not answered, and ask about those under way or done."""
    due = queries.due_refunds(now=utc_now(), limit=BATCH)
    _each(_in_time(due), lambda refund_id: services.poll_refund(refund_id=refund_id, now=utc_now()))


@shared_task(name="payments.tasks.expire_orders")
def expire_orders(**_: object) -> None:
    """End the orders whose deadline has passed without money, as far as the clock can be believed."""
    now = utc_now()
    window = settings.PAYMENT_WINDOW_SECONDS
    if may_enforce(what="orders", window_seconds=window, now=now, uptime=uptime()):
        _each(_overdue(now), lambda order_id: services.expire_order(order_id=order_id, now=utc_now()))


@shared_task(name="payments.tasks.forget_callback_bodies")
def forget_callback_bodies(**_: object) -> None:
    """Empty what gateways said long ago, by a clock that can be believed."""
    now = utc_now()
    if may_forget(now=now, uptime=uptime()):
        ends_at = monotonic() + RUN_SECONDS
        while services.forget_callback_bodies(now=now) and monotonic() < ends_at:
            pass


# It may run for longer than a lost task is waited for: acknowledged at once, and made up for within the hour.
@shared_task(name="payments.tasks.reconcile", acks_late=False)
def reconcile(**_: object) -> None:
    """Compare the books of every gateway with ours, and ours among themselves; who fails does not stop the others."""
    now = utc_now()
    since = now - timedelta(seconds=settings.RECONCILIATION_WINDOW_SECONDS)
    for gateway in settings.GATEWAYS:
        try:
            services.reconcile_gateway(gateway=gateway, since=since, now=now)
        except (GatewayUnavailable, GatewayRefused):
            # Told and counted there.
            continue
        except Exception:
            log.exception("reconciliation.broke", gateway=gateway)
    services.reconcile_house(since=since, now=now)


def _overdue(now: datetime) -> Iterator[UUID]:
    """Yield every overdue order, page by page: those that are held back must not keep the others from their turn."""
    page = orders.overdue(now=now, limit=BATCH)
    while page:
        yield from page
        page = orders.overdue(now=now, limit=BATCH, after=page[-1])


def _in_time(due: Iterable[UUID]) -> Iterator[UUID]:
    """Yield what is due, the longest overdue first, while a run lasts."""
    ends_at = monotonic() + RUN_SECONDS
    return takewhile(lambda _: monotonic() < ends_at, due)


def _each(ids: Iterable[UUID], serve: Callable[[UUID], object]) -> None:
    """Serve one row after the other; the failure of one does not stop the others."""
    silences = 0
    for row_id in ids:
        try:
            silent = serve(row_id) is Processing.POSTPONED
        except GatewayHeldBack:
            # It cost no time, and the rows behind may be another gateway's.
            continue
        except GatewayUnavailable:
            silent = True
        except GatewayRefused as error:
            silent = False
            log.warning("gateway.denied", id=str(row_id), code=error.code)
        except Exception:
            silent = False
            log.exception("task.row_failed", id=str(row_id))
        silences = silences + 1 if silent else 0
        if silences == SILENCES:
            log.warning("gateway.given_up_for_now", silences=silences)
            return
