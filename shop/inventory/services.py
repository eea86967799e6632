"""What can be done to stock. Every way is one statement; stock rows are always locked in the order of their SKUs.

Lock order inside a statement: the reservation, then stock. The CTE `stock` sorts and locks; the update takes the
array of all it has locked, so that every lock is held before the first row changes. The arrays also keep the planner
from merging the index of all articles with a handful of lines, as a join alone tempts it to.

Units are added to what `stock` has read under the lock: an update that began before it got the lock computes from the
row as it was, and PostgreSQL checks constraints on that before it looks again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import connection

from shop.inventory.dto import Counted, Received, Released, StockLevel, Wanted
from shop.inventory.errors import InsufficientStock, ReservationGone, StockBelowHeld, UnknownSku
from shop.inventory.states import ReservationState, sources
from shop.kernel.errors import IllegalTransition, Refusal
from shop.kernel.transactions import current_unit_of_work, joins_unit_of_work, unit_of_work

log = structlog.get_logger(__name__)

# Reserve all lines or none. The reservation this one replaces gives its units back first: what a shopper already
# holds counts as free for that shopper. Only a reservation that is still `reserved` is replaced; one that an order
# has allocated stays with the order.
_RESERVE = """
WITH wanted AS (
    SELECT sku, sum(quantity)::int AS quantity
    FROM unnest(%(skus)s::text[], %(quantities)s::int[]) AS line (sku, quantity) GROUP BY sku
), replaced AS (
    SELECT id FROM inventory_reservation WHERE id = %(replaces)s::uuid AND state = 'reserved' FOR UPDATE
), freed AS (
    SELECT sku, quantity FROM inventory_reservation_line JOIN replaced ON reservation_id = replaced.id
), stock AS (
    SELECT sku, held, on_hand - held AS free FROM inventory_stock
    WHERE sku = ANY(ARRAY(SELECT sku FROM wanted UNION SELECT sku FROM freed)) ORDER BY sku FOR UPDATE
), short AS (
    SELECT sku, wanted.quantity AS wanted, coalesce(free, 0) + coalesce(freed.quantity, 0) AS available
    FROM wanted LEFT JOIN stock USING (sku) LEFT JOIN freed USING (sku)
    WHERE coalesce(free, 0) + coalesce(freed.quantity, 0) < wanted.quantity
), made AS (
    INSERT INTO inventory_reservation (id, holder, state, expires_at, created_at)
    SELECT %(id)s::uuid, %(holder)s::uuid, 'reserved', %(expires_at)s::timestamptz, now()
    WHERE NOT EXISTS (SELECT FROM short)
), lines AS (
    INSERT INTO inventory_reservation_line (reservation_id, sku, quantity)
    SELECT %(id)s::uuid, sku, quantity FROM wanted WHERE NOT EXISTS (SELECT FROM short)
), released AS (
    UPDATE inventory_reservation SET state = 'released', expires_at = NULL FROM replaced
    WHERE inventory_reservation.id = replaced.id AND NOT EXISTS (SELECT FROM short)
), moved AS (
    UPDATE inventory_stock SET held = stock.held + change.quantity, updated_at = now()
    FROM stock JOIN (
        SELECT sku, coalesce(wanted.quantity, 0) - coalesce(freed.quantity, 0) AS quantity
        FROM wanted FULL JOIN freed USING (sku)
    ) AS change USING (sku)
    WHERE inventory_stock.sku = stock.sku AND change.quantity <> 0
      AND inventory_stock.sku = ANY(ARRAY(SELECT sku FROM stock))
      AND NOT EXISTS (SELECT FROM short)
)
SELECT sku, wanted, available FROM short ORDER BY sku
"""

_ALLOCATE = """
UPDATE inventory_reservation SET state = 'allocated', expires_at = NULL
WHERE id = %s::uuid AND state = 'reserved'
"""

# Hold the units of a released reservation again, all of them or none.
_REALLOCATE = """
WITH reservation AS (
    SELECT id FROM inventory_reservation WHERE id = %(id)s::uuid AND state = 'released' FOR UPDATE
), wanted AS (
    SELECT sku, quantity FROM inventory_reservation_line JOIN reservation ON reservation_id = reservation.id
), stock AS (
    SELECT sku, held, on_hand - held AS free FROM inventory_stock
    WHERE sku = ANY(ARRAY(SELECT sku FROM wanted)) ORDER BY sku FOR UPDATE
), short AS (
    SELECT sku, quantity AS wanted, coalesce(free, 0) AS available FROM wanted LEFT JOIN stock USING (sku)
    WHERE coalesce(free, 0) < quantity
), allocated AS (
    UPDATE inventory_reservation SET state = 'allocated' FROM reservation
    WHERE inventory_reservation.id = reservation.id AND NOT EXISTS (SELECT FROM short)
), moved AS (
    UPDATE inventory_stock SET held = stock.held + wanted.quantity, updated_at = now()
    FROM stock JOIN wanted USING (sku)
    WHERE inventory_stock.sku = stock.sku AND inventory_stock.sku = ANY(ARRAY(SELECT sku FROM stock))
      AND NOT EXISTS (SELECT FROM short)
)
SELECT sku, wanted, available FROM reservation LEFT JOIN short ON true ORDER BY sku
"""

# Move reservations, and with them each line's units by the two given signs.
_MOVE = """
WITH moved AS (
    UPDATE inventory_reservation SET state = %(wanted)s, expires_at = NULL
    WHERE id = ANY(%(ids)s::uuid[]) AND state = ANY(%(states)s::text[]) RETURNING id
), lines AS (
    SELECT sku, sum(quantity)::int AS quantity
    FROM inventory_reservation_line JOIN moved ON reservation_id = moved.id GROUP BY sku
), stock AS (
    SELECT sku FROM inventory_stock WHERE sku = ANY(ARRAY(SELECT sku FROM lines)) ORDER BY sku FOR UPDATE
), changed AS (
    UPDATE inventory_stock
    SET on_hand = on_hand + lines.quantity * %(on_hand)s::int, held = held + lines.quantity * %(held)s::int,
        updated_at = now()
    FROM lines
    WHERE inventory_stock.sku = lines.sku AND inventory_stock.sku = ANY(ARRAY(SELECT sku FROM stock))
)
SELECT id FROM moved
"""

# `xmax` is zero in a row this statement has inserted rather than updated.
_RECEIVE = """
INSERT INTO inventory_stock AS stock (sku, on_hand, held, updated_at)
SELECT sku, on_hand, 0, now() FROM unnest(%s::text[], %s::int[]) AS level (sku, on_hand) ORDER BY sku
ON CONFLICT (sku) DO UPDATE SET on_hand = EXCLUDED.on_hand, updated_at = now()
WHERE %s::bool AND stock.on_hand <> EXCLUDED.on_hand AND stock.held <= EXCLUDED.on_hand
RETURNING sku, xmax = 0
"""

_KEPT = """
SELECT stock.sku FROM inventory_stock AS stock
JOIN unnest(%s::text[], %s::int[]) AS level (sku, on_hand) ON stock.sku = level.sku
WHERE stock.on_hand <> level.on_hand
"""

_SET_ON_HAND = """
UPDATE inventory_stock SET on_hand = %(on_hand)s::int, updated_at = now()
WHERE sku = %(sku)s AND held <= %(on_hand)s::int
RETURNING held
"""


@joins_unit_of_work
def reserve(
    *, reservation_id: UUID, holder: UUID, lines: Sequence[Wanted], expires_at: datetime, replaces: UUID | None = None
) -> None:
    """Hold the units of all lines for a shopper, or raise InsufficientStock and change nothing.

    `replaces` names a reservation whose units are released first, in the same statement.
    """
    short = _rows(
        _RESERVE,
        {
            "id": reservation_id,
            "holder": holder,
            "skus": [line.sku for line in lines],
            "quantities": [line.quantity for line in lines],
            "expires_at": expires_at,
            "replaces": replaces,
        },
    )
    if short:
        raise _insufficient(short, reservation_id=reservation_id)


@joins_unit_of_work
def allocate(*, reservation_id: UUID) -> None:
    """Turn what a checkout reserved into what an order holds.

    ReservationGone when nothing is reserved any more, IllegalTransition when an order has it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ALLOCATE, [reservation_id])
        if cursor.rowcount == 1:
            return
    raise _illegal(reservation_id=reservation_id, wanted=ReservationState.ALLOCATED)


@joins_unit_of_work
def reallocate(*, reservation_id: UUID) -> None:
    """Hold a released reservation's units again; InsufficientStock, and no change, when they are gone."""
    found = _rows(_REALLOCATE, {"id": reservation_id})
    if not found:
        raise _illegal(reservation_id=reservation_id, wanted=ReservationState.ALLOCATED)
    short = [row for row in found if row[0] is not None]
    if short:
        raise _insufficient(short, reservation_id=reservation_id)


@joins_unit_of_work
def commit(*, reservation_id: UUID) -> None:
    """Take an allocation's units off the shelf: they are sold.

    It is done when the unit of work ends, for all of its orders at once: a consumer pays many in one unit, and stock
    rows are locked in the order of their SKUs, and last of all. So is ReservationGone or IllegalTransition raised.
    """
    current_unit_of_work().gather(_commit_all, reservation_id)


@joins_unit_of_work
def release(*, reservation_id: UUID) -> Released:
    """Give back the units a checkout or an order holds; releasing again changes nothing and says so.

    IllegalTransition once they are sold, ReservationGone for a reservation there never was.
    """
    if _moved([reservation_id], wanted=ReservationState.RELEASED, on_hand=0, held=-1):
        return Released.DONE
    if _state_of(reservation_id=reservation_id) is ReservationState.RELEASED:
        return Released.ALREADY
    raise _illegal(reservation_id=reservation_id, wanted=ReservationState.RELEASED)


@joins_unit_of_work
def restock(*, reservation_id: UUID) -> None:
    """Put sold units back on the shelf; IllegalTransition or ReservationGone when they are not sold."""
    if not _moved([reservation_id], wanted=ReservationState.RESTOCKED, on_hand=1, held=0):
        raise _illegal(reservation_id=reservation_id, wanted=ReservationState.RESTOCKED)


@joins_unit_of_work
def receive(*, levels: Sequence[StockLevel], overwrite: bool) -> Received:
    """Set the stock of many articles at once. Those already kept are left alone unless `overwrite` is given.

    Stock never falls below what is held: such articles stay as they are and are named in the answer.
    """
    skus, on_hands = [level.sku for level in levels], [level.on_hand for level in levels]
    done = _rows(_RECEIVE, [skus, on_hands, overwrite])
    kept = _rows(_KEPT, [skus, on_hands]) if overwrite and len(done) < len(levels) else []
    return Received(
        created=frozenset(sku for sku, is_new in done if is_new),
        changed=frozenset(sku for sku, is_new in done if not is_new),
        kept=frozenset(sku for (sku,) in kept),
    )


@unit_of_work
def set_on_hand(*, sku: str, on_hand: int) -> Counted:
    """Say how many units lie on the shelf, held ones included, and return them.

    StockBelowHeld when shoppers hold more, UnknownSku for no article.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SET_ON_HAND, {"sku": sku, "on_hand": on_hand})
        counted = cursor.fetchone()
    if counted:
        log.info("inventory.counted", sku=sku, on_hand=on_hand)
        return Counted(sku=sku, on_hand=on_hand, held=counted[0])
    held = _rows("SELECT held FROM inventory_stock WHERE sku = %s", [sku])
    if not held:
        raise UnknownSku(sku=sku)
    raise StockBelowHeld(sku=sku, on_hand=on_hand, held=held[0][0])


def _commit_all(reservation_ids: list[UUID]) -> None:
    moved = _moved(reservation_ids, wanted=ReservationState.COMMITTED, on_hand=-1, held=-1)
    for reservation_id in reservation_ids:
        if reservation_id not in moved:
            raise _illegal(reservation_id=reservation_id, wanted=ReservationState.COMMITTED)


def _moved(reservation_ids: list[UUID], *, wanted: ReservationState, on_hand: int, held: int) -> set[UUID]:
    """Move the reservations from any state the table allows, their units by the two signs; return which were in one."""
    states = [current.value for current in sources(wanted)]
    moved = _rows(
        _MOVE, {"ids": reservation_ids, "states": states, "wanted": wanted.value, "on_hand": on_hand, "held": held}
    )
    return {reservation_id for (reservation_id,) in moved}


def _state_of(*, reservation_id: UUID) -> ReservationState | None:
    rows = _rows("SELECT state FROM inventory_reservation WHERE id = %s::uuid", [reservation_id])
    return ReservationState(rows[0][0]) if rows else None


def _illegal(*, reservation_id: UUID, wanted: ReservationState) -> Refusal:
    """Return what tells best why a move found nothing to move."""
    current = _state_of(reservation_id=reservation_id)
    if current is None or current is ReservationState.RELEASED:
        return ReservationGone(reservation_id=reservation_id)
    return IllegalTransition(entity="A reservation", current=current.value, wanted=wanted.value)


def _insufficient(short: list[tuple[Any, ...]], *, reservation_id: UUID) -> InsufficientStock:
    lines = [{"sku": sku, "wanted": wanted, "available": available} for sku, wanted, available in short]
    log.info("inventory.insufficient", reservation_id=str(reservation_id), skus=[line["sku"] for line in lines])
    return InsufficientStock(lines=lines)


def _rows(sql: str, params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
