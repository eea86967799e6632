"""HTTP for the shop window: parse, one call, serialise."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from shop.catalog import queries
from shop.catalog.dto import ProductFilter
from shop.catalog.serializers import PriceQuery, ProductPageSchema, ProductQuery, ProductSchema, product_json
from shop.inventory.errors import UnknownSku
from shop.kernel.clock import utc_now
from shop.kernel.events import UserAction
from shop.kernel.http.pagination import PAGING, Page, answer, page_of
from shop.kernel.http.views import ShopView
from shop.kernel.views import record_view


class ShopWindowView(ShopView):
    """What the calls on the shop window share."""

    def tell(self, name: str, **properties: str | int | None) -> None:
        """Record what the caller has looked at."""
        record_view(
            UserAction(
                occurred_at=utc_now(),
                user_id=self.caller.id,
                guest=self.caller.guest,
                name=name,
                properties={**properties},
            )
        )


class ProductsView(ShopWindowView):
    """Everything in it."""

    @extend_schema(operation_id="list_products", parameters=[ProductQuery, *PAGING], responses=ProductPageSchema)
    def get(self, request: Request) -> Response:
        """List what is sold, in the order it came into the shop."""
        query, page = _query(ProductQuery, request), page_of(request)
        found = queries.find_products(
            wanted=ProductFilter(**query),
            limit=page.limit + 1,
            after=page.after,
            before=page.before,
        )
        if query["search"] and page == Page(limit=page.limit):
            # What people type may be anything, names and addresses too: it does not travel in an event.
            self.tell(
                "Products Searched",
                search_length=len(query["search"]),
                category=query["category"] or None,
                results=min(len(found), page.limit),
            )
        return Response(answer(request, page=page, rows=found, place=lambda row: row.id, as_json=product_json))


class OneProductView(ShopWindowView):
    """One article of it."""

    @extend_schema(operation_id="read_product", parameters=[PriceQuery], responses=ProductSchema)
    def get(self, request: Request, sku: str) -> Response:
        """Show one article."""
        query = _query(PriceQuery, request)
        product = None if "\x00" in sku else queries.product(sku=sku, currency=query["currency"])
        if product is None:
            raise UnknownSku(sku=sku.replace("\x00", ""))
        self.tell(
            "Product Viewed",
            sku=product.sku,
            category=product.category or None,
            price=product.price.amount,
            currency=product.price.currency,
            available=product.available,
        )
        return Response(product_json(product))


def _query(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    query = serializer(data=request.query_params.dict())
    query.is_valid(raise_exception=True)
    asked: dict[str, Any] = query.validated_data
    return asked
