"""The load: shoppers who buy one thing after another, each a thread with connections of its own.

Runs in a process of its own (`python -m bench.shoppers`), so that the driver's work is told apart from the shop's.
Reads a job from standard input and writes one line for each purchase begun, `.` when it went through.
"""

import http.client
import json
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

STEPS = ("add item", "read cart", "checkout", "order", "payment", "pay at gateway")
ADDRESS = {"name": "Ada Bench", "line1": "Mole 1", "city": "Kiel", "postal_code": "24103", "country": "DE"}
CARD = urlencode({"card_number": "4242 4242 4242 4242", "expiry": "12/30", "cvc": "123"})


@dataclass(frozen=True)
class Purchase:
    """One purchase as the shopper saw it: when it began and ended, and what each step took, in seconds."""

    order_id: str
    began_at: float
    ended_at: float
    steps: tuple[float, ...]


class Browser:
    """A shopper's kept-alive connections, to the shop and to the gateway."""

    def __init__(self, web_port: int) -> None:
        self._web_port = web_port
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def call(self, method: str, path: str, token: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call the API and return the decoded answer; RuntimeError for anything but success."""
        status, answer = self.ask(method, path, token, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path} answered {status}: {answer}")
        return answer

    def ask(self, method: str, path: str, token: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Call the API and return status and decoded answer, whatever they are."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
        status, answer = self._send(self._web_port, method, path, headers, json.dumps(body) if body else None)
        return status, json.loads(answer)

    def pay(self, url: str) -> None:
        """Fill in the gateway's form."""
        parts = urlsplit(url)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, answer = self._send(parts.port or 80, "POST", parts.path, headers, CARD)
        if status != 303:
            raise RuntimeError(f"The gateway's page answered {status}: {answer[:300]!r}")

    def _send(
        self, port: int, method: str, path: str, headers: Mapping[str, str], body: str | None
    ) -> tuple[int, bytes]:
        connection = self._connections.get(port)
        if connection is None:
            connection = self._connections[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(method, path, body=body, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read()


def buy(browser: Browser, token: str, sku: str) -> Purchase:
    """Buy one thing: everything from the cart to the money."""
    began_at = time.time()
    ticks = [time.perf_counter()]

    def ticked(answer: Any) -> Any:
        ticks.append(time.perf_counter())
        return answer

    ticked(browser.call("POST", "/cart/me/items", token, {"sku": sku, "quantity": 1}))
    ticked(browser.call("GET", "/cart/me", token))
    wish = {"email": "ada.bench@example.com", "shipping_address": ADDRESS, "shipping_method": "standard"}
    offer = ticked(browser.call("POST", "/checkout", token, wish))
    agreed = {"checkout_id": offer["id"], "quote_hash": offer["quote_hash"]}
    order = ticked(browser.call("POST", "/orders", token, agreed))
    asked = {"order_id": order["id"], "return_url": "https://shop.example.com/thanks"}
    payment = ticked(browser.call("POST", "/payments", token, asked))
    ticked(browser.pay(payment["redirect_url"]))
    steps = tuple(after - before for before, after in pairwise(ticks))
    return Purchase(order["id"], began_at, time.time(), steps)


def open_guests(web_port: int, count: int) -> list[str]:
    """Open so many guests and return their tokens."""
    browser = Browser(web_port)
    return [browser.call("POST", "/auth/guest", "")["access"] for _ in range(count)]


def skus_on_sale(web_port: int, token: str) -> list[str]:
    """Return what the shop window shows first."""
    shown = Browser(web_port).call("GET", "/products?limit=50", token)["results"]
    return [product["sku"] for product in shown]


def shop(*, web_port: int, tokens: list[str], skus: list[str], shoppers: int) -> tuple[list[Purchase], list[str]]:
    """Let `shoppers` buy at once, one purchase a token, until none is left; return what was bought and what failed."""
    waiting, bought, failed = deque(tokens), list[Purchase](), list[str]()

    def go_shopping() -> None:
        browser = Browser(web_port)
        while True:
            try:
                token = waiting.popleft()
            except IndexError:
                return
            try:
                bought.append(buy(browser, token, random.choice(skus)))
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                failed.append(str(error))
                browser = Browser(web_port)
            # One call: `print` writes the line's end apart, and other threads in between.
            sys.stdout.write(".\n")
            sys.stdout.flush()

    threads = [threading.Thread(target=go_shopping) for _ in range(shoppers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return bought, failed


def main() -> None:
    """Do the job on standard input and write what came of it, after a line for each purchase."""
    job = json.load(sys.stdin)
    bought, failed = shop(**job)
    rows = [[one.order_id, one.began_at, one.ended_at, *one.steps] for one in bought]
    print(json.dumps({"bought": rows, "failed": failed}), flush=True)


if __name__ == "__main__":
    main()
