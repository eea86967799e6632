"""The gateway's own store: one SQLite file that survives a kill -9 at any moment."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    reference TEXT NOT NULL,
    return_url TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    captured_amount INTEGER NOT NULL DEFAULT 0,
    refunded_amount INTEGER NOT NULL DEFAULT 0 CHECK (refunded_amount BETWEEN 0 AND captured_amount),
    payment_id TEXT,
    failure_code TEXT,
    card_last4 TEXT,
    due_at TEXT
);
CREATE INDEX IF NOT EXISTS sessions_created ON sessions (created_at, seq);
CREATE INDEX IF NOT EXISTS sessions_due ON sessions (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS refunds (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL REFERENCES sessions (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at TEXT NOT NULL,
    due_at TEXT,
    due_status TEXT,
    reference TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS refunds_session ON refunds (session_id);
CREATE INDEX IF NOT EXISTS refunds_created ON refunds (created_at, seq);
CREATE INDEX IF NOT EXISTS refunds_due ON refunds (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS idempotency_keys (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    object_id TEXT NOT NULL,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TEXT NOT NULL,
    next_at TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    claimed INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (next_at) WHERE claimed = 0;
CREATE INDEX IF NOT EXISTS outbox_held ON outbox (id) WHERE held = 1;
CREATE TABLE IF NOT EXISTS faults (name TEXT PRIMARY KEY, spec TEXT NOT NULL) WITHOUT ROWID;
"""
# Columns that stores of older versions lack: CREATE TABLE IF NOT EXISTS leaves a table as it is.
ADDED = (("refunds", "reference", "TEXT NOT NULL DEFAULT ''"),)
BUSY_SECONDS = 10.0


class Store:
    """Connections to one file: one for each thread, and one writer at a time."""

    def __init__(self, *, folder: Path) -> None:
        """Open (or create) `gateway.sqlite3` in a folder."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / "gateway.sqlite3"
        self._local = threading.local()
        self._writing = threading.Lock()
        self.connection().executescript(SCHEMA)
        with self.write() as db:
            add_columns(db=db)

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection, for reading."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            # The server drops idle threads, and their connections are then closed by whichever thread collects them.
            db = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            db.execute("PRAGMA journal_mode = WAL")
            # NORMAL loses nothing when the process dies; only a power cut could, and this is a sandbox.
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            self._local.db = db
        return db

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a transaction that commits at the end; inside another one of this thread, join it."""
        db = self.connection()
        if db.in_transaction:
            yield db
            return
        # Waiting for a lock of our own is much cheaper than SQLite's sleeping and trying again.
        with self._writing:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise


def add_columns(*, db: sqlite3.Connection) -> None:
    """Bring a store of an older version up to the schema."""
    for table, column, kind in ADDED:
        names = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        if column not in names:
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
