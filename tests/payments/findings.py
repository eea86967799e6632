"""Comparing with the gateway, and what is found, in the words tests compare."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from payments import services
from payments.dto import GatewaySession, SessionState
from payments.models import Attempt, Finding
from payments.states import AttemptStatus
from shop.kernel.money import Money
from tests.payments.fakes import FakeGateway

AttemptAt = Callable[[AttemptStatus], Attempt]


def look(at: datetime) -> tuple[int, int]:
    """Compare with the gateway; return how many findings were new and how many are gone."""
    done = services.reconcile_gateway(gateway="fake", since=at - timedelta(hours=26), now=at)
    return done.new, done.gone


def found() -> list[tuple[str, str, str]]:
    """Return kind, subject and detail of the open findings."""
    return list(Finding.objects.filter(state="open").order_by("kind", "id").values_list("kind", "subject", "detail"))


def kinds() -> list[str]:
    """Return the kinds of the open findings."""
    return [kind for kind, _, _ in found()]


def planted(gateway: FakeGateway, session_id: str = "sess_planted", **other: object) -> GatewaySession:
    """Let the gateway have a session that took money and that nobody here has heard of."""
    session = GatewaySession(
        session_id=session_id,
        state=SessionState.PAID,
        redirect_url="",
        reference="somebody's",
        amount=Money(500, "EUR"),
        captured=Money(500, "EUR"),
        live=False,
    )
    gateway.sessions[session_id] = replace(session, **other)  # type: ignore[arg-type]  # a test's own choice of fields
    return gateway.sessions[session_id]
