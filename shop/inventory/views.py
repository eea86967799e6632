"""Stock over HTTP, for the house's own systems."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from shop.inventory import services
from shop.inventory.errors import UnknownSku
from shop.inventory.serializers import CountRequest, StockSchema, stock_json
from shop.kernel.http.serializers import parsed
from shop.kernel.http.views import InternalView


class StockView(InternalView):
    """The stock of one article."""

    scope = "stock:write"

    @extend_schema(operation_id="internal_set_stock", request=CountRequest, responses=StockSchema)
    def put(self, request: Request, sku: str) -> Response:
        """Set the units on the shelf; 409 when shoppers hold more."""
        body = parsed(CountRequest, request)
        if "\x00" in sku:
            raise UnknownSku(sku=sku.replace("\x00", ""))
        return Response(stock_json(services.set_on_hand(sku=sku, on_hand=body["on_hand"])))
