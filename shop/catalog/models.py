from typing import ClassVar

from django.db import models
from django.db.models import Q

from shop.catalog.dto import TaxClass
from shop.kernel.ids import new_id

# Keeps what a hundred lines of 999 units add up to within 64 bits.
HIGHEST_PRICE = 1_000_000_000_000


class Product(models.Model):
    """What the shop describes: one page of the shop window, with an article for each variant."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    handle = models.TextField(unique=True)
    title = models.TextField()
    description = models.TextField(blank=True)
    category = models.TextField(blank=True)
    image_url = models.TextField(blank=True)
    published = models.BooleanField(default=True)

    class Meta:
        db_table = "catalog_product"
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.title


class Article(models.Model):
    """What is put into a cart. It is sold when it and its product are published and it has a price."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="articles")
    sku = models.TextField(unique=True)
    name = models.TextField()
    tax_class = models.TextField(
        choices=[(kind.value, kind.capitalize()) for kind in TaxClass], default=TaxClass.STANDARD.value
    )
    # Empty: the product's.
    image_url = models.TextField(blank=True)
    position = models.IntegerField(default=1)
    published = models.BooleanField(default=True)

    class Meta:
        db_table = "catalog_article"
        ordering: ClassVar = ["product_id", "position", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="catalog_article_tax_class", condition=Q(tax_class__in=[kind.value for kind in TaxClass])
            ),
            models.CheckConstraint(name="catalog_article_sku_not_empty", condition=~Q(sku="")),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.sku})"


class Price(models.Model):
    """What an article costs in one currency, tax included, in minor units."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="prices", db_index=False)
    currency = models.TextField()
    amount = models.BigIntegerField()

    class Meta:
        db_table = "catalog_price"
        ordering: ClassVar = ["currency"]
        constraints: ClassVar = [
            # Carries the amount, so that reading a price touches the index only.
            models.UniqueConstraint(
                name="catalog_price_one_a_currency", fields=["article", "currency"], include=["amount"]
            ),
            models.CheckConstraint(name="catalog_price_amount", condition=Q(amount__gt=0, amount__lte=HIGHEST_PRICE)),
        ]

    def __str__(self) -> str:
        return self.currency
