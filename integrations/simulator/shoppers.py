"""Shoppers: from an empty cart to a payment, through every door a frontend uses, and through some of them twice."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from cart import services as cart
from checkout import services as checkout
from checkout.dto import CheckoutRequest
from integrations.simulator.acts import Act, Ended, World
from integrations.simulator.books import Session
from integrations.simulator.gateway import PAGE
from orders import services as orders
from payments import services as payments
from payments.dto import PaymentView, Started
from shop.kernel.auth.dto import Caller

RETURN_URL = "https://shop.example.com/thanks"
_ADDRESS = {"name": "Ada Byron", "line1": "Mole 1", "city": "Kiel", "postal_code": "24103", "country": "DE"}
_REQUEST = CheckoutRequest(
    email="ada@example.com",
    language="en",
    shipping_address=_ADDRESS,
    billing_address=_ADDRESS,
    shipping_method="standard",
)
_ENDED = frozenset({"failed", "cancelled", "expired"})
# A page that was left open in a browser may be used for so long.
_PAGE_LASTS = timedelta(hours=20)
_MOST_TRIES = 4


class Shopper:
    """One person with one wish. Only what was answered is known here; a lost answer is asked for again."""

    def __init__(self, world: World, number: int, skus: list[str]) -> None:
        self._world = world
        dice = world.dice
        self.name = f"shopper {number}"
        self.caller = Caller(id=world.new_id(), guest=dice.random() < 0.5, staff=False)  # noqa: PLR2004  half are guests
        self._wishes = {sku: dice.randint(1, 2) for sku in dice.sample(skus, dice.randint(1, 2))}
        self._hasty = dice.random() < 0.3  # noqa: PLR2004  clicks twice
        self._filled = 0
        self._busy = 0
        self._tries = 0
        self.stage = "shopping"
        self._checkout_id: UUID | None = None
        self._quote = ""
        self.order_id: UUID | None = None
        self.payments: list[UUID] = []
        self.pages: list[Session] = []

    def acts(self) -> Iterator[Act]:
        """Yield what this shopper may do now."""
        yield from self._old_pages()
        if self._busy > (1 if self._hasty else 0):
            return
        match self.stage:
            case "shopping":
                yield Act(3, f"{self.name} fills the cart", self._fill)
            case "checking out":
                yield Act(3, f"{self.name} checks out", self._check_out)
            case "ordering":
                yield Act(3, f"{self.name} orders", self._order)
            case "paying":
                yield Act(3, f"{self.name} starts to pay", self._start_to_pay)
                yield Act(0.1, f"{self.name} cancels the order", self._cancel_order)
            case "at the gateway":
                yield from self._at_the_gateway()
            case "back":
                yield from self._back()

    def _call(self, what: str, job: Callable[[], Any], end: Callable[[Ended], None]) -> str:
        """Send a request; whatever comes of it, this shopper is free again afterwards."""
        self._busy += 1

        def answered(answer: Ended) -> None:
            self._busy -= 1
            self._world.count(f"{what}: {answer.code or answer.word}")
            end(answer)

        return self._world.start(f"{self.name} {what}", job, answered)

    # --- from the cart to the order ---

    def _fill(self) -> str:
        sku, quantity = list(self._wishes.items())[self._filled]

        def end(answer: Ended) -> None:
            if answer.is_done:
                self._filled += 1
            if answer.word == "refused":
                self.stage = "gone"
            elif self._filled >= len(self._wishes):
                self.stage = "checking out"

        if self._busy:
            return "waits"
        return self._call(
            "fills the cart",
            lambda: cart.set_quantity(
                caller=self.caller, sku=sku, quantity=quantity, if_version=None, now=self._world.now()
            ),
            end,
        )

    def _check_out(self) -> str:
        def end(answer: Ended) -> None:
            if answer.is_done:
                self._checkout_id = answer.value.offer.checkout_id
                self._quote = answer.value.offer.quote_hash
                self.stage = "ordering"
            elif answer.word == "refused":
                self.stage = "gone"

        return self._call(
            "checks out", lambda: checkout.start(caller=self.caller, request=_REQUEST, now=self._world.now()), end
        )

    def _order(self) -> str:
        checkout_id, quote = self._checkout_id, self._quote
        assert checkout_id is not None  # noqa: S101  the stage says so

        def end(answer: Ended) -> None:
            if answer.is_done:
                self.order_id = answer.value.order.order_id
                if self.stage == "ordering":
                    self.stage = "paying"
            elif answer.word == "refused" and self.stage == "ordering":
                self._tries += 1
                self.stage = "checking out" if self._tries < _MOST_TRIES else "gone"

        return self._call(
            "orders",
            lambda: orders.place(caller=self.caller, checkout_id=checkout_id, quote_hash=quote, now=self._world.now()),
            end,
        )

    # --- paying ---

    def _start_to_pay(self) -> str:
        order_id = self.order_id
        assert order_id is not None  # noqa: S101  the stage says so

        def end(answer: Ended) -> None:
            if answer.is_done:
                self._is_sent_on(answer.value)
            elif answer.word == "refused" and answer.code != "gateway_unavailable":
                self.stage = "back" if self.payments else "gone"

        return self._call(
            "starts to pay",
            lambda: payments.start_attempt(
                caller=self.caller, order_id=order_id, return_url=RETURN_URL, gateway=None, now=self._world.now()
            ),
            end,
        )

    def _is_sent_on(self, started: Started) -> None:
        payment = started.payment
        if payment.payment_id not in self.payments:
            self.payments.append(payment.payment_id)
        session = self._world.gateway.books.sessions.get(payment.redirect_url.removeprefix(PAGE))
        if session is not None and payment.status == "pending":
            if session not in self.pages:
                self.pages.append(session)
            self.stage = "at the gateway"
        else:
            self.stage = "back"

    def _at_the_gateway(self) -> Iterator[Act]:
        session = self.pages[-1]
        gateway = self._world.gateway

        def leaves(do: Callable[[], object]) -> Callable[[], str]:
            def then_back() -> str:
                came = do()
                self.stage = "back"
                return str(came or "done")

            return then_back

        name = self.name
        yield Act(2.0, f"{name} pays for {session.id}", leaves(lambda: gateway.pays(session)))
        yield Act(0.5, f"{name}'s card is declined for {session.id}", leaves(lambda: gateway.declines(session)))
        yield Act(0.2, f"{name} cancels {session.id}", leaves(lambda: gateway.is_cancelled(session)))
        yield Act(0.4, f"{name} leaves {session.id} open", leaves(lambda: None))

    def _old_pages(self) -> Iterator[Act]:
        """A page that is still open in some tab can be paid on, whatever the shop thinks of it."""
        gateway = self._world.gateway
        for session in self.pages:
            age = self._world.now() - session.made_at
            if not session.captured and age < _PAGE_LASTS and (session is not self.pages[-1] or self.stage == "back"):
                yield Act(0.15, f"{self.name} pays on an old page, {session.id}", partial(gateway.pays, session))

    def _back(self) -> Iterator[Act]:
        yield Act(0.8, f"{self.name} looks", self._look)
        yield Act(0.25, f"{self.name} starts to pay", self._start_to_pay)
        yield Act(0.2, f"{self.name} cancels the payment", self._cancel_payment)
        yield Act(0.06, f"{self.name} cancels the order", self._cancel_order)

    def _look(self) -> str:
        if not self.payments:
            self.stage = "gone"
            return "has nothing to look at"
        payment_id = self.payments[-1]

        def end(answer: Ended) -> None:
            if answer.is_done and answer.value is not None:
                self._sees(answer.value)

        return self._call("looks", lambda: payments.look(payment_id=payment_id, now=self._world.now()), end)

    def _sees(self, payment: PaymentView) -> None:
        if payment.status == "succeeded":
            self.stage = "content"
        elif payment.status in _ENDED:
            self._tries += 1
            self.stage = "paying" if self._tries < _MOST_TRIES else "gone"
        else:
            self._tries += self._world.dice.random() < 0.2  # noqa: PLR2004  patience
            if self._tries >= _MOST_TRIES:
                self.stage = "gone"

    def _cancel_payment(self) -> str:
        if not self.payments:
            return "has none"
        payment_id = self._world.dice.choice(self.payments)
        return self._call(
            "cancels the payment",
            lambda: payments.cancel_attempt(caller=self.caller, payment_id=payment_id, now=self._world.now()),
            lambda _answer: None,
        )

    def _cancel_order(self) -> str:
        order_id = self.order_id
        assert order_id is not None  # noqa: S101  the stage says so

        def end(answer: Ended) -> None:
            if answer.is_done:
                self.stage = "gone"

        return self._call(
            "cancels the order",
            lambda: orders.cancel(
                caller=self.caller, order_id=order_id, reason="changed my mind", now=self._world.now()
            ),
            end,
        )
