"""The store of an older version still opens."""

import sqlite3
from contextlib import closing
from pathlib import Path

from integrations.sandbox_gateway.store import Store

# As the first version made it, before refunds had references.
OLD_REFUNDS = """
CREATE TABLE refunds (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at TEXT NOT NULL,
    due_at TEXT,
    due_status TEXT
)
"""


def test_a_store_of_an_older_version_keeps_its_refunds_and_takes_references(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "gateway.sqlite3")) as old:
        old.execute(OLD_REFUNDS)
        old.execute("INSERT INTO refunds VALUES (1, 're_1', 'sess_1', 5, 'EUR', 'succeeded', '2026', NULL, NULL)")
        old.commit()

    for _ in range(2):
        db = Store(folder=tmp_path).connection()
        assert db.execute("SELECT id, amount, reference FROM refunds").fetchall() == [("re_1", 5, "")]
        db.close()
