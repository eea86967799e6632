"""Who else has a hand in it: the shop's staff, and the people and machines at the gateway."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import UUID

from integrations.kafka import parking
from integrations.simulator.acts import Act, Ended, World
from integrations.simulator.audit import Audit, Row
from integrations.simulator.books import Session
from orders import services as orders
from payments import services as payments
from payments.dto import SessionState
from payments.states import Source
from shop.kernel.auth.dto import Caller
from shop.kernel.money import Money


class Staff:
    """Support and warehouse: send goods, call orders off, give money back, look at what waits for a person."""

    def __init__(self, world: World, audit: Audit) -> None:
        self._world, self._audit = world, audit
        self._caller = Caller(id=world.new_id(), guest=False, staff=True)

    def acts(self) -> Iterator[Act]:
        """Yield what staff may do now."""
        for order in self._audit.orders.values():
            if order["status"] == "paid":
                yield Act(0.15, f"staff sends {order['name']}", partial(self.send, order["id"]))
            if order["status"] in {"paid", "pending_payment"}:
                yield Act(0.03, f"staff cancels {order['name']}", partial(self._cancel, order["id"]))
        for attempt in self._audit.attempts.values():
            if attempt["captured"]:
                yield Act(0.12, f"staff refunds {attempt['name']}", partial(self._refund, attempt))
            if attempt["review_reason"]:
                yield Act(0.1, f"staff looks at {attempt['name']}", partial(self.look_at, attempt["id"]))
        yield from self._about_refunds()
        for finding in self._audit.findings:
            yield Act(0.1, f"staff fixes {finding['name']}", partial(self.fix, finding["id"]))

    def _about_refunds(self) -> Iterator[Act]:
        for refund in self._audit.refunds:
            if refund["review_reason"]:
                yield Act(0.1, f"staff gives up {refund['name']}", partial(self.give_up_refund, refund["id"]))
            elif refund["status"] in {"rejected", "reversed"}:
                yield Act(0.05, f"staff gives back {refund['name']} again", partial(self.give_back_again, refund["id"]))

    def send(self, order_id: UUID) -> str:
        """Send a paid order's goods."""
        return self._do("staff sends", lambda: orders.fulfil(order_id=order_id, tracking="T-1", now=self._world.now()))

    def look_at(self, attempt_id: UUID) -> str:
        """Ask the gateway about a payment that waits for a person, and believe it."""
        return self._do(
            "staff looks", lambda: payments.settle(attempt_id=attempt_id, source=Source.STAFF, now=self._world.now())
        )

    def look_at_refund(self, refund_id: UUID) -> str:
        """Ask the gateway about a refund that waits for a person."""
        return self._do(
            "staff looks at a refund",
            lambda: payments.settle_refund(refund_id=refund_id, source=Source.STAFF, now=self._world.now()),
        )

    def give_up_refund(self, refund_id: UUID) -> str:
        """Say that nothing more will come of a refund that waits for a person."""
        return self._do(
            "staff gives a refund up", lambda: payments.give_up_refund(refund_id=refund_id, now=self._world.now())
        )

    def give_back_again(self, refund_id: UUID) -> str:
        """Give back once more what came to nothing."""
        return self._do(
            "staff gives back again", lambda: payments.give_back_again(refund_id=refund_id, now=self._world.now())
        )

    def fix(self, finding_id: UUID) -> str:
        """Press the button beside a finding of the reconciliation."""
        return self._do(
            "staff fixes",
            lambda: payments.fix_finding(finding_id=finding_id, source=Source.STAFF, now=self._world.now()),
        )

    def refund(self, attempt_id: UUID, amount: Money) -> str:
        """Give money back, and try at once as the HTTP call does."""

        def job() -> None:
            refund = payments.request_refund(
                payment_id=attempt_id, amount=amount, reason="asked for", now=self._world.now()
            )
            payments.settle_refund(refund_id=refund.refund_id, source=Source.STAFF, now=self._world.now())

        return self._do("staff refunds", job)

    def revive(self, parked: list[int]) -> str:
        """Give dead letters another chance."""
        return self._do("staff revives", lambda: parking.revive(parked_ids=parked, now=self._world.now()))

    def _cancel(self, order_id: UUID) -> str:
        return self._do(
            "staff cancels",
            lambda: orders.cancel(caller=self._caller, order_id=order_id, reason="", now=self._world.now()),
        )

    def _refund(self, attempt: Row) -> str:
        share = self._world.dice.choice([1.0, 0.7, 0.3])
        return self.refund(attempt["id"], Money(max(1, int(attempt["captured"] * share)), attempt["currency"]))

    def _do(self, what: str, job: Callable[[], Any]) -> str:
        def end(answer: Ended) -> None:
            self._world.count(f"{what}: {answer.code or answer.word}")

        return self._world.start(what, job, end)


class GatewaySide:
    """What happens at the gateway without the shop: money under way arrives, its staff gives money back."""

    def __init__(self, world: World) -> None:
        self._world = world

    def acts(self) -> Iterator[Act]:
        """Yield what may happen there now."""
        gateway = self._world.gateway
        for session in gateway.books.sessions.values():
            if session.state is SessionState.PROCESSING:
                yield Act(0.3, f"{session.id} is decided", partial(self._decide, session))
            if session.captured and gateway.books.given_back(session.id, done=False) < session.captured:
                yield Act(0.05, f"the gateway's staff refunds {session.id}", partial(self._give_back, session))

    def _decide(self, session: Session) -> str:
        well = self._world.dice.random() < 0.8  # noqa: PLR2004  most of the time
        self._world.gateway.decides(session, well=well)
        return "paid" if well else "failed"

    def _give_back(self, session: Session) -> str:
        amount = self._world.dice.choice([session.captured, max(1, session.captured // 3)])
        refund = self._world.gateway.gives_back_in_the_dashboard(session, amount)
        self._world.count("dashboard refund")
        return f"{refund.amount} by {refund.id}"
