"""The three ends of a checkout: ordered, released, expired. Each move is one conditional UPDATE.

Locks: the checkout, then the cart, then stock.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import structlog
from django.db import connection

from cart import services as cart
from checkout import queries
from checkout.dto import FrozenCheckout
from checkout.errors import (
    CheckoutAlreadyOrdered,
    CheckoutExpired,
    CheckoutNotFound,
    CheckoutStale,
    QuoteMismatch,
)
from checkout.states import Status, check_move
from shop.inventory import services as inventory
from shop.kernel.auth.dto import Caller
from shop.kernel.errors import Refusal
from shop.kernel.transactions import joins_unit_of_work, unit_of_work

log = structlog.get_logger(__name__)

# The lines never change, so the snapshot's are right even when the update has waited for another request.
_CLAIM = f"""
WITH claimed AS (
    UPDATE checkout_checkout SET status = 'ordered'
    WHERE id = %(id)s::uuid AND user_id = %(user_id)s::uuid AND status = 'open'
      AND expires_at > %(now)s::timestamptz
      AND quote_hash = coalesce(%(quote_hash)s::text, quote_hash)
    RETURNING *
)
SELECT {queries.COLUMNS} FROM claimed AS checkout
"""  # noqa: S608  constant text only

_RELEASE = """
UPDATE checkout_checkout
SET status = CASE WHEN expires_at <= %(now)s::timestamptz THEN 'expired' ELSE 'released' END
WHERE id = %(id)s::uuid AND status = 'open'
"""

# A checkout somebody is ordering at this moment is locked: leave it to them.
_EXPIRE = """
UPDATE checkout_checkout SET status = 'expired'
WHERE id = (
    SELECT id FROM checkout_checkout
    WHERE id = %(id)s::uuid AND status = 'open' AND expires_at <= %(now)s::timestamptz
    FOR UPDATE SKIP LOCKED
)
"""


class Ended(StrEnum):
    """What came of ending a checkout."""

    DONE = "done"
    ALREADY = "already"


@joins_unit_of_work
def claim_for_order(*, checkout_id: UUID, user_id: UUID, quote_hash: str | None, now: datetime) -> FrozenCheckout:
    """Mark the checkout as ordered, empty the cart it was made from, and return the offer. Two statements.

    Raises CheckoutNotFound, CheckoutExpired, QuoteMismatch, CheckoutAlreadyOrdered, and CheckoutStale when the cart
    has changed since: the caller's transaction is then undone, and `release_stale` gives the stock back.
    """
    values = {"id": checkout_id, "user_id": user_id, "quote_hash": quote_hash, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        row = cursor.fetchone()
    if row is None:
        raise _why_not(checkout_id=checkout_id, user_id=user_id, quote_hash=quote_hash, now=now)
    offer = queries.view_of(row).offer
    if not cart.empty_if_unchanged(cart_id=offer.cart_id, version=offer.cart_version, now=now):
        raise CheckoutStale
    return offer


@unit_of_work
def release(*, caller: Caller, checkout_id: UUID, now: datetime) -> Ended:
    """Give the caller's checkout up and its stock back; again is fine.

    CheckoutNotFound; IllegalTransition once it is ordered.
    """
    status = queries.status_of(checkout_id=checkout_id, user_id=caller.id)
    if status is None:
        raise CheckoutNotFound
    if _left(checkout_id=checkout_id, now=now):
        return Ended.DONE
    # It may have ended since the first look, but never be open again.
    status = queries.status_of(checkout_id=checkout_id, user_id=caller.id)
    if status == Status.ORDERED:
        check_move(current=status, wanted=Status.RELEASED)
    return Ended.ALREADY


@unit_of_work
def release_stale(*, checkout_id: UUID) -> Ended:
    """Give up a checkout whose cart has moved on."""
    return Ended.DONE if _left(checkout_id=checkout_id, now=None) else Ended.ALREADY


@unit_of_work
def expire(*, checkout_id: UUID, now: datetime) -> Ended:
    """Expire the checkout if it is due and nobody is busy with it, and give its stock back."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRE, {"id": checkout_id, "now": now})
        if cursor.rowcount != 1:
            return Ended.ALREADY
    inventory.release(reservation_id=checkout_id)
    log.info("checkout.expired", checkout_id=str(checkout_id))
    return Ended.DONE


def expire_due(*, now: datetime, limit: int) -> int:
    """Expire up to `limit` checkouts whose time is over, each in a transaction of its own; return how many."""
    expired = 0
    for checkout_id in queries.due(now=now, limit=limit):
        try:
            expired += expire(checkout_id=checkout_id, now=now) is Ended.DONE
        except Exception:
            # One row that cannot be expired must not keep the others' stock.
            log.exception("checkout.not_expired", checkout_id=str(checkout_id))
    return expired


def _left(*, checkout_id: UUID, now: datetime | None) -> bool:
    """Move an open checkout to `released`, or `expired` when its time is over, and give its stock back."""
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, {"id": checkout_id, "now": now})
        if cursor.rowcount != 1:
            return False
    inventory.release(reservation_id=checkout_id)
    log.info("checkout.released", checkout_id=str(checkout_id))
    return True


def _why_not(*, checkout_id: UUID, user_id: UUID, quote_hash: str | None, now: datetime) -> Refusal:
    """Return what tells best why there was nothing to claim."""
    view = queries.checkout(checkout_id=checkout_id, now=now)
    if view is None or view.offer.user_id != user_id:
        return CheckoutNotFound()
    match view.status:
        case Status.ORDERED:
            return CheckoutAlreadyOrdered(checkout_id=checkout_id)
        case Status.RELEASED:
            return CheckoutStale()
        case Status.EXPIRED:
            return CheckoutExpired()
    seen = queries.total_of_quote(user_id=user_id, quote_hash=quote_hash or "")
    return QuoteMismatch(seen=seen, present=view.offer.totals.total)
