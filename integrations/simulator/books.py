"""The honest books of the gateway that lies: what it knows, whatever it says."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from payments.dto import RefundState, SessionRequest, SessionState

_GIVEN_BACK = frozenset({RefundState.PENDING, RefundState.SUCCEEDED})


@dataclass
class Session:
    """What the gateway's books say of one session, whatever its answers say."""

    id: str
    request: SessionRequest
    made_at: datetime
    state: SessionState = SessionState.OPEN
    captured: int = 0
    moved_at: datetime | None = None
    failure_code: str = ""
    takes_late_money: bool = False
    # Until then, answers show the state before, or something else about another payment.
    stale: tuple[SessionState, datetime] | None = None
    wrong: tuple[dict[str, Any], datetime] | None = None

    @property
    def payment_id(self) -> str:
        """The gateway's name for the money."""
        return f"pay_{self.id}" if self.captured else ""


@dataclass
class Refund:
    """What the gateway's books say of one refund. `then` is what it becomes by itself."""

    id: str
    session_id: str
    reference: str
    amount: int
    made_at: datetime
    state: RefundState
    then: tuple[RefundState, datetime] | None = None
    failure_code: str = ""


@dataclass
class Callback:
    """One message on the wire. It is delivered again while the shop does not answer with 2xx."""

    body: bytes
    headers: dict[str, str]
    label: str
    tries: int = 0


@dataclass
class Books:
    """Everything the gateway of one world knows."""

    sessions: dict[str, Session] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    wire: list[Callback] = field(default_factory=list)
    events: int = 0

    def of_reference(self, reference: str) -> list[Session]:
        """Return the sessions made for one reference of the shop's."""
        return [session for session in self.sessions.values() if session.request.reference == reference]

    def given_back(self, session_id: str, *, done: bool) -> int:
        """Return what went back of a session's money: what is `done`, or all that is on its way as well."""
        counted = {RefundState.SUCCEEDED} if done else _GIVEN_BACK
        return sum(
            refund.amount
            for refund in self.refunds.values()
            if refund.session_id == session_id and refund.state in counted
        )
