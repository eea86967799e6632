"""A shopper who does not give up: every step is repeated until it is answered."""

import time
from collections.abc import Callable
from typing import TypeVar

import urllib3

from integrations.demo.frontend import Answer
from integrations.demo.purchase import ADDRESS, GOOD_CARD
from tests.journeys.shopper import Shopper, Shown
from tests.journeys.stack import Stack

T = TypeVar("T")

PATIENCE_SECONDS = 90.0
# No key is sent: whoever repeats under a key that a killed process holds has to wait for its lease. What makes the
# repeats safe here is what each thing is by nature: one line an article, one open checkout, one order a checkout,
# one open attempt an order.
FINAL = ("paid", "expired")


class PatientShopper(Shopper):
    """Buys one thing, whatever dies meanwhile."""

    def __init__(self, stack: Stack, *, sku: str) -> None:
        super().__init__(stack, enter=False)
        self.sku = sku
        self.ordered: Shown | None = None

    def go(self, *, pays: bool) -> str:
        """Buy, pay or not, and return where the order ends."""
        return self._end(self.shop(pays=pays))

    def shop(self, *, pays: bool) -> Shown:
        """Buy, pay or not, and return the order without waiting for its end."""
        self.token = self._insist("POST", "/auth/guest").body["access"]
        checkout = self._checked_out()
        self.ordered = self._insist("POST", "/orders", {"checkout_id": checkout["id"]}).body
        if pays:
            self._pay(self.ordered)
        return self.ordered

    def try_once(self, method: str, path: str) -> int | None:
        """Return the status of one call, or None when nobody answered."""
        try:
            return self.ask(method, path).status
        except (urllib3.exceptions.HTTPError, ValueError):
            return None

    def _checked_out(self) -> Shown:
        cart = self._insist("GET", "/cart/me").body
        if not cart["lines"]:
            self._insist("POST", "/cart/me/items", {"sku": self.sku, "quantity": 1})
        body = {"email": "patient@example.com", "shipping_address": ADDRESS, "shipping_method": "standard"}
        checkout: Shown = self._insist("POST", "/checkout", body).body
        return checkout

    def _pay(self, order: Shown) -> None:
        body = {"order_id": order["id"], "return_url": f"{self.base_url}/docs"}
        started = self._insist("POST", "/payments", body, final=(200, 201, 409))
        if started.status == 409:
            # The window has passed while the shop was away.
            assert started.body["code"] == "order_not_payable"
            return
        page = started.body["redirect_url"]
        if page is not None:
            self._until(lambda: self._card_taken(page))

    def _card_taken(self, page: str) -> bool:
        form = "card_number=" + GOOD_CARD.replace(" ", "") + "&expiry=12%2F30&cvc=123"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self.http.request("POST", page, body=form, headers=headers, redirect=False)
        # 409: it was taken before, and only the answer was lost; or the session is over.
        return answer.status in {303, 409}

    def _end(self, order: Shown) -> str:
        def ended() -> str | None:
            status: str = self._insist("GET", f"/orders/{order['id']}").body["status"]
            return status if status in FINAL else None

        return self._until(ended)

    def _insist(self, method: str, path: str, body: Shown | None = None, *, final: tuple[int, ...] = ()) -> Answer:
        def answered() -> Answer | None:
            answer = self.ask(method, path, body)
            if answer.status >= 500:
                return None
            assert answer.status < 300 or answer.status in final, answer
            return answer

        return self._until(answered)

    def _until(self, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if found := look():
                    return found
            except (urllib3.exceptions.HTTPError, ValueError):
                # Nobody answered, or died within the sentence.
                pass
            assert time.monotonic() < deadline, f"No answer within {PATIENCE_SECONDS:g} s."
            time.sleep(0.1)
