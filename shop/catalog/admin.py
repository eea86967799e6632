"""What support staff see and may do: texts, prices, and what is shown. Goods come in by import."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from shop.catalog.models import HIGHEST_PRICE, Article, Price, Product
from shop.kernel.admin import money_text
from shop.kernel.money import Money

# Generic for mypy only.
if TYPE_CHECKING:
    _PriceModelForm = forms.ModelForm[Price]
else:
    _PriceModelForm = forms.ModelForm

_AVAILABLE = "SELECT available FROM inventory_available AS stock WHERE stock.sku = catalog_article.sku"


class PriceForm(_PriceModelForm):
    """A price as people write it; stored in minor units."""

    currency = forms.CharField(max_length=3, widget=UnfoldAdminTextInputWidget)
    price = forms.DecimalField(widget=UnfoldAdminDecimalFieldWidget, help_text="Tax included, such as 19.99")

    class Meta:
        model = Price
        fields: ClassVar = ["currency"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.amount is not None:
            self.initial["price"] = Money(self.instance.amount, self.instance.currency).major()

    def clean(self) -> dict[str, Any]:
        """Read the price in its currency."""
        said: dict[str, Any] = super().clean() or self.cleaned_data
        price, currency = said.get("price"), said.get("currency", "").upper()
        if isinstance(price, Decimal):
            try:
                amount = Money.from_major(str(price), currency).amount
            except ValueError as error:
                raise forms.ValidationError(str(error)) from None
            if not 0 < amount <= HIGHEST_PRICE:
                raise forms.ValidationError("The price must be above zero and within reason.")
            self.instance.amount = amount
        return said | {"currency": currency}


class PriceInline(TabularInline):
    """What an article costs, a line a currency."""

    model = Price
    form = PriceForm
    extra = 0


class ArticleInline(TabularInline):
    """The variants of a product. Their prices are on their own pages."""

    model = Article
    fields: ClassVar = ["sku", "name", "tax_class", "published"]
    readonly_fields: ClassVar = ["sku"]
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Product | None = None) -> bool:
        """Articles come by import, which gives them stock too."""
        return False


class ImportedAdmin(ModelAdmin):
    """Rows that come by import: what is no longer sold is hidden, not deleted, for orders speak of it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """See `manage.py import_products`."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Hide it instead."""
        return False


@admin.register(Product)
class ProductAdmin(ImportedAdmin):
    """Products with their variants."""

    list_display: ClassVar = ["title", "category", "variants", "published"]
    list_filter: ClassVar = ["published", "category"]
    search_fields: ClassVar = ["title", "handle", "articles__sku", "articles__name"]
    search_help_text = "Title, handle, or a variant's SKU or name"
    readonly_fields: ClassVar = ["handle"]
    inlines: ClassVar = [ArticleInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        """Count the variants in the same statement."""
        products: QuerySet[Product] = super().get_queryset(request)
        return products.annotate(variant_count=Count("articles"))

    @display(description="variants", ordering="variant_count")
    def variants(self, product: Product) -> int:
        """Return how many articles the product has."""
        count: int = product.variant_count  # type: ignore[attr-defined]  # annotated above
        return count


@admin.register(Article)
class ArticleAdmin(ImportedAdmin):
    """Articles with their prices and the units that can be bought."""

    list_display: ClassVar = ["sku", "name", "price_list", "available", "tax_class", "published"]
    list_filter: ClassVar = ["published", "tax_class", "product__category"]
    search_fields: ClassVar = ["sku", "name"]
    fields: ClassVar = ["sku", "product", "name", "tax_class", "image_url", "position", "published", "available"]
    readonly_fields: ClassVar = ["sku", "product", "available"]
    inlines: ClassVar = [PriceInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Article]:
        """Bring prices and stock along."""
        articles: QuerySet[Article] = super().get_queryset(request)
        return (
            articles.select_related("product").prefetch_related("prices").annotate(free=RawSQL(_AVAILABLE, []))  # noqa: S611  no input in it
        )

    @display(description="prices")
    def price_list(self, article: Article) -> str:
        """List the prices, a currency after the other."""
        return ", ".join(money_text(price.amount, price.currency) for price in article.prices.all())

    @display(description="available", ordering="free")
    def available(self, article: Article) -> int:
        """Return the units nobody holds."""
        free: int | None = article.free  # type: ignore[attr-defined]  # annotated above
        return free or 0
