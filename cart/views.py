"""HTTP for carts: parse, one call, serialise."""

import re
from hashlib import blake2b
from uuid import UUID

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from cart import queries, services
from cart.dto import CartView
from cart.errors import CartNotFound
from cart.serializers import AddItemRequest, CartSchema, SetQuantityRequest, cart_json
from shop.inventory.errors import UnknownSku
from shop.kernel.clock import utc_now
from shop.kernel.events import UserAction
from shop.kernel.http.serializers import parsed
from shop.kernel.http.views import ShopView
from shop.kernel.idempotency.http import idempotent
from shop.kernel.ids import as_uuid
from shop.kernel.views import record_view

# `"7-5c1f0a9b2e44"`: the version a write is judged by, and a digest of the whole answer, because today's prices
# and stock change an answer without changing the cart.
_TAG = re.compile(r'(?:W/)?"(\d{1,9})(?:-[0-9a-f]+)?"')
_NO_SUCH_VERSION = -1
_IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag of the cart this change is meant for."
)


class OwnCartView(ShopView):
    """What all calls on a cart share."""

    def own(self, user_id: str) -> UUID:
        """Return the caller's id if the path means the caller; CartNotFound for anybody else's cart."""
        if user_id != "me" and as_uuid(user_id) != self.caller.id:
            raise CartNotFound
        return self.caller.id


class OneCartView(OwnCartView):
    """The cart as a whole."""

    @extend_schema(operation_id="read_cart", responses=CartSchema)
    def get(self, request: Request, user_id: str) -> Response:
        """Show a cart: one's own, or anybody's to staff."""
        other = as_uuid(user_id) if self.caller.staff else None
        cart = queries.cart_of(user_id=other or self.own(user_id))
        if cart.user_id == self.caller.id:
            record_view(_viewed(cart, guest=self.caller.guest))
        return _answer(cart, known=request.headers.get("If-None-Match", ""))

    @extend_schema(operation_id="clear_cart", parameters=[_IF_MATCH], responses={200: CartSchema})
    def delete(self, request: Request, user_id: str) -> Response:
        """Empty one's own cart."""
        self.own(user_id)
        return _answer(services.clear(caller=self.caller, if_version=_if_version(request), now=utc_now()))


class CartItemsView(OwnCartView):
    """The articles of a cart."""

    @extend_schema(operation_id="add_cart_item", parameters=[_IF_MATCH], request=AddItemRequest, responses=CartSchema)
    @idempotent
    def post(self, request: Request, user_id: str) -> Response:
        """Add units of an article."""
        self.own(user_id)
        wish = parsed(AddItemRequest, request)
        return _answer(
            services.add_item(
                caller=self.caller,
                sku=wish["sku"],
                quantity=wish["quantity"],
                if_version=_if_version(request),
                now=utc_now(),
            )
        )


class OneCartItemView(OwnCartView):
    """One article of a cart."""

    @extend_schema(
        operation_id="set_cart_item", parameters=[_IF_MATCH], request=SetQuantityRequest, responses=CartSchema
    )
    def patch(self, request: Request, user_id: str, sku: str) -> Response:
        """Set the units of an article; 0 removes it."""
        self.own(user_id)
        wish = parsed(SetQuantityRequest, request)
        return _answer(
            services.set_quantity(
                caller=self.caller,
                sku=_sku(sku),
                quantity=wish["quantity"],
                if_version=_if_version(request),
                now=utc_now(),
            )
        )

    @extend_schema(operation_id="remove_cart_item", parameters=[_IF_MATCH], responses={200: CartSchema})
    def delete(self, request: Request, user_id: str, sku: str) -> Response:
        """Remove an article; nothing happens when it is not there."""
        self.own(user_id)
        return _answer(
            services.remove_item(caller=self.caller, sku=_sku(sku), if_version=_if_version(request), now=utc_now())
        )


def _answer(cart: CartView, *, known: str = "") -> Response:
    body = cart_json(cart)
    digest = blake2b(msgspec.json.encode(body), digest_size=6).hexdigest()
    tag = f'"{cart.version}-{digest}"'
    tags_known = {tag_known.strip().removeprefix("W/") for tag_known in known.split(",")}
    if tags_known & {tag, "*"}:
        return Response(status=304, headers={"ETag": tag})
    return Response(body, headers={"ETag": tag})


def _if_version(request: Request) -> int | None:
    """Return the version `If-Match` insists on. Of several only the newest can be the present one."""
    wanted = request.headers.get("If-Match", "*").strip()
    if wanted == "*":
        return None
    return max((int(version) for version in _TAG.findall(wanted)), default=_NO_SUCH_VERSION)


def _sku(text: str) -> str:
    """Return the path's SKU; no article has one that the database could not even store."""
    if "\x00" in text:
        raise UnknownSku(sku=text.replace("\x00", ""))
    return text


def _viewed(cart: CartView, *, guest: bool) -> UserAction:
    return UserAction(
        occurred_at=utc_now(),
        user_id=cart.user_id,
        guest=guest,
        name="Cart Viewed",
        properties={
            "cart_id": str(cart.cart_id),
            "item_count": cart.item_count,
            "value": cart.subtotal.amount,
            "currency": cart.currency,
        },
    )
