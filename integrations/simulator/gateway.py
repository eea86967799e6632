"""A gateway in memory that lies, falls silent and changes its mind, and keeps honest books of its own."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from integrations.simulator import turns
from integrations.simulator.books import Books, Callback, Refund, Session
from integrations.simulator.faults import Faults
from payments.dto import (
    CallbackMessage,
    GatewayRefund,
    GatewaySession,
    RefundRequest,
    RefundState,
    SessionRequest,
    SessionState,
)
from payments.ports import CallbackInvalid, GatewayRefused, GatewayUnavailable
from shop.kernel.money import Money

T = TypeVar("T")

SIGNATURE = "signed-by-the-gateway"
PAGE = "https://pay.example.com/"
_FEE_PPM = 20_000
# Some providers forget after so short a time under which key a refund was asked for.
_KEYS_KEPT = timedelta(hours=1)
_NO_MORE = frozenset({SessionState.PAID, SessionState.PROCESSING})


class LyingGateway:
    """The `Gateway` of a simulated world. `begin` gives it new books, a clock, dice and a character."""

    name = "liar"

    def __init__(self) -> None:
        self.books = Books()

    def begin(self, *, now: Callable[[], datetime], dice: Random, faults: Faults) -> None:
        """Be as new."""
        self.books = Books()
        self._now, self._dice, self._faults = now, dice, faults

    # --- what the shop asks ---

    def create_session(self, request: SessionRequest) -> GatewaySession:
        """Open a session; the same idempotency key gives the same session."""
        return self._asked("create_session", lambda: self._told(self._session_for(request)))

    def fetch_session(self, session_id: str) -> GatewaySession:
        """Return a word, which need not be true yet."""
        return self._asked("fetch_session", lambda: self._told(self._session(session_id)))

    def close_session(self, session_id: str) -> GatewaySession:
        """Make an open session unpayable, or nearly so; a paid one comes back as it is, without a lie."""

        def close() -> GatewaySession:
            session = self._session(session_id)
            if session.state is SessionState.OPEN:
                self._become(session, SessionState.CLOSED)
            session.stale = None
            return self._told(session)

        return self._asked("close_session", close)

    def list_sessions(self, *, created_after: datetime) -> Iterator[GatewaySession]:
        """Yield sessions, oldest first."""
        listed = self._asked("list_sessions", lambda: [self._told(one) for one in self.books.sessions.values()])
        yield from (word for word in listed if word.created_at is None or word.created_at >= created_after)

    def create_refund(self, request: RefundRequest) -> GatewayRefund:
        """Give money back; the same idempotency key gives the same refund.

        What the shop itself has asked for before is not added up here: keeping within what came is the shop's task.
        """
        return self._asked("create_refund", lambda: self._refund_told(self._refund_for(request)))

    def fetch_refund(self, *, refund_id: str, session_id: str) -> GatewayRefund:
        """Return the present word on a refund."""

        def fetch() -> GatewayRefund:
            if refund_id not in self.books.refunds:
                raise GatewayRefused("not_found", f"There is no such refund of {session_id}.")
            return self._refund_told(self.books.refunds[refund_id])

        return self._asked("fetch_refund", fetch)

    def list_refunds(self, *, session_id: str, payment_id: str) -> Iterator[GatewayRefund]:  # noqa: ARG002  the protocol's
        """Yield the refunds of one session."""
        yield from self._asked("list_refunds", lambda: self._refunds_where(lambda one: one.session_id == session_id))

    def list_refunds_since(self, *, created_after: datetime) -> Iterator[GatewayRefund]:
        """Yield every refund made since then."""
        yield from self._asked(
            "list_refunds_since", lambda: self._refunds_where(lambda one: one.made_at >= created_after)
        )

    def parse_callback(self, *, body: bytes, headers: Mapping[str, str], now: datetime) -> list[CallbackMessage]:
        """Believe only who knows the signature."""
        if headers.get("webhook-signature") != SIGNATURE:
            raise CallbackInvalid("not signed")
        return [CallbackMessage(occurred_at=now, **item) for item in json.loads(body)]

    # --- what shoppers and the gateway's own staff do there ---

    def pays(self, session: Session) -> str:
        """Let the shopper pay; say what came of it. Whether a session that is no longer open takes it, is its own."""
        late = session.state not in _NO_MORE and session.state is not SessionState.OPEN
        if session.state in _NO_MORE or (late and not session.takes_late_money):
            return "not taken"
        if self._chance(self._faults.processing):
            self._become(session, SessionState.PROCESSING)
            return "processing"
        self._capture(session)
        return "paid late" if late else "paid"

    def decides(self, session: Session, *, well: bool) -> None:
        """End the waiting of money under way."""
        if well:
            self._capture(session)
        else:
            self._become(session, SessionState.FAILED, "insufficient_funds")

    def declines(self, session: Session) -> None:
        """Refuse the shopper's card."""
        if session.state is SessionState.OPEN:
            self._become(session, SessionState.FAILED, "card_declined")

    def is_cancelled(self, session: Session) -> None:
        """Let the shopper go back to the shop."""
        if session.state is SessionState.OPEN:
            self._become(session, SessionState.CANCELLED)

    def gives_back_in_the_dashboard(self, session: Session, amount: int) -> Refund:
        """Let the gateway's own staff refund; the dashboard keeps within what is left."""
        left = session.captured - self.books.given_back(session.id, done=False)
        return self._refund(session, min(amount, left), reference="", state=RefundState.SUCCEEDED)

    def turns(self, refund: Refund) -> None:
        """Let a refund become what it will be."""
        if refund.then is not None:
            refund.state, refund.then = refund.then[0], None
            refund.failure_code = "account_closed" if refund.state is not RefundState.SUCCEEDED else ""
            self._call_back(f"refund.{refund.state}", refund.session_id, concerns_refunds=True)

    def time_passes(self) -> None:
        """Expire sessions and finish refunds whose time has come."""
        now = self._now()
        for session in self.books.sessions.values():
            if session.state is SessionState.OPEN and session.request.expires_at <= now:
                self._become(session, SessionState.EXPIRED)
        for refund in self.books.refunds.values():
            if refund.then is not None and refund.then[1] <= now:
                self.turns(refund)

    def tells_the_truth(self) -> None:
        """End all lies."""
        for session in self.books.sessions.values():
            session.stale = session.wrong = None

    # --- inside ---

    def _asked(self, call: str, answer: Callable[[], T]) -> T:
        turns.seam(f"before {call}")
        if self._chance(self._faults.silent_before):
            raise GatewayUnavailable(f"{call}: no answer")
        self.time_passes()
        answered = answer()
        turns.seam(f"after {call}")
        if self._chance(self._faults.silent_after):
            raise GatewayUnavailable(f"{call}: 500 after doing it")
        return answered

    def _chance(self, probability: float) -> bool:
        return self._dice.random() < probability

    def _session(self, session_id: str) -> Session:
        if session_id not in self.books.sessions:
            raise GatewayRefused("not_found", "There is no such session.")
        return self.books.sessions[session_id]

    def _session_for(self, request: SessionRequest) -> Session:
        known = self.books.by_key.get(request.idempotency_key)
        if known is not None:
            return self.books.sessions[known]
        if self._chance(self._faults.refuses) or request.expires_at <= self._now():
            raise GatewayRefused("refused", "The gateway does not want this payment.")
        session = Session(f"sess_{len(self.books.sessions)}", request, self._now())
        session.takes_late_money = self._chance(self._faults.takes_late_money)
        self.books.sessions[session.id] = session
        self.books.by_key[request.idempotency_key] = session.id
        self._maybe_be_wrong(session)
        if self._dice.random() < 0.3:  # noqa: PLR2004  some gateways tell of a session before we have written it down
            self._call_back("session.created", session.id)
        return session

    def _told(self, session: Session) -> GatewaySession:
        state, captured = session.state, session.captured
        if session.stale is not None and session.stale[1] > self._now():
            state, captured = session.stale[0], 0
        currency = session.request.amount.currency
        word = GatewaySession(
            session_id=session.id,
            state=state,
            redirect_url=f"{PAGE}{session.id}",
            reference=session.request.reference,
            amount=session.request.amount,
            captured=Money(captured, currency),
            live=False,
            failure_code=session.failure_code if state is SessionState.FAILED else "",
            payment_id=session.payment_id if captured else "",
            fee=Money(captured * _FEE_PPM // 1_000_000, currency) if captured else None,
            created_at=session.made_at,
        )
        if session.wrong is not None and session.wrong[1] > self._now():
            return replace(word, **session.wrong[0])
        return word

    def _become(self, session: Session, state: SessionState, failure_code: str = "") -> None:
        if self._chance(self._faults.stale_word):
            lasts = timedelta(seconds=self._dice.choice([1, 30, 300, 1_800, 7_200]))
            session.stale = (session.state, self._now() + lasts)
        session.state, session.moved_at, session.failure_code = state, self._now(), failure_code
        self._maybe_be_wrong(session)
        self._call_back(f"session.{state}", session.id)

    def _capture(self, session: Session) -> None:
        asked = session.request.amount.amount
        session.captured = asked
        if self._chance(self._faults.wrong_capture):
            session.captured = self._dice.choice([1, asked // 2, asked - 1, asked + 1, asked * 2])
        self._become(session, SessionState.PAID)

    def _maybe_be_wrong(self, session: Session) -> None:
        """Perhaps answer for a while as if this were about another payment."""
        if self._chance(self._faults.wrong_word):
            asked = session.request.amount
            lie: dict[str, Any] = self._dice.choice(
                [
                    {"amount": Money(asked.amount + 1, asked.currency)},
                    {"amount": Money(asked.amount, "USD"), "captured": Money(session.captured, "USD")},
                    {"captured": Money(max(0, session.captured - 1), asked.currency)},
                    {"reference": "of-somebody-else"},
                    {"live": True},
                ]
            )
            session.wrong = (lie, self._now() + timedelta(seconds=self._dice.choice([5, 600, 86_400])))

    def _refund_for(self, request: RefundRequest) -> Refund:
        known = self.books.refunds.get(self.books.by_key.get(request.idempotency_key, ""))
        if known is not None and self._now() - known.made_at < _KEYS_KEPT:
            return known
        session = self._session(request.session_id)
        whole = request.amount.amount + self.books.given_back(session.id, done=False)
        if self._is_in_dashboard_use(session) and whole > session.captured:
            # What its own staff gave back the shop cannot know of; this much a gateway watches.
            raise GatewayRefused("exceeds_captured", "That much is not left.")
        state = RefundState.SUCCEEDED
        if self._chance(self._faults.refund_rejected):
            state = RefundState.REJECTED
        elif self._chance(self._faults.refund_pending):
            state = RefundState.PENDING
        refund = self._refund(session, request.amount.amount, reference=request.reference, state=state)
        self.books.by_key[request.idempotency_key] = refund.id
        return refund

    def _is_in_dashboard_use(self, session: Session) -> bool:
        refunds = self.books.refunds.values()
        return any(one.session_id == session.id and not one.reference for one in refunds)

    def _refund(self, session: Session, amount: int, *, reference: str, state: RefundState) -> Refund:
        refund = Refund(f"re_{len(self.books.refunds)}", session.id, reference, amount, self._now(), state)
        if state is RefundState.PENDING:
            well = not self._chance(self._faults.refund_rejected)
            then = RefundState.SUCCEEDED if well else RefundState.REJECTED
            refund.then = (then, self._now() + timedelta(seconds=self._dice.choice([10, 3_600, 200_000])))
        elif state is RefundState.SUCCEEDED and self._chance(self._faults.refund_reversed):
            refund.then = (
                RefundState.REVERSED,
                self._now() + timedelta(seconds=self._dice.choice([60, 3_000, 80_000])),
            )
        if state is RefundState.REJECTED:
            refund.failure_code = "account_closed"
        self.books.refunds[refund.id] = refund
        self._call_back(f"refund.{state}", session.id, concerns_refunds=True)
        return refund

    def _refund_told(self, refund: Refund) -> GatewayRefund:
        session = self.books.sessions[refund.session_id]
        return GatewayRefund(
            refund_id=refund.id,
            session_id=refund.session_id,
            payment_id=session.payment_id,
            reference=refund.reference,
            state=refund.state,
            amount=Money(refund.amount, session.request.amount.currency),
            live=False,
            failure_code=refund.failure_code,
            created_at=refund.made_at,
        )

    def _refunds_where(self, wanted: Callable[[Refund], bool]) -> list[GatewayRefund]:
        return [self._refund_told(refund) for refund in self.books.refunds.values() if wanted(refund)]

    def _call_back(self, kind: str, session_id: str, *, concerns_refunds: bool = False) -> None:
        """Put a message on the wire: not at all, once, or several times; its turn comes in any order."""
        if self._chance(self._faults.callback_lost):
            return
        self.books.events += 1
        event_id = f"evt_{self.books.events}"
        item = {
            "event_id": event_id,
            "type": kind,
            "session_id": session_id,
            "concerns_refunds": concerns_refunds,
        }
        forged = self._chance(self._faults.callback_forged)
        headers = {"webhook-signature": "forged" if forged else SIGNATURE, "webhook-id": event_id}
        copies = 1
        while copies < 4 and self._chance(self._faults.callback_doubled):  # noqa: PLR2004  no gateway tires before
            copies += 1
        for _ in range(copies):
            label = f"{'forged ' if forged else ''}{kind} of {session_id}"
            self.books.wire.append(Callback(json.dumps([item]).encode(), dict(headers), label))


_the_one = LyingGateway()


def the_gateway() -> LyingGateway:
    """Return the one gateway of this process, as settings name it."""
    return _the_one
