"""Everything a shop writes anywhere, as text: files, rows, messages, hints, figures, command lines."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import redis
from confluent_kafka.admin import AdminClient
from django.test import override_settings
from psycopg import sql

from integrations.embedded.places import figures_folder
from integrations.kafka.client import read_back
from tests.chaos.processes import command_of, family_of
from tests.journeys.stack import Stack

Place = tuple[str, str]
TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
"""
BYTES = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s AND data_type = 'bytea'
"""
# The database's own files are read through its tables; this one hands the key to whoever runs the stack.
_NOT_READ = ("postgres", "internal-api-key")


def all_places(stack: Stack) -> Iterator[Place]:
    """Yield each place by name, with what stands in it."""
    yield from files(stack)
    yield from rows(stack)
    yield from messages(stack)
    yield from hints(stack)
    yield from figures(stack)
    yield from commands(stack)


def files(stack: Stack) -> Iterator[Place]:
    """Yield what the supervisor has printed, and every file of the stack: logs, mails, the gateway's store."""
    # The stack tells whoever started it which key it has issued, once.
    said = [line for line in stack.said.splitlines() if not line.strip().startswith("API key")]
    yield "supervisor", "\n".join(said)
    for folder in (stack.state_dir, figures_folder(state_dir=stack.state_dir)):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not any(part in _NOT_READ for part in path.relative_to(folder).parts):
                yield f"file {path.relative_to(folder)}", _read(path)


def rows(stack: Stack) -> Iterator[Place]:
    """Yield every row of every table, and every value of bytes as the text it may be; and what was asked last."""
    with psycopg.connect(stack.addresses["DATABASE_URL"], autocommit=True) as connection:
        for schema, table in connection.execute(TABLES).fetchall():
            named = sql.Identifier(schema, table)
            whole = sql.SQL("SELECT row_to_json(each)::text FROM {} AS each").format(named)
            for (row,) in connection.execute(whole):
                yield f"row of {table}", row
            for (column,) in connection.execute(BYTES, [schema, table]).fetchall():
                raw = sql.SQL("SELECT {} FROM {} WHERE {} IS NOT NULL").format(
                    sql.Identifier(column), named, sql.Identifier(column)
                )
                for (value,) in connection.execute(raw):
                    yield f"bytes {table}.{column}", bytes(value).decode("latin-1")
        for (query,) in connection.execute("SELECT COALESCE(query, '') FROM pg_stat_activity"):
            yield "statement", query


def messages(stack: Stack) -> Iterator[Place]:
    """Yield every record of every topic."""
    servers = stack.addresses["KAFKA_BOOTSTRAP_SERVERS"]
    topics = sorted(AdminClient({"bootstrap.servers": servers}).list_topics(timeout=60).topics)
    with override_settings(KAFKA_BOOTSTRAP_SERVERS=servers):
        for record in read_back(topics=topics):
            headers = " ".join(f"{name}={value.decode()}" for name, value in record.headers.items())
            yield f"message of {record.topic}", f"{record.key.decode()} {headers} {record.value.decode()}"


def hints(stack: Stack) -> Iterator[Place]:
    """Yield every key of Redis with what it holds."""
    with redis.Redis.from_url(stack.addresses["REDIS_URL"]) as client:
        for key in client.scan_iter():
            yield "redis", f"{key.decode(errors='replace')} {_held(client, key)}"


def figures(stack: Stack) -> Iterator[Place]:
    """Yield what Prometheus is told."""
    for name in ("WEB_PORT", "RELAY_METRICS_PORT", "CONSUMERS_METRICS_PORT", "WORKER_METRICS_PORT"):
        answer = stack.http.request("GET", f"http://127.0.0.1:{stack.addresses[name]}/metrics")
        assert answer.status == 200
        yield f"figures at {name}", answer.data.decode()


def commands(stack: Stack) -> Iterator[Place]:
    """Yield the command line of every process: anybody on the machine may read it."""
    for pid in family_of(stack.pid):
        yield "command", command_of(pid)


def _held(client: redis.Redis, key: bytes) -> object:
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"hash":
            return client.hgetall(key)
        case b"set":
            return client.smembers(key)
        case _:
            return client.zrange(key, 0, -1)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("latin-1")
    except FileNotFoundError:
        # A mail or a figure that was moved meanwhile.
        return ""
