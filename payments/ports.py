"""What payments needs from outside, as Protocols that settings fill in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Protocol

from payments.dto import CallbackMessage, GatewayRefund, GatewaySession, RefundRequest, SessionRequest

_patience_seconds: ContextVar[float | None] = ContextVar("patience_seconds", default=None)


def patience_seconds(usual: float) -> float:
    """Return how long a gateway is waited for at present: its usual time-out, or less when the caller has less."""
    patience = _patience_seconds.get()
    return usual if patience is None else min(usual, patience)


@contextmanager
def waiting_at_most(seconds: float | None) -> Iterator[None]:
    """Make the enclosed calls give up after so long; None leaves the usual time-outs."""
    token = _patience_seconds.set(seconds)
    try:
        yield
    finally:
        _patience_seconds.reset(token)


class GatewayUnavailable(Exception):
    """The gateway did not answer, or answered that it is out of order. The truth is unknown; ask again."""


class GatewayRefused(Exception):
    """The gateway understood and said no; the same request will be refused again."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class CallbackInvalid(Exception):
    """The message is not the gateway's: signature, age or shape is wrong."""


class Gateway(Protocol):
    """One payment provider. Every call has a time-out (`patience_seconds`) and happens outside any transaction."""

    name: str

    def create_session(self, request: SessionRequest) -> GatewaySession:
        """Open a session; the same idempotency key gives the same session."""

    def fetch_session(self, session_id: str) -> GatewaySession:
        """Return the gateway's present word."""

    def close_session(self, session_id: str) -> GatewaySession:
        """Make the session unpayable and return its state; a paid one is returned as it is, not closed."""

    def list_sessions(self, *, created_after: datetime) -> Iterator[GatewaySession]:
        """Yield sessions in the order in which they were made, or the other way round; all of them."""

    def create_refund(self, request: RefundRequest) -> GatewayRefund:
        """Give money back; the same idempotency key gives the same refund."""

    def fetch_refund(self, *, refund_id: str, session_id: str) -> GatewayRefund:
        """Return the gateway's present word on a refund of this session."""

    def list_refunds(self, *, session_id: str, payment_id: str) -> Iterator[GatewayRefund]:
        """Yield every refund of one session's money, those made in the gateway's dashboard included."""

    def list_refunds_since(self, *, created_after: datetime) -> Iterator[GatewayRefund]:
        """Yield every refund made since then."""

    def parse_callback(self, *, body: bytes, headers: Mapping[str, str], now: datetime) -> list[CallbackMessage]:
        """Verify the raw body and return its messages; CallbackInvalid for anything that is not the gateway's."""
