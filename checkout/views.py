"""HTTP for checkouts: parse, one call, serialise."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from checkout import queries, services
from checkout.dto import CheckoutRequest
from checkout.errors import CheckoutNotFound
from checkout.serializers import (
    CheckoutSchema,
    ShippingMethodsQuery,
    ShippingMethodsSchema,
    StartCheckoutRequest,
    checkout_json,
    shipping_option_json,
)
from shop.kernel.clock import utc_now
from shop.kernel.http.serializers import parsed
from shop.kernel.http.views import ShopView, language_of
from shop.kernel.idempotency.http import idempotent
from shop.kernel.ids import as_uuid


class ShippingMethodsView(ShopView):
    """The ways of sending goods."""

    @extend_schema(
        operation_id="list_shipping_methods", parameters=[ShippingMethodsQuery], responses=ShippingMethodsSchema
    )
    def get(self, request: Request) -> Response:
        """List the methods for a country; none for a country nothing is sent to."""
        query = ShippingMethodsQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        options = queries.shipping_options(country=query.validated_data["country"])
        return Response({"results": [shipping_option_json(option) for option in options]})


class CheckoutsView(ShopView):
    """Offers to be made."""

    @extend_schema(operation_id="start_checkout", request=StartCheckoutRequest, responses={201: CheckoutSchema})
    @idempotent
    def post(self, request: Request) -> Response:
        """Price the cart, hold its stock and freeze the offer; an open one is replaced."""
        wish = parsed(StartCheckoutRequest, request)
        view = services.start(
            caller=self.caller,
            request=CheckoutRequest(
                email=wish["email"],
                language=language_of(request),
                shipping_address=wish["shipping_address"],
                billing_address=wish.get("billing_address", wish["shipping_address"]),
                shipping_method=wish["shipping_method"],
            ),
            now=utc_now(),
        )
        return Response(checkout_json(view), status=status.HTTP_201_CREATED)


class OneCheckoutView(ShopView):
    """One offer."""

    @extend_schema(operation_id="read_checkout", responses=CheckoutSchema)
    def get(self, request: Request, checkout_id: str) -> Response:  # noqa: ARG002  Django's signature
        """Show a checkout: one's own, or anybody's to staff."""
        view = queries.checkout(checkout_id=_id(checkout_id), now=utc_now())
        if view is None or not (self.caller.staff or view.offer.user_id == self.caller.id):
            raise CheckoutNotFound
        return Response(checkout_json(view))

    @extend_schema(operation_id="release_checkout", responses={204: None})
    def delete(self, request: Request, checkout_id: str) -> Response:  # noqa: ARG002  Django's signature
        """Give one's own checkout up and its stock back; again changes nothing."""
        services.release(caller=self.caller, checkout_id=_id(checkout_id), now=utc_now())
        return Response(status=status.HTTP_204_NO_CONTENT)


def _id(text: str) -> UUID:
    checkout_id = as_uuid(text)
    if checkout_id is None:
        raise CheckoutNotFound
    return checkout_id
