"""The pool of a web process, on a real server that ends its connections, or takes no new ones."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.test import Client

from settings.base import pool
from tests.journeys.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 5
# Longer than a busy machine takes to open connections.
PATIENCE_SECONDS = 60.0


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads that share a pool, as those of a web process do."""
    pooled: Any = connection.copy()
    pooled.settings_dict |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}
    pooled.settings_dict["OPTIONS"] |= {"pool": pool(size=THREADS, wait_seconds=3.0) | {"timeout": PATIENCE_SECONDS}}

    def use_the_pool() -> None:
        connections["default"] = pooled.copy()

    # One more than there are connections.
    with ThreadPoolExecutor(THREADS + 1, initializer=use_the_pool) as executor:
        yield executor
    pooled.close_pool()


@contextmanager
def away() -> Iterator[None]:
    """Have the server take no new connections to this database; this thread keeps its own."""
    connection.ensure_connection()
    name = connection.settings_dict["NAME"]
    with psycopg.connect(**connection.get_connection_params() | {"dbname": "postgres"}, autocommit=True) as aside:
        aside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            yield
        finally:
            aside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def answered(browser: Client) -> int:
    """Answer a request that asks the database, and give its connection back."""
    try:
        return browser.get("/t/asking").status_code
    finally:
        connection.close()


def held(together: threading.Barrier) -> int:
    """Return the server's process behind a connection that is held until as many others are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        found: int = cursor.fetchone()[0]
        together.wait(60)
    connection.close()
    return found


def all_at_once(threads: ThreadPoolExecutor) -> set[int]:
    """Fill the pool, and return the server's processes behind it."""
    together = threading.Barrier(THREADS)
    return {asked.result() for asked in [threads.submit(held, together) for _ in range(THREADS)]}


def shared_pool() -> Any:
    """Return the pool behind this thread's connections."""
    wrapper: Any = connection
    return wrapper.pool


def pool_size() -> int:
    """Count the connections that are there or tried for."""
    size: int = shared_pool().get_stats()["pool_size"]
    return size


@contextmanager
def impatient(threads: ThreadPoolExecutor) -> Iterator[None]:
    """Have these threads wait for a connection no longer than a second: the one they want does not come."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads.submit(shared_pool).result(), "timeout", 1.0)
        yield


def end(pids: set[int]) -> None:
    """Have the server end these connections, and return when it has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT bool_and(pg_terminate_backend(pid, 20000)) FROM unnest(%s) AS pid", [list(pids)])
        assert cursor.fetchone() == (True,)


def test_when_the_server_has_ended_its_connections_one_request_learns_it_and_not_one_for_each(
    threads: ThreadPoolExecutor, browser: Client
) -> None:
    before = all_at_once(threads)
    assert len(before) == THREADS
    end(before)

    statuses = [threads.submit(answered, browser).result() for _ in range(3 * THREADS)]

    assert statuses == [503] + [200] * (3 * THREADS - 1)


def test_however_long_the_server_was_away_the_first_request_afterwards_is_answered(
    threads: ThreadPoolExecutor, browser: Client
) -> None:
    before = all_at_once(threads)
    with away():
        end(before)
        with impatient(threads):
            assert threads.submit(answered, browser).result() == 503
        eventually("the pool to have given up", lambda: threads.submit(pool_size).result() == 0)

    assert threads.submit(answered, browser).result() == 200


def test_a_request_that_finds_all_connections_taken_ends_none_of_them(
    threads: ThreadPoolExecutor, browser: Client
) -> None:
    before = all_at_once(threads)
    together = threading.Barrier(THREADS + 1)
    holders = [threads.submit(held, together) for _ in range(THREADS)]
    eventually("all connections to be taken", lambda: together.n_waiting == THREADS)

    with impatient(threads):
        refused = threads.submit(answered, browser).result()
    together.wait(60)

    assert refused == 503
    assert {holder.result() for holder in holders} == before
    assert all_at_once(threads) == before
