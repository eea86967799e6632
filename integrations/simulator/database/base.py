"""Where a simulated process may be interrupted: around its statements and its commits."""

from collections.abc import Callable
from typing import Any

import psycopg
from django.db.backends.postgresql import base

from integrations.simulator import turns


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL as it is, with a seam before each statement and on both sides of each commit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self._between_statements)

    def _between_statements(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,  # noqa: FBT001  the signature Django calls
        context: dict[str, Any],
    ) -> Any:
        player = turns.on_stage()
        if player is None:
            return execute(sql, params, many, context)
        player.pass_seam(turns.INSIDE if self.in_atomic_block else turns.BETWEEN)
        try:
            result = execute(sql, params, many, context)
        except Exception as error:
            if isinstance(error.__cause__, psycopg.errors.DeadlockDetected):
                player.note("deadlock", sql)
            raise
        finally:
            player.has_returned()
        if not self.in_atomic_block:
            player.has_committed()
        return result

    def _commit(self) -> None:
        player = turns.on_stage()
        if player is None:
            super()._commit()  # type: ignore[misc]  # Django's own, which its stubs leave out
            return
        try:
            player.pass_seam(turns.BEFORE_COMMIT)
        except turns.Killed:
            self._rollback()  # type: ignore[attr-defined]  # the same
            # Hooks live in the memory of the process that died.
            self.run_on_commit = []
            raise
        super()._commit()  # type: ignore[misc]  # the same
        player.has_committed()
        try:
            player.pass_seam(turns.AFTER_COMMIT)
        except turns.Killed:
            self.run_on_commit = []
            raise
