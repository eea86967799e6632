"""What can be done to the catalogue: bring in what a product file lists."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import structlog
from django.db import connection

from shop.catalog import shopify
from shop.catalog.dto import ListedArticle, ListedProduct, ProductFile, Stored
from shop.catalog.models import Article, Price, Product
from shop.inventory.dto import StockLevel
from shop.inventory.services import receive
from shop.kernel.ids import new_id
from shop.kernel.transactions import unit_of_work

log = structlog.get_logger(__name__)

_PRODUCTS_A_TRANSACTION = 250
_PRODUCT_FIELDS = ("title", "description", "category", "image_url", "published")
_ARTICLE_FIELDS = ("product_id", "name", "tax_class", "image_url", "position")
_SEED = Path(__file__).parent / "seed" / "products.csv"
_SEED_MARKETS = {"Japan": "JPY", "United Kingdom": "GBP", "United States": "USD"}

Row = TypeVar("Row", Product, Article)


def store(
    *, listed: ProductFile, with_stock: bool = False, on_progress: Callable[[int], object] | None = None
) -> Stored:
    """Bring the file's products into the shop, some hundred a transaction, and say what has changed.

    The file decides over what it states: text, tax class, image, whether the product is shown, and the prices in
    its currencies. What it does not list stays. Stock is set for articles that are new; `with_stock` sets that of
    the others too, but never below what shoppers hold. `on_progress` is told the number of products of each batch.
    """
    stored = Stored()
    for start in range(0, len(listed.products), _PRODUCTS_A_TRANSACTION):
        batch = listed.products[start : start + _PRODUCTS_A_TRANSACTION]
        stored += _store_batch(batch, currencies=listed.currencies, with_stock=with_stock)
        if on_progress:
            on_progress(len(batch))
    log.info(
        "catalog.imported",
        new=stored.new,
        changed=stored.changed,
        unchanged=stored.unchanged,
        stocked=stored.stocked,
        refused=len(listed.refused),
    )
    return stored


def seed() -> Stored:
    """Bring in the demonstration goods; doing it again changes nothing."""
    with _SEED.open("rb") as file:
        listed = shopify.read(file=file, currency="EUR", markets=_SEED_MARKETS)
    return store(listed=listed)


@unit_of_work
def _store_batch(batch: Sequence[ListedProduct], *, currencies: frozenset[str], with_stock: bool) -> Stored:
    # Of two imports at once the second would take the first one's new products for its own new ones.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('catalog.import'))")
    articles = {article.sku: article for product in batch for article in product.articles}
    product_ids, changed_products = _store_products(batch)
    before, ids, changed = _store_articles(batch, product_ids=product_ids)
    changed |= {article.sku for product in batch if product.handle in changed_products for article in product.articles}
    changed |= _store_prices(articles, ids=ids, currencies=currencies)
    stocked, below_held = _store_stock(articles, before=before, with_stock=with_stock)
    return Stored(
        new=len(ids) - len(before),
        changed=len(changed & before),
        unchanged=len(before - changed),
        stocked=stocked,
        below_held=below_held,
    )


def _store_products(batch: Sequence[ListedProduct]) -> tuple[dict[str, UUID], set[str]]:
    """Return the products' ids by handle, and the handles of those that are not as they were."""
    before = {row.handle: row for row in Product.objects.filter(handle__in=[listed.handle for listed in batch])}
    after = {
        listed.handle: Product(
            id=before[listed.handle].id if listed.handle in before else new_id(),
            handle=listed.handle,
            title=listed.title,
            description=listed.description,
            category=listed.category,
            image_url=listed.image_url,
            published=listed.published,
        )
        for listed in batch
    }
    changed = _store_changes(Product, before=before, after=after, fields=_PRODUCT_FIELDS)
    return {handle: row.id for handle, row in after.items()}, changed


def _store_articles(
    batch: Sequence[ListedProduct], *, product_ids: Mapping[str, UUID]
) -> tuple[set[str], dict[str, UUID], set[str]]:
    """Return the SKUs that were there before, all articles' ids by SKU, and the SKUs that are not as they were."""
    skus = [article.sku for product in batch for article in product.articles]
    before = {row.sku: row for row in Article.objects.filter(sku__in=skus)}
    after = {
        article.sku: Article(
            id=before[article.sku].id if article.sku in before else new_id(),
            product_id=product_ids[product.handle],
            sku=article.sku,
            name=article.name,
            tax_class=article.tax_class.value,
            image_url=article.image_url,
            position=position,
        )
        for product in batch
        for position, article in enumerate(product.articles, start=1)
    }
    changed = _store_changes(Article, before=before, after=after, fields=_ARTICLE_FIELDS)
    return set(before), {sku: row.id for sku, row in after.items()}, changed


def _store_changes(
    model: type[Row], *, before: Mapping[str, Row], after: Mapping[str, Row], fields: Sequence[str]
) -> set[str]:
    """Write the rows that are new or differ in one of `fields`, in one statement; return their keys."""
    changed = {
        key
        for key, row in after.items()
        if key not in before or any(getattr(row, name) != getattr(before[key], name) for name in fields)
    }
    model.objects.bulk_create(
        [row for key, row in after.items() if key in changed],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=fields,
    )
    return changed


def _store_prices(
    articles: Mapping[str, ListedArticle], *, ids: Mapping[str, UUID], currencies: frozenset[str]
) -> set[str]:
    """Make the prices in these currencies what the file says; return the SKUs with another price than before."""
    stored = Price.objects.filter(article__sku__in=list(articles), currency__in=currencies)
    rows = stored.values_list("article__sku", "currency", "amount")
    before = {(sku, currency): amount for sku, currency, amount in rows}
    after = {(sku, currency): amount for sku, listed in articles.items() for currency, amount in listed.prices.items()}
    gone = before.keys() - after.keys()
    changed = {key for key, amount in after.items() if before.get(key) != amount}
    for currency in {currency for _, currency in gone}:
        without = [ids[sku] for sku, theirs in gone if theirs == currency]
        Price.objects.filter(currency=currency, article_id__in=without).delete()
    Price.objects.bulk_create(
        [Price(article_id=ids[sku], currency=currency, amount=after[sku, currency]) for sku, currency in changed],
        update_conflicts=True,
        unique_fields=["article", "currency"],
        update_fields=["amount"],
    )
    return {sku for sku, _ in changed | gone}


def _store_stock(
    articles: Mapping[str, ListedArticle], *, before: set[str], with_stock: bool
) -> tuple[int, tuple[str, ...]]:
    """Return how many articles got the file's stock, and those that could not because shoppers hold more."""
    new = [StockLevel(sku, listed.on_hand or 0) for sku, listed in articles.items() if sku not in before]
    stocked = len(receive(levels=new, overwrite=False).created) if new else 0
    if not with_stock:
        return stocked, ()
    counted = [
        StockLevel(sku, listed.on_hand)
        for sku, listed in articles.items()
        if sku in before and listed.on_hand is not None
    ]
    received = receive(levels=counted, overwrite=True)
    return stocked + len(received.created) + len(received.changed), tuple(sorted(received.kept))
