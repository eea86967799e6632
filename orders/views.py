"""Orders over HTTP."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from checkout.errors import CheckoutNotFound
from orders import queries, services
from orders.errors import OrderNotFound
from orders.serializers import (
    CancelOrderRequest,
    FulfilOrderRequest,
    InternalOrderSchema,
    OrderDetailSchema,
    OrderPageSchema,
    OrderSchema,
    PlaceOrderRequest,
    internal_order_json,
    order_detail_json,
    order_json,
)
from shop.kernel.clock import utc_now
from shop.kernel.http.pagination import PAGING, answer, page_of
from shop.kernel.http.serializers import parsed
from shop.kernel.http.views import CheckedView, InternalView, ShopView
from shop.kernel.idempotency.http import idempotent
from shop.kernel.ids import as_uuid


class OrdersView(ShopView):
    """The caller's orders."""

    @extend_schema(
        operation_id="list_orders",
        parameters=PAGING,
        responses=OrderPageSchema,
    )
    def get(self, request: Request) -> Response:
        """List the caller's orders, newest first."""
        page = page_of(request)
        orders = queries.orders_of(user_id=self.caller.id, limit=page.limit + 1, after=page.after, before=page.before)
        return Response(answer(request, page=page, rows=orders, place=lambda order: order.order_id, as_json=order_json))

    @extend_schema(
        operation_id="place_order",
        request=PlaceOrderRequest,
        responses={201: OrderSchema, 200: OrderSchema},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Turn a checkout into its one order: 201 the first time, 200 with the same order after that."""
        body = parsed(PlaceOrderRequest, request)
        checkout_id = as_uuid(body["checkout_id"])
        if checkout_id is None:
            raise CheckoutNotFound
        placed = services.place(
            caller=self.caller, checkout_id=checkout_id, quote_hash=body.get("quote_hash"), now=utc_now()
        )
        return Response(
            order_json(placed.order), status=status.HTTP_201_CREATED if placed.created else status.HTTP_200_OK
        )


class OneOrderView(ShopView):
    """One order."""

    @extend_schema(operation_id="read_order", responses=OrderDetailSchema)
    def get(self, request: Request, order_id: str) -> Response:  # noqa: ARG002  DRF passes it
        """Return an order with its timeline; staff may read anybody's."""
        user_id = None if self.caller.staff else self.caller.id
        return Response(order_detail_json(queries.order(order_id=_order_id(order_id), user_id=user_id)))


class CancelOrderView(CheckedView):
    """Calling an order off."""

    @extend_schema(operation_id="cancel_order", request=CancelOrderRequest, responses=OrderSchema)
    @idempotent
    def post(self, request: Request, order_id: str) -> Response:
        """Cancel an order that waits for its money; staff may cancel a paid one, whose money then goes back."""
        body = parsed(CancelOrderRequest, request)
        order = services.cancel(caller=self.caller, order_id=_order_id(order_id), reason=body["reason"], now=utc_now())
        return Response(order_json(order))


class InternalOrderView(InternalView):
    """One order, for the house's own systems."""

    scope = "orders:read"

    @extend_schema(operation_id="internal_read_order", responses=InternalOrderSchema)
    def get(self, request: Request, order_id: str) -> Response:  # noqa: ARG002  DRF passes it
        """Return any order with its timeline."""
        return Response(internal_order_json(queries.order(order_id=_order_id(order_id), user_id=None)))


class FulfilOrderView(InternalView):
    """Sending an order's goods."""

    scope = "orders:fulfil"

    @extend_schema(operation_id="internal_fulfil_order", request=FulfilOrderRequest, responses=InternalOrderSchema)
    @idempotent
    def post(self, request: Request, order_id: str) -> Response:
        """Note that a paid order's goods are on their way; one whose money has all gone back is refused."""
        body = parsed(FulfilOrderRequest, request)
        order = services.fulfil(order_id=_order_id(order_id), tracking=body["tracking"], now=utc_now())
        return Response(internal_order_json(order))


def _order_id(text: str) -> UUID:
    order_id = as_uuid(text)
    if order_id is None:
        raise OrderNotFound
    return order_id
