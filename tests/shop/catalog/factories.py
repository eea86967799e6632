"""Goods on sale, brought in by the service that brings in a real file."""

from typing import Any

from shop.catalog.dto import ListedArticle, ListedProduct, ProductFile, Stored, TaxClass
from shop.catalog.services import store

MUG: dict[str, Any] = {
    "sku": "MUG", "name": "Mug", "tax_class": TaxClass.STANDARD, "image_url": "", "prices": {"EUR": 1650}, "on_hand": 5,
}  # fmt: skip
MUGS: dict[str, Any] = {
    "handle": "mug", "title": "Mug", "description": "Holds tea.", "category": "Tableware",
    "image_url": "/static/mug.svg", "published": True,
}  # fmt: skip


def article(sku: str = "MUG", **differing: Any) -> ListedArticle:
    """Return an article of a product file: a mug, but for what is given."""
    return ListedArticle(**{**MUG, "sku": sku, **differing})


def product(*articles: ListedArticle, **differing: Any) -> ListedProduct:
    """Return a product of a product file: mugs, but for what is given."""
    return ListedProduct(**{**MUGS, **differing, "articles": articles or (article(),)})


def bring_in(*products: ListedProduct, currencies: tuple[str, ...] = ("EUR",)) -> Stored:
    """Import products."""
    return store(listed=ProductFile(products=products, refused=(), currencies=frozenset(currencies)))
