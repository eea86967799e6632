"""What a statement written by hand returns."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection


def rows_of(statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run one statement and return its rows, each by the names of its columns."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
