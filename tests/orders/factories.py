"""Open checkouts and orders in the states tests begin with. Orders are made and moved by the services themselves."""

from datetime import datetime, timedelta
from uuid import UUID

from cart.models import Cart
from checkout.models import Checkout
from checkout.models import Line as CheckoutLine
from orders import services
from orders.dto import MoneyTaken, OrderView, RefundNews, RefundTold
from orders.queries import order as read_order
from orders.states import Status
from shop.inventory import services as stock
from shop.inventory.dto import StockLevel, Wanted
from shop.inventory.models import Stock
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.transactions import open_unit_of_work

ADDRESS = {"name": "Ada Byron", "line1": "Mole 1", "city": "Kiel", "postal_code": "24103", "country": "DE"}
PRICE, SHIPPING, QUOTE = 1_190, 490, "quote-of-the-test"
UNITS = 100
_STAFF = Caller(id=new_id(), guest=False, staff=True)


def stocked(*skus: str, units: int = UNITS) -> None:
    """Put units of each article on the shelf."""
    with open_unit_of_work():
        stock.receive(levels=[StockLevel(sku, units) for sku in skus], overwrite=True)


def open_checkout(
    *, caller: Caller, now: datetime, skus: tuple[str, ...] = ("MUG",), currency: str = "EUR", free: bool = False
) -> UUID:
    """Return a checkout of two units of each article, with its reservation, as `POST /checkout` leaves it."""
    price, shipping = (0, 0) if free else (PRICE, SHIPPING)
    cart, _ = Cart.objects.get_or_create(id=caller.id, defaults={"currency": currency, "version": 1, "updated_at": now})
    subtotal = 2 * price * len(skus)
    checkout = Checkout.objects.create(
        user_id=caller.id,
        guest=caller.guest,
        cart_id=cart.id,
        cart_version=cart.version,
        status="open",
        currency=currency,
        subtotal_minor=subtotal,
        discount_minor=0,
        shipping_minor=shipping,
        tax_minor=subtotal * 19 // 119,
        total_minor=subtotal + shipping,
        email="Ada@Example.com",
        language="de",
        shipping_address=ADDRESS,
        billing_address=ADDRESS,
        shipping_method="standard",
        quote_hash=QUOTE,
        expires_at=now + timedelta(minutes=15),
        created_at=now,
    )
    for position, sku in enumerate(skus, start=1):
        CheckoutLine.objects.create(
            checkout=checkout,
            position=position,
            sku=sku,
            name=f"The {sku}",
            quantity=2,
            unit_price_minor=price,
            discount_minor=0,
            tax_minor=2 * price * 19 // 119,
            line_total_minor=2 * price,
        )
    with open_unit_of_work():
        stock.reserve(
            reservation_id=checkout.id,
            holder=caller.id,
            lines=[Wanted(sku, 2) for sku in skus],
            expires_at=checkout.expires_at,
        )
    return checkout.id


def placed(
    *, caller: Caller, now: datetime, skus: tuple[str, ...] = ("MUG",), units: int = UNITS, currency: str = "EUR"
) -> OrderView:
    """Return an order that waits for its money; each article has `units` on the shelf before it is placed."""
    stocked(*skus, units=units)
    checkout_id = open_checkout(caller=caller, now=now, skus=skus, currency=currency)
    return services.place(caller=caller, checkout_id=checkout_id, quote_hash=None, now=now).order


def given_away(*, caller: Caller, now: datetime) -> OrderView:
    """Return an order that costs nothing."""
    stocked("MUG")
    checkout_id = open_checkout(caller=caller, now=now, free=True)
    return services.place(caller=caller, checkout_id=checkout_id, quote_hash=None, now=now).order


def pay(order: OrderView, *, now: datetime, payment_id: UUID | None = None, amount: Money | None = None) -> MoneyTaken:
    """Let money arrive for an order, its exact total unless said otherwise."""
    with open_unit_of_work():
        return services.mark_paid(
            order_id=order.order_id,
            payment_id=payment_id or new_id(),
            amount=order.totals.total if amount is None else amount,
            now=now,
        )


def news(
    told: RefundTold,
    payment_id: UUID,
    refund_id: UUID | None = None,
    *,
    amount: Money | None = None,
    event_id: UUID | None = None,
) -> RefundNews:
    """Return news of a refund, of the whole usual total unless said otherwise."""
    return RefundNews(
        event_id=event_id or new_id(),
        refund_id=refund_id or new_id(),
        payment_id=payment_id,
        amount=amount or Money(2 * PRICE + SHIPPING, "EUR"),
        told=told,
        why="requested",
    )


def hear(order: OrderView, said: RefundNews, *, now: datetime) -> None:
    """Let orders hear the news as its consumer does."""
    with open_unit_of_work():
        services.note_refund(order_id=order.order_id, news=said, now=now)


def order_in(status: Status, *, caller: Caller, now: datetime) -> OrderView:
    """Return an order that was moved to `status` as the shop would move it."""
    order = placed(caller=caller, now=now)
    if status in {Status.PAID, Status.FULFILLED}:
        pay(order, now=now)
    if status is Status.FULFILLED:
        services.fulfil(order_id=order.order_id, tracking="", now=now)
    if status is Status.EXPIRED:
        services.expire(order_id=order.order_id, now=order.payment_deadline)
    if status is Status.CANCELLED:
        services.cancel(caller=_STAFF, order_id=order.order_id, reason="", now=now)
    return again(order)


def again(order: OrderView) -> OrderView:
    """Return the order as it stands now."""
    return read_order(order_id=order.order_id, user_id=None)


def happened(order: OrderView) -> list[str]:
    """Return the timeline's types, oldest first."""
    return [entry.type for entry in again(order).timeline or ()]


def told(order: OrderView) -> list[str]:
    """Return the topics of the events told about an order, oldest first."""
    return list(LoggedEvent.objects.filter(key=order.order_id).values_list("topic", flat=True))


def refunds_due(order: OrderView) -> list[tuple[str, int]]:
    """Return `(reason, amount)` of each `order.refund_due`."""
    events = LoggedEvent.objects.filter(key=order.order_id, topic="order.refund_due")
    return [(event.payload["reason"], event.payload["amount"]["amount"]) for event in events]


def stock_of(sku: str = "MUG") -> tuple[int, int]:
    """Return `(on_hand, held)`."""
    row = Stock.objects.get(sku=sku)
    return row.on_hand, row.held
