"""Callbacks: an outbox in the store and a few threads that send what is due until it is answered with 2xx."""

import logging
import secrets
import sqlite3
import threading
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
import urllib3
from standardwebhooks import Webhook

from .faults import Faults
from .instants import later, parse_instant, to_text, utc_now
from .store import Store

SENDERS = 8
TIMEOUT_SECONDS = 20.0
IDLE_SECONDS = 0.25
# After the last of these, once a day, until the thirtieth day.
RETRY_SECONDS = (1, 5, 30, 120, 600, 1_800, 3_600, 7_200, 18_000, 36_000, 86_400)
GIVE_UP_SECONDS = 30 * 86_400
# With the switch `reorder`, how long a callback waits for another one to overtake it.
HOLD_SECONDS = 30.0
log = logging.getLogger("sandbox_gateway.callbacks")


class Callback(NamedTuple):
    """A row of the outbox."""

    id: int
    event_id: str
    type: str
    body: str
    created_at: str
    attempts: int


class Outbox:
    """The callbacks that are still to be sent; a row goes away when its callback was answered with 2xx."""

    def __init__(self, *, store: Store, faults: Faults) -> None:
        """Release what a killed process had claimed; the receiver may see such a callback twice."""
        self._store = store
        self._faults = faults
        self._news = threading.Semaphore(0)
        with store.write() as db:
            db.execute("UPDATE outbox SET claimed = 0 WHERE claimed = 1")

    def add(self, *, kind: str, data: dict[str, Any], now: datetime) -> None:
        """Write one callback inside the caller's transaction, as the fault switches want it."""
        event_id = f"evt_{secrets.token_hex(12)}"
        if self._faults.take(name="drop_callbacks"):
            log.info("callback.dropped event_id=%s type=%s object_id=%s", event_id, kind, data["id"])
            return
        created_at = to_text(instant=now)
        event = {"id": event_id, "type": kind, "created_at": created_at, "mode": "test", "data": data}
        delay = self._faults.seconds(name="delay_seconds")
        copies = 2 if self._faults.take(name="duplicate_callbacks") else 1
        with self._store.write() as db:
            held = self._hold(db=db)
            next_at = later(now=now, seconds=max(delay, HOLD_SECONDS if held else 0.0))
            row = (event_id, kind, msgspec.json.encode(event).decode(), created_at, next_at, held)
            db.executemany(
                "INSERT INTO outbox (event_id, type, body, created_at, next_at, held) VALUES (?, ?, ?, ?, ?, ?)",
                [row] * copies,
            )

    def wake(self) -> None:
        """Tell a sender that there is something new, once the transaction has committed."""
        self._news.release()

    def wait(self) -> None:
        """Wait until there may be something due."""
        self._news.acquire(timeout=IDLE_SECONDS)

    def claim(self, *, now: datetime) -> Callback | None:
        """Take one due callback, which no other sender then takes; None when there is none."""
        due = "SELECT id FROM outbox WHERE claimed = 0 AND next_at <= ? ORDER BY next_at, id LIMIT 1"
        instant = to_text(instant=now)
        if self._store.connection().execute(due, (instant,)).fetchone() is None:
            return None
        with self._store.write() as db:
            found = db.execute(due, (instant,)).fetchone()
            if found is None:
                return None
            db.execute("UPDATE outbox SET claimed = 1, attempts = attempts + 1 WHERE id = ?", found)
            self._news.acquire(blocking=False)
            claimed = "SELECT id, event_id, type, body, created_at, attempts FROM outbox WHERE id = ?"
            return Callback(*db.execute(claimed, found).fetchone())

    def delivered(self, *, callback: Callback, now: datetime) -> None:
        """Forget a callback that was answered with 2xx, and let go the one it was to overtake."""
        with self._store.write() as db:
            db.execute("DELETE FROM outbox WHERE id = ?", (callback.id,))
            overtaken = "UPDATE outbox SET held = 0, next_at = ? WHERE held = 1 AND id < ?"
            released = db.execute(overtaken, (to_text(instant=now), callback.id)).rowcount
        if released:
            self.wake()

    def postpone(self, *, callback: Callback, now: datetime) -> None:
        """Plan the next attempt, or give up a month after the event."""
        wait = RETRY_SECONDS[min(callback.attempts, len(RETRY_SECONDS)) - 1]
        age = (now - parse_instant(text=callback.created_at)).total_seconds()
        with self._store.write() as db:
            if age > GIVE_UP_SECONDS:
                db.execute("DELETE FROM outbox WHERE id = ?", (callback.id,))
                log.warning("callback.given_up event_id=%s attempts=%s", callback.event_id, callback.attempts)
                return
            again = "UPDATE outbox SET claimed = 0, next_at = ? WHERE id = ?"
            db.execute(again, (later(now=now, seconds=wait), callback.id))

    def _hold(self, *, db: sqlite3.Connection) -> int:
        # While one callback is held back, the next must pass: it is the one to overtake.
        if not self._faults.is_on(name="reorder"):
            return 0
        if db.execute("SELECT 1 FROM outbox WHERE held = 1").fetchone():
            return 0
        return 1 if self._faults.take(name="reorder") else 0


class Sender:
    """One thread that signs and posts what is due."""

    def __init__(self, *, outbox: Outbox, url: str, secret: str, http: urllib3.PoolManager) -> None:
        """Keep where to send and how to sign; several senders share one pool of kept-alive connections."""
        self._outbox = outbox
        self._url = url
        self._webhook = Webhook(secret)
        self._http = http

    def run_for_ever(self) -> None:
        """Send whatever is due, one callback after the other."""
        while True:
            try:
                callback = self._outbox.claim(now=utc_now())
                if callback is None:
                    self._outbox.wait()
                else:
                    self._send(callback=callback)
            except Exception:
                # A sender that dies would silently halve the provider; a full disk, say, may pass.
                log.exception("callback.sender_failed")
                self._outbox.wait()

    def _send(self, *, callback: Callback) -> None:
        result = self._post(callback=callback)
        if isinstance(result, int) and HTTPStatus.OK <= result < HTTPStatus.MULTIPLE_CHOICES:
            self._outbox.delivered(callback=callback, now=utc_now())
            return
        message = "callback.failed event_id=%s type=%s attempt=%s result=%s"
        log.warning(message, callback.event_id, callback.type, callback.attempts, result)
        self._outbox.postpone(callback=callback, now=utc_now())

    def _post(self, *, callback: Callback) -> int | str:
        signed_at = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "user-agent": "sandbox-gateway/1",
            "webhook-id": callback.event_id,
            "webhook-timestamp": str(int(signed_at.timestamp())),
            "webhook-signature": self._webhook.sign(callback.event_id, signed_at, callback.body),
        }
        try:
            answer = self._http.request("POST", self._url, body=callback.body.encode(), headers=headers)
        except urllib3.exceptions.HTTPError as error:
            return type(error).__name__
        return answer.status


def start_senders(*, outbox: Outbox, url: str, secret: str) -> None:
    """Start the threads; several, so that one slow answer does not hold the others back."""
    http = urllib3.PoolManager(maxsize=SENDERS, timeout=TIMEOUT_SECONDS, retries=False)
    for number in range(SENDERS):
        sender = Sender(outbox=outbox, url=url, secret=secret, http=http)
        threading.Thread(target=sender.run_for_ever, name=f"sender-{number}", daemon=True).start()
