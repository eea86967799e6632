"""Articles for sale and carts with something in them."""

from datetime import UTC, datetime

from cart import services
from cart.dto import CartView
from shop.catalog.models import Article, Price, Product
from shop.inventory import services as inventory
from shop.inventory.dto import StockLevel
from shop.kernel.auth.dto import Caller
from shop.kernel.transactions import open_unit_of_work

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def on_sale(
    sku: str, *, price: int = 1_000, available: int = 50, currency: str = "EUR", tax_class: str = "standard"
) -> None:
    """Publish an article at a price in minor units, or give one that is published another price."""
    product, _ = Product.objects.update_or_create(handle=sku, defaults={"title": sku, "published": True})
    article, _ = Article.objects.update_or_create(
        sku=sku, defaults={"product": product, "name": f"The {sku}", "tax_class": tax_class, "published": True}
    )
    Price.objects.update_or_create(article=article, currency=currency, defaults={"amount": price})
    stocked(sku, available)


def stocked(sku: str, available: int) -> None:
    """Put so many units on the shelf."""
    with open_unit_of_work():
        inventory.receive(levels=[StockLevel(sku, available)], overwrite=True)


def withdrawn(sku: str) -> None:
    """Take an article off sale."""
    Article.objects.filter(sku=sku).update(published=False)


def filled(caller: Caller, **quantities: int) -> CartView:
    """Put units into the caller's cart, `filled(caller, MUG=2)`; the articles are on sale already."""
    for sku, quantity in quantities.items():
        cart = services.add_item(caller=caller, sku=sku, quantity=quantity, if_version=None, now=NOW)
    return cart
