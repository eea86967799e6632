"""What can be asked about what is sold. Stock comes through inventory's doors in SQL, in the same statement."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from shop.catalog.dto import Offer, ProductFilter, ProductView
from shop.kernel.money import Money

_SOLD = """
FROM catalog_article AS article
JOIN catalog_product AS product ON product.id = article.product_id AND product.published
JOIN catalog_price AS price ON price.article_id = article.id AND price.currency = %(currency)s
LEFT JOIN inventory_available AS stock ON stock.sku = article.sku
"""

# A shopper's own open checkout holds units for that very shopper: to them they are still to be had.
_OFFERS = (
    """
SELECT article.sku, article.name, coalesce(nullif(article.image_url, ''), product.image_url), product.category,
       article.tax_class, price.amount, coalesce(stock.available, 0) + coalesce(own.quantity, 0)
"""
    + _SOLD
    + """
LEFT JOIN inventory_reserved_by(%(holder)s::uuid) AS own ON own.sku = article.sku
WHERE article.published AND article.sku = ANY(%(skus)s::text[])
"""
)

_SHOWN = (
    """
SELECT article.id, article.sku, article.name, product.description,
       coalesce(nullif(article.image_url, ''), product.image_url), product.category, price.amount,
       coalesce(stock.available, 0)
"""
    + _SOLD
    + "WHERE article.published "
)

_ONE = _SHOWN + "AND article.sku = %(sku)s"
_IN_CATEGORY = "AND product.category = %(category)s "
# Each word must stand somewhere. One expression, so that the words may be spread over its parts.
_WITH_WORDS = "AND article.name || ' ' || article.sku || ' ' || product.description ILIKE ALL (%(patterns)s::text[]) "
_AFTER = "AND article.id > %(after)s::uuid "
_BEFORE = "AND article.id < %(before)s::uuid "
_FORWARDS = "ORDER BY article.id LIMIT %(limit)s::int"
_BACKWARDS = "ORDER BY article.id DESC LIMIT %(limit)s::int"

MOST_WORDS = 10


def offers(*, skus: Sequence[str], currency: str, holder: UUID | None = None) -> dict[str, Offer]:
    """Return what these articles cost and how many are there, by SKU, in one statement.

    What the shopper `holder` has reserved counts as there for them. Articles that are not sold (unknown, hidden, or
    without a price in this currency) are missing in the answer.
    """
    with connection.cursor() as cursor:
        cursor.execute(_OFFERS, {"skus": list(skus), "currency": currency, "holder": holder})
        rows = cursor.fetchall()
    return {
        sku: Offer(
            sku=sku,
            name=name,
            image_url=_absolute(image_url),
            category=category,
            tax_class=tax_class,
            price=Money(amount, currency),
            available=available,
        )
        for sku, name, image_url, category, tax_class, amount, available in rows
    }


def product(*, sku: str, currency: str) -> ProductView | None:
    """Return one article as the shop window shows it; None when it is not sold in this currency."""
    rows = _products(_ONE, {"sku": sku, "currency": currency})
    return rows[0] if rows else None


def find_products(
    *, wanted: ProductFilter, limit: int, after: UUID | None = None, before: UUID | None = None
) -> list[ProductView]:
    """Return up to `limit` articles in the order they came into the shop.

    With `before` the list is read backwards: the articles nearest to it come first.
    """
    words = wanted.search.split()[:MOST_WORDS]
    conditions = {
        _IN_CATEGORY: bool(wanted.category),
        _WITH_WORDS: bool(words),
        _AFTER: after is not None,
        _BEFORE: before is not None,
    }
    chosen = "".join(condition for condition, needed in conditions.items() if needed)
    given = {
        "currency": wanted.currency,
        "category": wanted.category,
        "patterns": [f"%{_literal(word)}%" for word in words],
        "after": after,
        "before": before,
        "limit": limit,
    }
    return _products(_SHOWN + chosen + (_BACKWARDS if before else _FORWARDS), given)


def _products(sql: str, params: dict[str, Any]) -> list[ProductView]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows = cursor.fetchall()
    return [
        ProductView(
            id=article_id,
            sku=sku,
            name=name,
            description=description,
            image_url=_absolute(image_url),
            category=category,
            price=Money(amount, params["currency"]),
            available=available,
        )
        for article_id, sku, name, description, image_url, category, amount, available in rows
    ]


def _absolute(image_url: str) -> str:
    """Return the address under which a browser anywhere finds the image."""
    return f"{settings.PUBLIC_URL}{image_url}" if image_url.startswith("/") else image_url


def _literal(word: str) -> str:
    r"""Return the word so that ILIKE takes its `%`, `_` and `\` for what they are."""
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
