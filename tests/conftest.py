"""What every test may ask for."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from pytest_django import DjangoDbBlocker

from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from tests.clients import logged_in

Statements = list[str]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Let tests that commit empty the ledger behind them, which nobody else may; a test of its own puts that back."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payments_posting DISABLE TRIGGER payments_posting_not_emptied")


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
