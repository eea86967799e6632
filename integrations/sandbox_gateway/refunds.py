"""Refunds: money given back, never more in sum than what was captured."""

import logging
import secrets
from datetime import datetime
from typing import Any, NamedTuple

from .callbacks import Outbox
from .errors import NotFound, RefundExceedsCaptured
from .faults import Faults
from .instants import later, to_text
from .sessions import Sessions, find_by_key, remember_key
from .store import Store

SELECT = "SELECT id, session_id, amount, currency, status, created_at, due_at, due_status, reference, seq FROM refunds "
SELECT_ONE = SELECT + "WHERE id = ?"
SELECT_ALL = SELECT + "WHERE (created_at, seq) > (?, ?) ORDER BY created_at, seq LIMIT ?"
SELECT_OF_SESSION = SELECT + "WHERE (created_at, seq) > (?, ?) AND session_id = ? ORDER BY created_at, seq LIMIT ?"
# With the switch `reverse_refunds`, how long a refund looks fine before the money comes back.
REVERSE_SECONDS = 1.0
FAILURE_CODES = {"rejected": "declined_by_bank", "reversed": "account_closed"}
log = logging.getLogger("sandbox_gateway.refunds")


class Refund(NamedTuple):
    """A row of the table of refunds. At `due_at` it turns to `due_status` by itself."""

    id: str
    session_id: str
    amount: int
    currency: str
    status: str
    created_at: str
    due_at: str | None
    due_status: str | None
    reference: str
    seq: int


class NewRefund(NamedTuple):
    """What the merchant asks for, already checked; one made in a dashboard has no reference."""

    session_id: str
    amount: int
    reference: str


class Refunds:
    """Everything that reads or moves a refund."""

    def __init__(self, *, store: Store, faults: Faults, outbox: Outbox, sessions: Sessions) -> None:
        """Work on a store; sessions know what was captured."""
        self._store = store
        self._faults = faults
        self._outbox = outbox
        self._sessions = sessions

    def create(self, *, wanted: NewRefund, key: str | None, now: datetime) -> tuple[Refund, bool]:
        """Return a new refund, or the one this key made before and True.

        Raises IdempotencyConflict, NotFound, RefundExceedsCaptured.
        """
        fingerprint = repr(tuple(wanted))
        with self._store.write() as db:
            earlier = find_by_key(db=db, scope="refund", key=key, fingerprint=fingerprint)
            if earlier is not None:
                return self._read(refund_id=earlier), True
            session = self._sessions.get(session_id=wanted.session_id, now=now)
            refundable = session.captured_amount - session.refunded_amount
            if wanted.amount > refundable:
                raise RefundExceedsCaptured(f"Only {refundable} can be refunded.", refundable=refundable)
            refund_id = f"re_{secrets.token_hex(12)}"
            remember_key(db=db, scope="refund", key=key, fingerprint=fingerprint, object_id=refund_id)
            add_up = "UPDATE sessions SET refunded_amount = refunded_amount + ? WHERE id = ?"
            db.execute(add_up, (wanted.amount, session.id))
            row = (refund_id, session.id, wanted.amount, session.currency, to_text(instant=now), wanted.reference)
            db.execute(
                "INSERT INTO refunds (id, session_id, amount, currency, status, created_at, reference)"
                " VALUES (?, ?, ?, ?, 'pending', ?, ?)",
                row,
            )
            refund = self._begin(refund=self._read(refund_id=refund_id), now=now)
        self._outbox.wake()
        return refund, False

    def get(self, *, refund_id: str, now: datetime) -> Refund:
        """Return a refund as it is now; raises NotFound."""
        return self._as_of(refund=self._read(refund_id=refund_id), now=now)

    def page(self, *, session_id: str | None, after: tuple[str, int], limit: int, now: datetime) -> list[Refund]:
        """Return up to `limit` refunds (of one session) made after a point `(created_at, seq)`, oldest first."""
        query = SELECT_ALL if session_id is None else SELECT_OF_SESSION
        values = (*after, limit) if session_id is None else (*after, session_id, limit)
        rows = self._store.connection().execute(query, values).fetchall()
        return [self._as_of(refund=Refund._make(row), now=now) for row in rows]

    def settle(self, *, refund_id: str, now: datetime) -> Refund:
        """Make the move whose time has come, if it still has."""
        with self._store.write():
            refund = self._read(refund_id=refund_id)
            if refund.due_status is None or refund.due_at is None or refund.due_at > to_text(instant=now):
                return refund
            refund = self._finish(refund=refund, to=refund.due_status, now=now)
        self._outbox.wake()
        return refund

    def due(self, *, now: datetime) -> list[str]:
        """Return the ids of the refunds whose time has come."""
        query = "SELECT id FROM refunds WHERE due_at <= ? ORDER BY due_at LIMIT 100"
        return [row[0] for row in self._store.connection().execute(query, (to_text(instant=now),))]

    def view(self, *, refund: Refund) -> dict[str, Any]:
        """Return a refund as the API and the callbacks show it."""
        return {
            "id": refund.id,
            "session_id": refund.session_id,
            "amount": refund.amount,
            "currency": refund.currency,
            "status": refund.status,
            "reference": refund.reference,
            "failure_code": FAILURE_CODES.get(refund.status),
            "created_at": refund.created_at,
            "mode": "test",
        }

    def _as_of(self, *, refund: Refund, now: datetime) -> Refund:
        if refund.due_at is not None and refund.due_at <= to_text(instant=now):
            return self.settle(refund_id=refund.id, now=now)
        return refund

    def _read(self, *, refund_id: str) -> Refund:
        row = self._store.connection().execute(SELECT_ONE, (refund_id,)).fetchone()
        if row is None:
            raise NotFound("There is no such refund.")
        return Refund._make(row)

    def _begin(self, *, refund: Refund, now: datetime) -> Refund:
        to = "rejected" if self._faults.take(name="reject_refunds") else "succeeded"
        delay = self._faults.seconds(name="pending_refunds") or self._faults.seconds(name="delay_seconds")
        if delay:
            return self._plan(refund=refund, to=to, at=later(now=now, seconds=delay))
        return self._finish(refund=refund, to=to, now=now)

    def _finish(self, *, refund: Refund, to: str, now: datetime) -> Refund:
        finished = self._plan(refund=refund._replace(status=to), to=None, at=None)
        with self._store.write() as db:
            if to != "succeeded":
                give_back = "UPDATE sessions SET refunded_amount = refunded_amount - ? WHERE id = ?"
                db.execute(give_back, (refund.amount, refund.session_id))
            self._outbox.add(kind=f"refund.{to}", data=self.view(refund=finished), now=now)
        log.info("refund.%s refund_id=%s session_id=%s", to, refund.id, refund.session_id)
        if to == "succeeded" and self._faults.take(name="reverse_refunds"):
            return self._plan(refund=finished, to="reversed", at=later(now=now, seconds=REVERSE_SECONDS))
        return finished

    def _plan(self, *, refund: Refund, to: str | None, at: str | None) -> Refund:
        with self._store.write() as db:
            plan = "UPDATE refunds SET status = ?, due_status = ?, due_at = ? WHERE id = ?"
            db.execute(plan, (refund.status, to, at, refund.id))
        return refund._replace(due_status=to, due_at=at)
