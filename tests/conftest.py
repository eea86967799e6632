"""What every test may ask for."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, time, timedelta
from time import sleep
from typing import Any
from uuid import UUID

import pytest
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, transaction
from django.db.backends.postgresql.creation import DatabaseCreation
from django.test import Client, TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.outbox import partitions
from tests.clients import logged_in

Statements = list[str]

_MADE_BY_MIGRATE = {"django_content_type", "auth_permission"}

# Whoever is kept from running for a fifth of a second has not become slow.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _middleware_is_loaded() -> None:
    """Load it once before any thread does, as a server does: django-prometheus registers its figures at first use."""
    WSGIHandler()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> Iterator[None]:
    """Drop the tests' database though a server process still works in it, as for a while after its client was killed.

    Refused, it would be an error of the test that happened to be the last.
    """

    def drop(creation: DatabaseCreation, test_database_name: str, _verbosity: int) -> None:
        with creation._nodb_cursor() as cursor:  # type: ignore[attr-defined]  # Django's own, which its stubs leave out
            cursor.execute("SET statement_timeout = 0")
            cursor.execute(f"DROP DATABASE {creation.connection.ops.quote_name(test_database_name)} WITH (FORCE)")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseCreation, "_destroy_test_db", drop)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """Let tests that commit delete the rows they leave; Django truncates every table there is, twenty times as slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _test: delete_all_rows())
        yield


def delete_all_rows() -> None:
    """Leave what migrating an empty database leaves; append-only tables and foreign keys do not object.

    A process that a test has killed may still have a session, and that session a row.
    """
    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("SET LOCAL lock_timeout = '90s'")
        cursor.execute("SET LOCAL statement_timeout = '180s'")
        for table in sorted(tables - _MADE_BY_MIGRATE):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


@pytest.fixture
def statements() -> Callable[[], AbstractContextManager[Statements]]:
    """Record the SQL statements of a block; BEGIN and COMMIT are not among them, savepoints are."""

    @contextmanager
    def recording() -> Iterator[Statements]:
        seen: Statements = []

        def record(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            seen.append(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(record):
            yield seen

    return recording


@pytest.fixture
def now() -> datetime:
    """An instant to pass inward."""
    return datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def one_day() -> None:
    """Let a test of days begin and end on the same one (UTC): shortly before midnight it waits for the next."""
    present = datetime.now(UTC)
    left = datetime.combine(present.date() + timedelta(days=1), time(), UTC) - present
    if left < timedelta(minutes=2):
        sleep(left.total_seconds() + 1)


@pytest.fixture
def patient_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let partitions be made and dropped though PostgreSQL vacuums the log just now: the shop itself would not wait."""
    monkeypatch.setattr(partitions, "_IMPATIENT", "SET LOCAL lock_timeout = '90s'")


@pytest.fixture
def shopper() -> Caller:
    """Somebody who shops."""
    return Caller(id=new_id(), guest=False, staff=False)


@pytest.fixture
def stranger() -> Caller:
    """Somebody else who shops."""
    return Caller(id=UUID(int=0xBAD), guest=False, staff=False)


@pytest.fixture
def staff() -> Caller:
    """Somebody who works here."""
    return Caller(id=new_id(), guest=False, staff=True)


@pytest.fixture
def support(db: None) -> Client:
    """The browser of support staff who may do everything."""
    return logged_in(superuser=True)


@pytest.fixture(autouse=True)
def _throttles_begin_anew() -> Iterator[None]:
    yield
    cache.clear()
