"""A gateway played by hand: a payment whose callback nobody has sent yet, and that callback, sent at will."""

from dataclasses import dataclass, field

from integrations.demo.purchase import GOOD_CARD
from tests.journeys.shopper import Shopper
from tests.journeys.signing import Headers, event_about, signed
from tests.journeys.stack import Shown, Stack
from tests.ordeals.conftest import SECRET_OF_TODAY

SUCCESSES = "SELECT source FROM payments_move WHERE attempt_id = %s AND to_status = 'succeeded'"
CALLBACK = "SELECT state, attempts FROM payments_callback WHERE event_id = %s"


@dataclass
class Message:
    """One callback: the bytes and what they are signed with. Sending it again is the same event again."""

    stack: Stack
    body: bytes
    headers: Headers = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.headers = self.headers or signed(self.body, secret=SECRET_OF_TODAY)

    def send(self) -> tuple[int, bytes]:
        """Post it to the shop; return status and body."""
        url = f"{self.stack.web_url}/payment-callback"
        answer = self.stack.http.request("POST", url, body=self.body, headers=self.headers)
        return answer.status, answer.data

    def stored(self) -> tuple[str, int] | None:
        """Return its state and how often it was tried; None when there is no such row."""
        found = self.stack.rows(CALLBACK, self.headers["webhook-id"])
        return (found[0][0], found[0][1]) if found else None


@dataclass
class Paid:
    """An order whose money the gateway has and the shop does not know of."""

    shopper: Shopper
    order: Shown
    payment: Shown
    message: Message

    def moves(self) -> list[str]:
        """Return who made the payment succeed, once for each time."""
        return [source for (source,) in self.shopper.stack.rows(SUCCESSES, self.payment["id"])]


def paid_in_secret(shopper: Shopper) -> Paid:
    """Buy and pay while the gateway's own callbacks are dropped; the message is left to the test."""
    stack = shopper.stack
    order = shopper.buy()
    payment = shopper.start_payment(order)
    with stack.faults(drop_callbacks=True):
        shopper.pay(payment["redirect_url"], card_number=GOOD_CARD)
    session = stack.gateway("GET", f"/v1/sessions/{session_of(payment)}")
    return Paid(shopper, order, payment, Message(stack, event_about(session)))


def session_of(payment: Shown) -> str:
    """Return the id of the gateway's session."""
    return str(payment["redirect_url"]).rpartition("/")[2]
