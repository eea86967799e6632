"""Somebody who shops, as black-box tests see them: a frontend that knows the steps of a purchase."""

from http import HTTPStatus
from typing import Any

from integrations.demo.frontend import Answer, Frontend
from integrations.demo.purchase import ADDRESS, GOOD_CARD
from shop.kernel.ids import new_id
from tests.journeys.stack import Stack
from tests.journeys.waiting import eventually

NO_FUNDS_CARD = "4000 0000 0000 9995"
SLOW_CARD = "4000 0000 0000 3220"
TEA = "TEA-SENCHA-50"
Shown = dict[str, Any]


class Shopper(Frontend):
    """A guest of one stack. Every step keeps to the answers the API gives."""

    def __init__(self, stack: Stack, *, enter: bool = True) -> None:
        super().__init__(stack.web_url, http=stack.http)
        self.stack = stack
        self.id = self.enter()["user"]["id"] if enter else ""

    def put(self, sku: str, quantity: int = 1) -> Shown:
        """Add to the cart."""
        cart: Shown = self.call("POST", "/cart/me/items", {"sku": sku, "quantity": quantity})
        return cart

    def check_out(self, *, email: str = "ada@example.com") -> Shown:
        """Ask for the frozen offer."""
        body = {"email": email, "shipping_address": ADDRESS, "shipping_method": "standard"}
        checkout: Shown = self.call("POST", "/checkout", body)
        return checkout

    def order(self, checkout: Shown) -> Shown:
        """Agree to it."""
        order: Shown = self.call(
            "POST", "/orders", {"checkout_id": checkout["id"], "quote_hash": checkout["quote_hash"]}, key=str(new_id())
        )
        return order

    def buy(self, sku: str = TEA, quantity: int = 1) -> Shown:
        """Go all the way to an order that waits for its money."""
        self.put(sku, quantity)
        return self.order(self.check_out())

    def start_payment(self, order: Shown) -> Shown:
        """Ask to be sent to the gateway; while it is too busy to answer, the same call goes on with the payment."""
        answer = self.insist("/payments", {"order_id": order["id"], "return_url": f"{self.base_url}/docs"})
        assert answer.status < HTTPStatus.MULTIPLE_CHOICES, answer
        payment: Shown = answer.body
        return payment

    def insist(self, path: str, body: Shown, *, key: str = "") -> Answer:
        """Post the same again for as long as the shop says that the gateway, or it itself, is too busy."""
        key = key or str(new_id())

        def answered() -> Answer | None:
            answer = self.ask("POST", path, body, key=key)
            return None if answer.status == HTTPStatus.SERVICE_UNAVAILABLE else answer

        return eventually("the gateway to answer", answered)

    def pay_order(self, order: Shown, *, card: str = GOOD_CARD) -> Shown:
        """Start a payment and hand the card to the gateway's page."""
        payment = self.start_payment(order)
        back = self.pay(payment["redirect_url"], card_number=card)
        assert back == f"{self.base_url}/docs?payment_id={payment['id']}"
        return payment

    def see_order(self, order: Shown) -> Shown:
        """Read it."""
        seen: Shown = self.call("GET", f"/orders/{order['id']}")
        return seen

    def see_payment(self, payment: Shown) -> Shown:
        """Read it, as a browser does that came back: the gateway is asked while it is open."""
        seen: Shown = self.call("GET", f"/payments/{payment['id']}")
        return seen

    def until_order(self, order: Shown, status: str) -> Shown:
        """Wait for the order to reach a status; reading an order asks no gateway."""
        return eventually(
            f"order {order['number']} to be {status}",
            lambda: seen if (seen := self.see_order(order))["status"] == status else None,
        )

    def until_payment(self, payment: Shown, status: str) -> Shown:
        """Wait for the payment to reach a status, without asking the gateway: only the database is looked at."""
        eventually(f"payment {payment['id']} to be {status}", lambda: self.stored_status(payment) == status)
        return self.see_payment(payment)

    def stored_status(self, payment: Shown) -> str:
        """Return what the shop knows by itself."""
        return str(self.stack.one("SELECT status FROM payments_attempt WHERE id = %s", payment["id"]))

    def until_mails(self, order: Shown, *templates: str) -> None:
        """Wait until exactly these mails about an order are sent, and require a file for each and no more."""
        sent = "SELECT template FROM notifications_mail WHERE order_id = %s AND state = 'sent' ORDER BY template"

        def names() -> list[str]:
            return [name for (name,) in self.stack.rows(sent, order["id"])]

        eventually(f"{len(templates)} mails about {order['number']}", lambda: len(names()) >= len(templates))
        assert names() == sorted(templates)
        assert len(self.stack.mails(order["number"])) == len(templates)


CONFIRMATION, RECEIPT, FAILED, EXPIRED = "order_confirmation", "payment_receipt", "payment_failed", "payment_expired"
