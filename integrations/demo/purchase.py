"""The two purchases of the demo, and what staff give back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from integrations.demo.frontend import Frontend, UnexpectedAnswer
from integrations.demo.screen import step, title, wait_for
from integrations.demo.traces import Traces
from shop.kernel.ids import new_id

GOOD_CARD = "4242 4242 4242 4242"
DECLINED_CARD = "4000 0000 0000 0002"
# As `manage.py seed` makes them, in development only.
STAFF = ("staff@example.com", "staff-demo-1")
ADDRESS = {
    "name": "Ada Demo",
    "line1": "Lindenallee 7",
    "city": "Berlin",
    "postal_code": "10115",
    "country": "DE",
}


@dataclass(frozen=True)
class Ordered:
    """An order that waits for its money."""

    id: str
    number: str


@dataclass(frozen=True)
class Paid:
    """An order, and the payment that brought its money."""

    order: Ordered
    payment_id: str


def paid_at_once(frontend: Frontend, traces: Traces) -> Paid:
    """Buy two articles and pay with a card that works."""
    title("A purchase, from guest to receipt")
    order = _order(frontend)
    payment_id = _pay(frontend, order, card=GOOD_CARD)
    _until_paid(frontend, order)
    _mails(traces, order, ["order_confirmation", "payment_receipt"])
    _events(traces, order, ["order.created", "payment.success", "order.paid"])
    return Paid(order, payment_id)


def declined_then_paid(frontend: Frontend, traces: Traces) -> None:
    """Buy, be declined, try again with another card."""
    title("A purchase that is declined, then paid")
    order = _order(frontend)
    payment_id = _pay(frontend, order, card=DECLINED_CARD)
    failed, seconds = wait_for("the decline", _payment_is(frontend, payment_id, "failed"))
    step("payment failed", f"{failed['failure']['code']} (after {seconds:.1f} s); the order still waits for its money")
    _pay(frontend, order, card=GOOD_CARD)
    _until_paid(frontend, order)
    _mails(traces, order, ["order_confirmation", "payment_failed", "payment_receipt"])
    _events(traces, order, ["order.created", "payment.failed", "payment.success", "order.paid"])


def given_back(staff: Frontend, paid: Paid, traces: Traces) -> None:
    """Log in as the shop's staff and give the whole payment back."""
    title("The first purchase, given back by the staff")
    staff.log_in(*STAFF)
    step("staff token", STAFF[0])
    refund = staff.call("POST", f"/payments/{paid.payment_id}/refunds", {"reason": "A dented lid."}, key=str(new_id()))
    step("refund", f"{_money(refund['amount'])}, {refund['status']}")
    order, seconds = wait_for("the order to hear of it", _payment_status_is(staff, paid.order, "refunded"))
    told = ", ".join(entry["type"] for entry in order["timeline"])
    step("order heard", f"after {seconds:.1f} s; payment_status {order['payment_status']}; timeline: {told}")
    mails, _ = wait_for("a mail about it", lambda: traces.mails(paid.order.number, at_least=3))
    step("mail sent", mails[-1])
    _events(traces, paid.order, ["refund.succeeded"])


def _order(frontend: Frontend) -> Ordered:
    guest = frontend.enter()
    step("guest token", f"user {guest['user']['id']}")
    products = frontend.call("GET", "/products?limit=50")["results"]
    wanted = [product for product in products if product["available"] >= 2][:2]  # noqa: PLR2004  two of each
    step("products", f"{len(products)} on the first page; taking {' and '.join(one['name'] for one in wanted)}")
    for product in wanted:
        cart = frontend.call("POST", "/cart/me/items", {"sku": product["sku"], "quantity": 2})
    step("cart", f"{cart['item_count']} units, {_money(cart['subtotal'])}")
    offer = frontend.call(
        "POST",
        "/checkout",
        {"email": "ada.demo@example.com", "shipping_address": ADDRESS, "shipping_method": "standard"},
    )
    totals = offer["totals"]
    step(
        "checkout",
        f"shipping {_money(totals['shipping'])}, tax {_money(totals['tax'])}, total {_money(totals['total'])}",
    )
    body = {"checkout_id": offer["id"], "quote_hash": offer["quote_hash"]}
    order = frontend.call("POST", "/orders", body, key=str(new_id()))
    step("order", f"{order['number']}, {order['status']}, to be paid by {order['payment_deadline']}")
    return Ordered(id=order["id"], number=order["number"])


def _pay(frontend: Frontend, order: Ordered, *, card: str) -> str:
    body = {"order_id": order.id, "return_url": f"{frontend.base_url}/docs"}
    payment = frontend.call("POST", "/payments", body, key=str(new_id()))
    step("payment", f"{_money(payment['amount'])}, redirected to {payment['redirect_url']}")
    page = frontend.look_at_page(payment["redirect_url"])
    if "<form" not in page:
        raise UnexpectedAnswer("The gateway's page has no form.")
    back = frontend.pay(payment["redirect_url"], card_number=card)
    step("gateway's page", f"card ending in {card[-4:]}, sent back to {back}")
    return str(payment["id"])


def _until_paid(frontend: Frontend, order: Ordered) -> None:
    def paid() -> Any:
        seen = frontend.call("GET", f"/orders/{order.id}")
        return seen if seen["status"] == "paid" else None

    seen, seconds = wait_for("the callback to be settled and told to orders", paid)
    step("callback, order paid", f"after {seconds:.1f} s; timeline: {', '.join(e['type'] for e in seen['timeline'])}")


def _payment_is(frontend: Frontend, payment_id: str, status: str) -> Callable[[], Any]:
    def look() -> Any:
        payment = frontend.call("GET", f"/payments/{payment_id}")
        return payment if payment["status"] == status else None

    return look


def _payment_status_is(frontend: Frontend, order: Ordered, status: str) -> Callable[[], Any]:
    def look() -> Any:
        seen = frontend.call("GET", f"/orders/{order.id}")
        return seen if seen["payment_status"] == status else None

    return look


def _mails(traces: Traces, order: Ordered, templates: list[str]) -> None:
    subjects, _ = wait_for(f"{len(templates)} mails", lambda: traces.mails(order.number, at_least=len(templates)))
    for subject in subjects:
        step("mail sent", subject)


def _events(traces: Traces, order: Ordered, topics: list[str]) -> None:
    events, _ = wait_for("its events on Kafka", lambda: traces.events(order.id, topics=topics))
    for event in events:
        step("event", event)


def _money(money: dict[str, Any]) -> str:
    return f"{money['amount'] / 100:.2f} {money['currency']}"
