"""How the database carries out every statement of a purchase, of the lists and of the clock: `python -m bench.plans`.

Runs the shop's own code in this process against the database DATABASE_URL names (filled by `bench.fill`), and explains
each statement just before it is sent: as a prepared statement with a generic plan, which is what a busy connection
uses, and with the values known. What reads more rows than it should is named.
"""

import argparse
import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import django
import psycopg
from psycopg import sql
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")
# A node that reads more rows than this for one purchase's statement reads what it need not.
SUSPICIOUS_ROWS = 300
_EXPLAINED = re.compile(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE)", re.IGNORECASE)


class Explainer:
    """Explains what Django is about to execute, each text once a label."""

    def __init__(self, *, everything: bool) -> None:
        self.label = ""
        self._everything = everything
        self._seen: set[tuple[str, str]] = set()

    def __call__(self, execute: Callable[..., Any], text: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001  Django's call
        """Explain, then execute."""
        if _EXPLAINED.match(text) and not many and (self.label, text) not in self._seen:
            self._seen.add((self.label, text))
            self._explain(context["connection"].connection, text, params)
        return execute(text, params, many, context)

    def _explain(self, connection: Any, text: str, params: Any) -> None:
        # Whatever the explained statement does is undone.
        with connection.cursor() as cursor, connection.transaction(force_rollback=True):
            found = {
                mode: self._plan(cursor, text, params, mode=mode)
                for mode in ("force_generic_plan", "force_custom_plan")
            }
        for mode, plan in found.items():
            nodes = [node for node in _nodes(plan["Plan"]) if _rows_read(node) > SUSPICIOUS_ROWS]
            if nodes or self._everything:
                milliseconds = plan["Execution Time"]
                print(f"{self.label:<28} {mode[6:13]} {milliseconds:8.2f} ms  {' '.join(text.split())[:110]}")
                for node in nodes:
                    name = node.get("Relation Name") or node.get("CTE Name") or ""
                    print(
                        f"{'':38} {_rows_read(node):>10,.0f} rows  {node['Node Type']} {name}"
                        f" {node.get('Index Name', '')}"
                    )

    def _plan(self, cursor: Any, text: str, params: Any, *, mode: str) -> dict[str, Any]:
        query = PostgresQuery(Transformer(cursor.connection))
        query.convert(text, params)
        types = ", ".join(_type_name(cursor, oid) for oid in query.types)
        cursor.execute("SELECT set_config('plan_cache_mode', %s, true)", [mode])
        prepared = sql.SQL("PREPARE explained ({}) AS {}" if types else "PREPARE explained AS {1}").format(
            sql.SQL(types), sql.SQL(query.query.decode())
        )
        with cursor.connection.transaction(force_rollback=True):
            raw = psycopg.RawCursor(cursor.connection)
            raw.execute(prepared.as_bytes(cursor.connection))
            try:
                values = sql.SQL(", ").join(sql.Literal(value) for value in _in_order(query, params))
                call = sql.SQL("EXECUTE explained ({})").format(values) if types else sql.SQL("EXECUTE explained")
                raw.execute(sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) {}").format(call).as_bytes(cursor.connection))
                [(explained,)] = raw.fetchall()
            finally:
                raw.execute(b"DEALLOCATE explained")
        return explained[0] if isinstance(explained, list) else json.loads(explained)[0]


def _in_order(query: PostgresQuery, params: Any) -> list[Any]:
    """Return the parameters as `$1`, `$2` and so on stand for them."""
    return [params[name] for name in query._order or ()] if isinstance(params, dict) else list(params or ())


def _type_name(cursor: Any, oid: int) -> str:
    cursor.execute("SELECT format_type(%s::oid, NULL)", [oid])
    return str(cursor.fetchone()[0]) if oid else "unknown"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _rows_read(node: dict[str, Any]) -> float:
    if "Relation Name" not in node and "Index Name" not in node:
        return 0
    removed = sum(node.get(name, 0) for name in ("Rows Removed by Filter", "Rows Removed by Index Recheck"))
    return (node["Actual Rows"] + removed) * node["Actual Loops"]


def main() -> None:
    """Walk through everything and print what is suspicious, or everything."""
    parser = argparse.ArgumentParser(prog="python -m bench.plans", description=__doc__)
    parser.add_argument("--everything", action="store_true", help="also what reads few rows")
    options = parser.parse_args()
    django.setup()
    from django.db import connection  # noqa: PLC0415  after the settings

    from bench import walk  # noqa: PLC0415  after the settings

    explainer = Explainer(everything=options.everything)
    with connection.execute_wrapper(explainer):
        for label, step in walk.steps():
            explainer.label = label
            step()


if __name__ == "__main__":
    main()
