"""A gateway in memory that keeps its promises, until a test makes it lie, hang, or fall silent after doing."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import RLock
from typing import TypeVar

from pytest_django import Settings

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
from payments.services.circuits import CIRCUITS
from payments.services.gateways import gateway_named
from shop.kernel.ids import new_id
from shop.kernel.money import Money

T = TypeVar("T")

SIGNATURE = "signed-by-the-fake"


# What other types of event the fake sends has no date.
_EVENTS_AT = {"session.paid": datetime(2026, 11, 22, 12, tzinfo=UTC)}


class Killed(BaseException):
    """What a process meets that is killed: nothing catches it."""


@dataclass
class Silence:
    """The next `times` calls of a kind get no answer; with `after_doing` only the answer is lost."""

    times: int
    after_doing: bool
    error: BaseException


class FakeGateway:
    """Sessions and refunds by id and by idempotency key. `calls` tells what was asked, in order."""

    name = "fake"

    def __init__(self) -> None:
        self._lock = RLock()
        self.forget()

    def forget(self) -> None:
        """Be as new, and be known as new: nobody remembers a silence."""
        CIRCUITS.clear()
        self.sessions: dict[str, GatewaySession] = {}
        self.requests: dict[str, SessionRequest] = {}
        self.by_key: dict[str, str] = {}
        self.calls: list[str] = []
        self.silences: dict[str, Silence] = {}
        self.refusal: str | None = None
        self.lies: dict[str, object] = {}
        self.refunds: dict[str, GatewayRefund] = {}
        self.refund_by_key: dict[str, str] = {}
        self.refunds_begin = RefundState.SUCCEEDED
        self.refund_refusal: str | None = None
        self.refund_lies: dict[str, object] = {}
        self.meanwhile: dict[str, Callable[[], None]] = {}
        # Of lists: what they leave out, and after how many rows the line breaks.
        self.unlisted: set[str] = set()
        self.breaks_off_after: int | None = None

    # --- what shops ask ---

    def create_session(self, request: SessionRequest) -> GatewaySession:
        """Open a session; the same idempotency key gives the same session."""
        with self._lock, self._answering("create_session"):
            session_id = self.by_key.get(request.idempotency_key)
            if session_id is None:
                if self.refusal is not None:
                    raise GatewayRefused(self.refusal, "The fake refuses.")
                session_id = f"sess_{new_id().hex}"
                self.by_key[request.idempotency_key] = session_id
                self.requests[session_id] = request
                self.sessions[session_id] = _opened(session_id, request)
            assert self.requests[session_id] == request, "one key, two bodies"
            return self._told(session_id)

    def fetch_session(self, session_id: str) -> GatewaySession:
        """Return the present word."""
        with self._answering("fetch_session"), self._lock:
            return self._told(session_id)

    def close_session(self, session_id: str) -> GatewaySession:
        """Close an open session; anything else is returned as it is."""
        with self._lock, self._answering("close_session"):
            if self.sessions[session_id].state is SessionState.OPEN:
                self.become(session_id, SessionState.CLOSED)
            return self._told(session_id)

    def list_sessions(self, *, created_after: datetime) -> Iterator[GatewaySession]:
        """Yield sessions, oldest first, as far as the line holds."""
        with self._answering("list_sessions"), self._lock:
            listed = [self._told(session_id) for session_id in self.sessions if session_id not in self.unlisted]
        yield from self._while_the_line_holds(listed)

    def create_refund(self, request: RefundRequest) -> GatewayRefund:
        """Give money back; the same idempotency key gives the same refund."""
        with self._lock, self._answering("create_refund"):
            refund_id = self.refund_by_key.get(request.idempotency_key)
            if refund_id is None:
                if self.refund_refusal is not None:
                    raise GatewayRefused(self.refund_refusal, "The fake refuses.")
                refund_id = self._give_back(request.session_id, request.amount, request.reference, self.refunds_begin)
                self.refund_by_key[request.idempotency_key] = refund_id
            refund = self.refunds[refund_id]
            assert (refund.amount, refund.reference) == (request.amount, request.reference), "one key, two bodies"
            return self._refund_told(refund)

    def fetch_refund(self, *, refund_id: str, session_id: str) -> GatewayRefund:
        """Return the present word."""
        with self._answering("fetch_refund"), self._lock:
            if refund_id not in self.refunds or self.refunds[refund_id].session_id != session_id:
                raise GatewayRefused("not_found", "There is no such refund.")
            return self._refund_told(self.refunds[refund_id])

    def list_refunds(self, *, session_id: str, payment_id: str) -> Iterator[GatewayRefund]:
        """Yield a session's refunds, oldest first."""
        with self._answering("list_refunds"), self._lock:
            listed = [self._refund_told(one) for one in self.refunds.values() if one.session_id == session_id]
        yield from listed

    def list_refunds_since(self, *, created_after: datetime) -> Iterator[GatewayRefund]:
        """Yield refunds, oldest first, as far as the line holds."""
        with self._answering("list_refunds_since"), self._lock:
            listed = [self._refund_told(one) for one in self.refunds.values() if one.refund_id not in self.unlisted]
        yield from self._while_the_line_holds(listed)

    def parse_callback(self, *, body: bytes, headers: Mapping[str, str], now: datetime) -> list[CallbackMessage]:
        """Believe whoever knows the signature."""
        if headers.get("webhook-signature") != SIGNATURE:
            raise CallbackInvalid("not signed")
        return [
            CallbackMessage(
                item["event_id"],
                item["type"],
                item["session_id"],
                _EVENTS_AT.get(item["type"]),
                concerns_refunds=item["type"].startswith("refund."),
            )
            for item in json.loads(body)
        ]

    # --- what tests do to it ---

    def become(self, session_id: str, state: SessionState, failure_code: str = "") -> None:
        """Let the session change, as a shopper or time would change it."""
        with self._lock:
            session = self.sessions[session_id]
            captured = session.amount if state is SessionState.PAID else Money.zero(session.amount.currency)
            self.sessions[session_id] = replace(session, state=state, captured=captured, failure_code=failure_code)

    def pay(self, session_id: str) -> None:
        """Let the shopper pay."""
        self.become(session_id, SessionState.PAID)

    def pay_if_open(self, session_id: str) -> bool:
        """Let the shopper pay, who cannot once the session is closed; say whether the money was taken."""
        with self._lock:
            if self.sessions[session_id].state is not SessionState.OPEN:
                return False
            self.pay(session_id)
            return True

    def refund_in_dashboard(self, amount: int, state: RefundState = RefundState.SUCCEEDED) -> str:
        """Let the gateway's own staff give money of the one session back; return the refund's id there."""
        session_id = self.only_session()
        with self._lock:
            return self._give_back(session_id, Money(amount, self.sessions[session_id].amount.currency), "", state)

    def refund_becomes(self, refund_id: str, state: RefundState, failure_code: str = "") -> None:
        """Let the refund change, as banks and time change it."""
        with self._lock:
            self.refunds[refund_id] = replace(self.refunds[refund_id], state=state, failure_code=failure_code)

    def forget_keys(self) -> None:
        """Forget every idempotency key, as gateways do after an hour or a day."""
        self.by_key.clear()
        self.refund_by_key.clear()

    def only_refund(self) -> str:
        """Return the id of the one refund there is."""
        (refund_id,) = self.refunds
        return refund_id

    def fall_silent(self, call: str, *, times: int = 1, after_doing: bool = False) -> None:
        """Leave the next calls of this kind unanswered."""
        self.silences[call] = Silence(times, after_doing, GatewayUnavailable("silence"))

    def deny(self, call: str, code: str) -> None:
        """Refuse the next call of this kind."""
        self.silences[call] = Silence(1, after_doing=False, error=GatewayRefused(code, "The fake denies it."))

    def kill(self, call: str, *, after_doing: bool = False) -> None:
        """Kill the caller in the next call of this kind, before or after the gateway has done it."""
        self.silences[call] = Silence(1, after_doing, Killed())

    def during(self, call: str, do: Callable[[], None]) -> None:
        """Do something in the middle of the next call of this kind."""
        self.meanwhile[call] = do

    def only_session(self) -> str:
        """Return the id of the one session there is."""
        (session_id,) = self.sessions
        return session_id

    def _while_the_line_holds(self, listed: list[T]) -> Iterator[T]:
        for place, one in enumerate(listed):
            if place == self.breaks_off_after:
                raise GatewayUnavailable("the line broke")
            yield one

    def _told(self, session_id: str) -> GatewaySession:
        if session_id not in self.sessions:
            raise GatewayRefused("not_found", "There is no such session.")
        return replace(self.sessions[session_id], **self.lies)  # type: ignore[arg-type]  # a test's own choice of fields

    def _refund_told(self, refund: GatewayRefund) -> GatewayRefund:
        return replace(refund, **self.refund_lies)  # type: ignore[arg-type]  # a test's own choice of fields

    def _give_back(self, session_id: str, amount: Money, reference: str, state: RefundState) -> str:
        """Make a refund, unless more would go back than came."""
        session = self.sessions[session_id]
        back = sum(
            one.amount.amount
            for one in self.refunds.values()
            if one.session_id == session_id and one.state in {RefundState.PENDING, RefundState.SUCCEEDED}
        )
        if back + amount.amount > session.captured.amount:
            raise GatewayRefused("refund_exceeds_captured", "There is not so much left.")
        refund_id = f"re_{new_id().hex}"
        self.refunds[refund_id] = GatewayRefund(
            refund_id=refund_id,
            session_id=session_id,
            payment_id=session.payment_id,
            reference=reference,
            state=state,
            amount=amount,
            live=False,
            failure_code="bank_refused" if state is RefundState.REJECTED else "",
        )
        return refund_id

    def _answering(self, call: str) -> "_Call":
        return _Call(self, call)


class _Call:
    """One call: counted, and spoiled as the test has asked for."""

    def __init__(self, gateway: FakeGateway, call: str) -> None:
        self.gateway, self.call = gateway, call

    def __enter__(self) -> None:
        self.gateway.calls.append(self.call)
        meanwhile = self.gateway.meanwhile.pop(self.call, None)
        if meanwhile is not None:
            meanwhile()
        silence = self.gateway.silences.get(self.call)
        if silence is not None and silence.times > 0 and not silence.after_doing:
            silence.times -= 1
            raise silence.error

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        silence = self.gateway.silences.get(self.call)
        if kind is None and silence is not None and silence.times > 0 and silence.after_doing:
            silence.times -= 1
            raise silence.error


def _opened(session_id: str, request: SessionRequest) -> GatewaySession:
    return GatewaySession(
        session_id=session_id,
        state=SessionState.OPEN,
        redirect_url=f"https://pay.example.com/{session_id}",
        reference=request.reference,
        amount=request.amount,
        captured=Money.zero(request.amount.currency),
        live=False,
    )


def only_gateway(settings: Settings) -> FakeGateway:
    """Make the fake the shop's only gateway, and return it as new."""
    settings.GATEWAYS = {"fake": "tests.payments.fakes.FakeGateway"}
    settings.DEFAULT_GATEWAY = "fake"
    settings.PAYMENT_RETURN_ORIGINS = ["https://shop.example.com"]
    settings.PAYMENT_LIVE_MODE = False
    fake = gateway_named("fake")
    assert isinstance(fake, FakeGateway)
    fake.forget()
    return fake
