"""What can be asked about stock."""

from collections.abc import Sequence

from django.db import connection

from shop.inventory.dto import Discrepancy

_AVAILABLE = "SELECT sku, available FROM inventory_available WHERE sku = ANY(%s::text[])"

_CONSERVATION = """
SELECT sku, coalesce(held, 0), coalesce(promised, 0)
FROM inventory_stock FULL JOIN (
    SELECT sku, sum(quantity)::int AS promised
    FROM inventory_reservation_line JOIN inventory_reservation ON reservation_id = inventory_reservation.id
    WHERE state IN ('reserved', 'allocated') GROUP BY sku
) AS promise USING (sku)
WHERE coalesce(held, 0) <> coalesce(promised, 0) ORDER BY sku
"""


def available(*, skus: Sequence[str]) -> dict[str, int]:
    """Return the units that may be bought now, by SKU; articles without stock are missing in the answer."""
    with connection.cursor() as cursor:
        cursor.execute(_AVAILABLE, [list(skus)])
        return dict(cursor.fetchall())


def conservation_report() -> list[Discrepancy]:
    """Return every article whose held units are not what its reservations promise; empty when all is well.

    Reads all reservations that hold stock: for tests, the admin and support, not for requests.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CONSERVATION)
        return [Discrepancy(sku=sku, held=held, promised=promised) for sku, held, promised in cursor.fetchall()]
