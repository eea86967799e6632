"""SQL statements of one purchase, counted by the server itself: whatever sends them, its log names it."""

import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from bench import shoppers
from bench.stack import Stack

# The process's name (PGAPPNAME), then the statement; prepared ones are logged when they are executed.
_LINE = re.compile(r"^shop:(?P<who>[\w-]*): LOG:  (?:execute [^:]*|statement): (?P<sql>.*)")
_NOT_COUNTED = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK$|DEALLOCATE|SET SESSION|SELECT 1$)")
SETTLED_SECONDS = 2.0


def count(stack: Stack, *, token: str, skus: list[str]) -> dict[str, Any]:
    """Make one purchase, and return the web's statements by step and those of the processes behind it."""
    browser = _CountingBrowser(stack)
    with _logged(stack):
        shoppers.buy(browser, token, skus[0])
        time.sleep(SETTLED_SECONDS)
    behind = _counted(_new_lines(stack, browser.start))
    steps = dict(zip(shoppers.STEPS, browser.counts, strict=False))
    # What the web does after the shopper has left: the gateway's callback.
    steps["callback"] = behind["web"] - sum(browser.counts)
    return {"steps": steps, "behind": {name: behind[name] for name in ("consumers", "worker")}}


class _CountingBrowser(shoppers.Browser):
    """Reads the server's log after each step."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack.web_port)
        self._stack = stack
        self.start = _log_size(stack)
        self.counts: list[int] = []

    def call(self, *args: Any) -> Any:
        """Call the API and count what the web asked of the database meanwhile."""
        return self._counting(lambda: super(_CountingBrowser, self).call(*args))

    def _counting(self, do: Callable[[], Any]) -> Any:
        before = _log_size(self._stack)
        answer = do()
        time.sleep(0.1)
        self.counts.append(_counted(_new_lines(self._stack, before))["web"])
        return answer


@contextmanager
def _logged(stack: Stack) -> Any:
    with stack.connect() as connection:
        connection.execute("ALTER SYSTEM SET log_line_prefix = 'shop:%a: '")
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(0.5)
        try:
            yield
        finally:
            connection.execute("ALTER SYSTEM RESET ALL")
            connection.execute("SELECT pg_reload_conf()")


def _counted(lines: list[str]) -> Counter[str]:
    found = (_LINE.match(line) for line in lines)
    return Counter(line["who"] for line in found if line and not _NOT_COUNTED.match(line["sql"]))


def _log_size(stack: Stack) -> int:
    return (stack.state_dir / "logs" / "postgres.log").stat().st_size


def _new_lines(stack: Stack, start: int) -> list[str]:
    with (stack.state_dir / "logs" / "postgres.log").open("rb") as log:
        log.seek(start)
        return log.read().decode(errors="replace").splitlines()
