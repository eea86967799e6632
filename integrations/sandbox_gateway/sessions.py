"""Payment sessions: what one shopper may pay, once, until it expires."""

import logging
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from .callbacks import Outbox
from .cards import Charge
from .errors import IdempotencyConflict, InvalidRequest, NotFound, SessionAlreadyFinal
from .faults import Faults
from .instants import later, to_text
from .store import Store

SELECT = (
    "SELECT id, status, amount, currency, reference, return_url, expires_at, created_at, captured_amount, "
    "refunded_amount, payment_id, failure_code, card_last4, due_at, seq FROM sessions "
)
SELECT_ONE = SELECT + "WHERE id = ?"
SELECT_PAGE = SELECT + "WHERE (created_at, seq) > (?, ?) ORDER BY created_at, seq LIMIT ?"
INSERT = (
    "INSERT INTO sessions (id, status, amount, currency, reference, return_url, expires_at, created_at, due_at) "
    "VALUES (?, 'open', ?, ?, ?, ?, ?, ?, ?)"
)
UPDATE = (
    "UPDATE sessions SET status = ?, captured_amount = ?, payment_id = ?, failure_code = ?, card_last4 = ?, "
    "due_at = ? WHERE id = ?"
)
SESSION_SECONDS = 1_800
# What the provider keeps of the money, in thousandths: a share alone, so that no currency is taken more than it has.
FEE_PER_MILLE = 15
MOVES: dict[str, frozenset[str]] = {
    "open": frozenset({"processing", "paid", "failed", "cancelled", "closed", "expired"}),
    "processing": frozenset({"paid"}),
    "paid": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "closed": frozenset(),
    "expired": frozenset(),
}
# What the switch pay_after_close adds to the table of moves.
LATE_MOVES = frozenset({"processing", "paid", "failed"})
LATE_FROM = frozenset({"closed", "expired"})
log = logging.getLogger("sandbox_gateway.sessions")


class Session(NamedTuple):
    """A row of the table of sessions. `due_at`: when an open one expires, or a processing one is paid."""

    id: str
    status: str
    amount: int
    currency: str
    reference: str
    return_url: str
    expires_at: str
    created_at: str
    captured_amount: int
    refunded_amount: int
    payment_id: str | None
    failure_code: str | None
    card_last4: str | None
    due_at: str | None
    seq: int


class NewSession(NamedTuple):
    """What the merchant asks for, already checked; without `expires_at` it is half an hour from now."""

    amount: int
    currency: str
    reference: str
    return_url: str
    expires_at: str | None


class Sessions:
    """Everything that reads or moves a session."""

    def __init__(
        self, *, store: Store, faults: Faults, outbox: Outbox, public_url: str, processing_seconds: float
    ) -> None:
        """Work on a store; the hosted pages are under `public_url`."""
        self._store = store
        self._faults = faults
        self._outbox = outbox
        self._public_url = public_url
        self._processing_seconds = processing_seconds

    def create(self, *, wanted: NewSession, key: str | None, now: datetime) -> tuple[Session, bool]:
        """Return a new session, or the one this key made before and True.

        Raises IdempotencyConflict, and InvalidRequest for a new one that would be expired.
        """
        fingerprint = repr(tuple(wanted))
        with self._store.write() as db:
            earlier = find_by_key(db=db, scope="session", key=key, fingerprint=fingerprint)
            if earlier is not None:
                return self._read(session_id=earlier), True
            expires_at = wanted.expires_at or later(now=now, seconds=SESSION_SECONDS)
            created_at = to_text(instant=now)
            if expires_at <= created_at:
                raise InvalidRequest("expires_at must be in the future.", param="expires_at")
            session_id = f"sess_{secrets.token_hex(16)}"
            remember_key(db=db, scope="session", key=key, fingerprint=fingerprint, object_id=session_id)
            asked = (wanted.amount, wanted.currency, wanted.reference, wanted.return_url)
            db.execute(INSERT, (session_id, *asked, expires_at, created_at, expires_at))
            return self._read(session_id=session_id), False

    def get(self, *, session_id: str, now: datetime) -> Session:
        """Return a session as it is now: one whose time has come moves before anybody sees it."""
        return self._as_of(session=self._read(session_id=session_id), now=now)

    def page(self, *, after: tuple[str, int], limit: int, now: datetime) -> list[Session]:
        """Return up to `limit` sessions made after a point `(created_at, seq)`, oldest first."""
        rows = self._store.connection().execute(SELECT_PAGE, (*after, limit)).fetchall()
        return [self._as_of(session=Session._make(row), now=now) for row in rows]

    def charge(self, *, session_id: str, charge: Charge, now: datetime) -> tuple[Session, bool]:
        """Use a card: return the session and whether it moved; False says it was final (or processing) before."""
        with self._moving():
            session = self.get(session_id=session_id, now=now)
            if not self.takes_money(session=session):
                return session, False
            if session.status in LATE_FROM and self._faults.take(name="pay_after_close") is None:
                return session, False
            charged = session._replace(card_last4=charge.last4, failure_code=charge.failure_code)
            return self._move(session=charged, to=charge.status, now=now), True

    def cancel(self, *, session_id: str, now: datetime) -> Session:
        """Cancel on the shopper's behalf; a session that is not open stays what it is."""
        with self._moving():
            session = self.get(session_id=session_id, now=now)
            if session.status != "open":
                return session
            return self._move(session=session, to="cancelled", now=now)

    def close(self, *, session_id: str, now: datetime) -> Session:
        """Close on the merchant's behalf; raises SessionAlreadyFinal unless it is open or closed already."""
        with self._moving():
            session = self.get(session_id=session_id, now=now)
            if session.status == "closed":
                return session
            if session.status == "open":
                return self._move(session=session, to="closed", now=now)
        message = f"The session is {session.status} and cannot be closed."
        raise SessionAlreadyFinal(message, session=self.report(session=session))

    def settle(self, *, session_id: str, now: datetime) -> Session:
        """Make the move whose time has come, if it still has: open to expired, processing to paid."""
        with self._moving():
            session = self._read(session_id=session_id)
            if session.due_at is None or session.due_at > to_text(instant=now):
                return session
            to = "paid" if session.status == "processing" else "expired"
            return self._move(session=session, to=to, now=now)

    def due(self, *, now: datetime) -> list[str]:
        """Return the ids of the sessions whose time has come."""
        query = "SELECT id FROM sessions WHERE due_at <= ? ORDER BY due_at LIMIT 100"
        return [row[0] for row in self._store.connection().execute(query, (to_text(instant=now),))]

    def takes_money(self, *, session: Session) -> bool:
        """Say whether the hosted page offers its form."""
        late = session.status in LATE_FROM and self._faults.is_on(name="pay_after_close")
        return late or session.status == "open"

    def report(self, *, session: Session) -> dict[str, Any]:
        """Return a session as the API and the callbacks show it, or as the switch `wrong_amount` wants it."""
        lie = 1 if self._faults.take(name="wrong_amount") else 0
        return self.view(session=session, lie=lie)

    def view(self, *, session: Session, lie: int = 0) -> dict[str, Any]:
        """Return a session as JSON shows it, with its amounts too high by `lie`."""
        return {
            "id": session.id,
            "url": f"{self._public_url}/pay/{session.id}",
            "status": session.status,
            "amount": session.amount + lie,
            "currency": session.currency,
            "reference": session.reference,
            "expires_at": session.expires_at,
            "created_at": session.created_at,
            "captured_amount": session.captured_amount + (lie if session.captured_amount else 0),
            "refunded_amount": session.refunded_amount,
            "fee_amount": (session.captured_amount * FEE_PER_MILLE + 500) // 1_000 if session.captured_amount else None,
            "payment_id": session.payment_id,
            "failure_code": session.failure_code,
            "mode": "test",
        }

    @contextmanager
    def _moving(self) -> Iterator[None]:
        with self._store.write():
            yield
        self._outbox.wake()

    def _as_of(self, *, session: Session, now: datetime) -> Session:
        if session.due_at is not None and session.due_at <= to_text(instant=now):
            return self.settle(session_id=session.id, now=now)
        return session

    def _read(self, *, session_id: str) -> Session:
        row = self._store.connection().execute(SELECT_ONE, (session_id,)).fetchone()
        if row is None:
            raise NotFound("There is no such session.")
        return Session._make(row)

    def _move(self, *, session: Session, to: str, now: datetime) -> Session:
        allowed = LATE_MOVES if session.status in LATE_FROM else MOVES[session.status]
        if to not in allowed:
            raise AssertionError(f"a session does not move from {session.status} to {to}")
        moved = session._replace(status=to, due_at=None)
        if to == "processing":
            moved = moved._replace(due_at=later(now=now, seconds=self._processing_seconds))
        if to == "paid":
            moved = moved._replace(captured_amount=session.amount, payment_id=f"pay_{secrets.token_hex(12)}")
        with self._store.write() as db:
            row = (moved.captured_amount, moved.payment_id, moved.failure_code, moved.card_last4, moved.due_at)
            db.execute(UPDATE, (to, *row, moved.id))
            self._outbox.add(kind=f"session.{to}", data=self.report(session=moved), now=now)
        log.info("session.%s session_id=%s last4=%s", to, moved.id, moved.card_last4 or "-")
        return moved


def find_by_key(*, db: sqlite3.Connection, scope: str, key: str | None, fingerprint: str) -> str | None:
    """Return the id of the object this key made before; raises IdempotencyConflict if it was asked for otherwise."""
    if key is None:
        return None
    query = "SELECT fingerprint, object_id FROM idempotency_keys WHERE scope = ? AND key = ?"
    row = db.execute(query, (scope, key)).fetchone()
    if row is None:
        return None
    if row[0] != fingerprint:
        raise IdempotencyConflict("This Idempotency-Key was used before with another body.")
    return str(row[1])


def remember_key(*, db: sqlite3.Connection, scope: str, key: str | None, fingerprint: str, object_id: str) -> None:
    """Tie a key to what it made, in the same transaction."""
    if key is not None:
        db.execute("INSERT INTO idempotency_keys VALUES (?, ?, ?, ?)", (scope, key, fingerprint, object_id))
