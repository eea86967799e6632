"""Requests, and checkouts in the states tests begin with, made by the services themselves."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from checkout import services
from checkout.dto import CheckoutRequest, CheckoutView
from checkout.models import Checkout
from checkout.states import Status
from shop.inventory.models import Reservation, Stock
from shop.kernel.auth.dto import Caller
from shop.kernel.transactions import open_unit_of_work
from tests.cart.factories import NOW, filled, on_sale

ADDRESS = {"name": "Ada Byron", "line1": "Kupfergraben 7", "city": "Berlin", "postal_code": "10117", "country": "DE"}
REQUEST = CheckoutRequest(
    email="ada@example.com",
    language="de",
    shipping_address=ADDRESS,
    billing_address=ADDRESS,
    shipping_method="standard",
)
LIFETIME = timedelta(minutes=15)
LATER = NOW + LIFETIME


def to(country: str, *, method: str = "standard") -> CheckoutRequest:
    """Return a request for another country."""
    return replace(REQUEST, shipping_address={**ADDRESS, "country": country}, shipping_method=method)


def started(caller: Caller, **quantities: int) -> CheckoutView:
    """Put units into the cart and start a checkout; the rates are seeded."""
    services.seed_rates()
    filled(caller, **quantities)
    return services.start(caller=caller, request=REQUEST, now=NOW)


def checkout_in(status: Status, caller: Caller) -> CheckoutView:
    """Return a checkout of two mugs that has been moved to `status` as the shop would move it."""
    on_sale("MUG", price=1_000)
    view = started(caller, MUG=2)
    checkout_id = view.offer.checkout_id
    match status:
        case Status.ORDERED:
            with open_unit_of_work():
                services.claim_for_order(checkout_id=checkout_id, user_id=caller.id, quote_hash=None, now=NOW)
        case Status.RELEASED:
            services.release(caller=caller, checkout_id=checkout_id, now=NOW)
        case Status.EXPIRED:
            services.expire(checkout_id=checkout_id, now=LATER)
        case Status.OPEN:
            pass
    return view


def status_of(checkout_id: UUID) -> str:
    """Return the stored status."""
    return Checkout.objects.values_list("status", flat=True).get(id=checkout_id)


def held(sku: str) -> int:
    """Return the units held for shoppers."""
    return Stock.objects.values_list("held", flat=True).get(sku=sku)


def reservation_state(checkout_id: UUID) -> str:
    """Return where the checkout's reservation stands."""
    return Reservation.objects.values_list("state", flat=True).get(id=checkout_id)
