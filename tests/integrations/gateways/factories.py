"""What the tests ask of a provider: sessions as wished, opened and paid, and refunds of them."""

from collections.abc import Callable
from datetime import datetime, timedelta

from payments.dto import GatewaySession, RefundRequest, SessionRequest
from payments.ports import Gateway, GatewayRefused, GatewayUnavailable
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from tests.integrations.gateways.providers import Provider
from tests.integrations.sandbox_gateway.harness import BRIEF_SECONDS


def wished(
    *, amount: Money | None = None, key: str | None = None, expires_at: datetime | None = None
) -> SessionRequest:
    """Return a session to be asked for, under a key and a reference of its own."""
    return SessionRequest(
        idempotency_key=key or f"attempt-{new_id()}",
        reference=f"R7KD-2MNP-XW-{new_id().hex[-8:]}",
        amount=amount or Money(2_870, "EUR"),
        return_url="https://shop.example.com/thanks?payment_id=1",
        expires_at=expires_at or utc_now() + timedelta(minutes=30),
    )


def refund_of(session: GatewaySession, amount: int) -> RefundRequest:
    """Return a refund of so many minor units to be asked for, under a key and a reference of its own."""
    return RefundRequest(
        idempotency_key=f"refund-{new_id()}",
        reference=str(new_id()),
        session_id=session.session_id,
        payment_id=session.payment_id,
        amount=Money(amount, session.amount.currency),
    )


def brief(gateway: Gateway, wish: Callable[..., SessionRequest] = wished) -> tuple[SessionRequest, GatewaySession]:
    """Open a session that ends as soon as this machine allows; return it and what was asked for."""
    for seconds in BRIEF_SECONDS:
        request = wish(expires_at=utc_now() + timedelta(seconds=seconds))
        try:
            return request, gateway.create_session(request)
        except (GatewayRefused, GatewayUnavailable):
            # It would have been over when it arrived, or was before it was asked for.
            if seconds == BRIEF_SECONDS[-1]:
                raise
    raise AssertionError


def opened(provider: Provider) -> GatewaySession:
    """Return a session that waits for its money."""
    return provider.gateway.create_session(wished())


def paid(provider: Provider, amount: Money | None = None) -> GatewaySession:
    """Return a session whose money has come, in the provider's own words of now."""
    session = provider.gateway.create_session(wished(amount=amount))
    provider.pay(session)
    return provider.gateway.fetch_session(session.session_id)
