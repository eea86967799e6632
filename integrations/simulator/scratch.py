"""The database a simulation plays with: made for it, marked as its own, and thrown away. Never the shop's."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connection, connections
from psycopg import sql

from checkout.services import seed_rates
from shop.catalog import services as catalog
from shop.catalog.dto import ListedArticle, ListedProduct, ProductFile, TaxClass

EPOCH = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
ENGINE = "integrations.simulator.database"
ARTICLES = {"RARE": 4_990, "MUG": 1_650, "PIN": 100}

_MARK = "made by simulate_payments"
_BASE = Path(__file__).resolve().parents[2]
# A scratch database needs to survive nothing; and nobody waits for a lock longer than the scheduler wants.
_OPTIONS = (
    "-c synchronous_commit=off -c lock_timeout=0 -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
    " -c jit=off"
)
# Nothing runs beside the players. The log of a few weeks needs no partitions; a world is forgotten sooner without.
# And a world may end, whatever in it must not be forgotten while it lasts.
_PREPARE = """
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT oid::regclass AS name FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', one.name); END LOOP;
    FOR one IN SELECT inhrelid::regclass AS name FROM pg_inherits
        WHERE inhparent = 'event_log'::regclass AND inhrelid <> 'event_log_default'::regclass
    LOOP EXECUTE format('DROP TABLE %s', one.name); END LOOP;
    FOR one IN SELECT tgrelid::regclass AS name, tgname AS trigger FROM pg_trigger
        WHERE NOT tgisinternal AND tgtype & 32 <> 0
    LOOP EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', one.name, one.trigger); END LOOP;
END $$
"""
_TABLES = """
SELECT oid::regclass::text FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace ORDER BY 1
"""


class NotOurs(Exception):
    """There is a database of the scratch database's name that no simulation has made."""


class Scratch:
    """An open scratch database. `monitor` sees what is committed, in a connection beside all players."""

    def __init__(self, monitor: "psycopg.Connection[Any]") -> None:
        self.monitor = monitor
        tables = [name for (name,) in monitor.execute(_TABLES)]
        kept = {*self._filled(tables)} - {"inventory_stock"}
        self._volatile = [name for name in tables if name not in kept]

    def empty(self) -> None:
        """Forget everything but the catalogue, rates and structure."""
        if filled := self._filled(self._volatile):
            self.monitor.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(_listed(filled)))

    def _filled(self, tables: list[str]) -> list[str]:
        questions = [
            sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(sql.Literal(name), sql.Identifier(name))
            for name in tables
        ]
        return [name for (name,) in self.monitor.execute(sql.SQL(" UNION ALL ").join(questions))]


@contextmanager
def scratch_database() -> Iterator[Scratch]:
    """Let `connections["default"]` of every new thread lead to a database made for this process, then drop it."""
    described = connections.settings["default"]
    before = {**described, "OPTIONS": {**described.get("OPTIONS", {})}}
    shop = str(before["NAME"])
    template, name = f"{shop}_simulation", f"{shop}_simulation_{os.getpid()}"
    with psycopg.connect(**_parameters(shop), autocommit=True) as admin:
        _require_ours(admin, template)
        _require_ours(admin, name)
        try:
            _make_template(admin, template, described)
            _drop(admin, name)
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
            _mark(admin, name, "")
            _lead_to(described, name)
            with psycopg.connect(**_parameters(name), autocommit=True) as monitor:
                yield Scratch(monitor)
        finally:
            described.update(before)
            _drop(admin, name)


def _make_template(admin: "psycopg.Connection[Any]", template: str, described: dict[str, Any]) -> None:
    """Have a migrated, filled database to copy from; one that was made by other migrations is made anew."""
    admin.execute("SELECT pg_advisory_lock(hashtext('simulate_payments'))")
    try:
        digest = _digest()
        if _comment(admin, template) == f"{_MARK} {digest}":
            return
        _drop(admin, template)
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(template)))
        _mark(admin, template, "unfinished")
        _lead_to(described, template)
        _in_a_thread(_fill)
        _mark(admin, template, digest)
    finally:
        admin.execute("SELECT pg_advisory_unlock(hashtext('simulate_payments'))")


def _fill() -> None:
    call_command("migrate", verbosity=0)
    seed_rates()
    articles = tuple(
        ListedArticle(
            sku=sku, name=sku.title(), tax_class=TaxClass.STANDARD, image_url="", prices={"EUR": price}, on_hand=None
        )
        for sku, price in ARTICLES.items()
    )
    goods = ListedProduct(
        handle="goods", title="Goods", description="", category="", image_url="", published=True, articles=articles
    )
    catalog.store(listed=ProductFile(products=(goods,), refused=(), currencies=frozenset({"EUR"})))
    with connection.cursor() as cursor:
        cursor.execute(_PREPARE)


def _lead_to(described: dict[str, Any], name: str) -> None:
    described["NAME"] = name
    described["ENGINE"] = ENGINE
    described["CONN_MAX_AGE"] = None
    described["CONN_HEALTH_CHECKS"] = False
    described["OPTIONS"] = {**described["OPTIONS"], "options": _OPTIONS}
    described["OPTIONS"].pop("pool", None)


def _in_a_thread(work: Callable[[], None]) -> None:
    """Do it where connections are new: this thread's own leads to the shop's database."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again where somebody waits for it
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def _parameters(name: str) -> dict[str, Any]:
    """Return what psycopg needs to reach a database of this name on the shop's server."""
    parameters = dict(connections.create_connection("default").get_connection_params())
    for unwanted in ("cursor_factory", "context", "options"):
        parameters.pop(unwanted, None)
    return parameters | {"dbname": name}


def _require_ours(admin: "psycopg.Connection[Any]", name: str) -> None:
    exists = admin.execute("SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)", [name]).fetchone()
    if exists and exists[0] and not _comment(admin, name).startswith(_MARK):
        raise NotOurs(f"The database {name} was not made by a simulation: it is left alone.")


def _drop(admin: "psycopg.Connection[Any]", name: str) -> None:
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _comment(admin: "psycopg.Connection[Any]", name: str) -> str:
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    row = admin.execute(query, [name]).fetchone()
    return str(row[0]) if row and row[0] else ""


def _mark(admin: "psycopg.Connection[Any]", name: str, state: str) -> None:
    comment = sql.SQL("COMMENT ON DATABASE {} IS {}")
    admin.execute(comment.format(sql.Identifier(name), sql.Literal(f"{_MARK} {state}".strip())))


def _listed(names: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _digest() -> str:
    """Name the present migrations, and this file, by their contents."""
    # Not in hidden folders: in that of the running stack PostgreSQL makes and removes folders all the time.
    found = sorted(_BASE.glob("[!.]*/**/migrations/*.py"))
    return sha256(b"".join(path.read_bytes() for path in [*found, Path(__file__)])).hexdigest()[:16]
