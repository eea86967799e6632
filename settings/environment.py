"""The environment, read strictly: what a variable cannot be stops the start, and is told with the variable's name."""

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

_TRUE_OR_FALSE = frozenset({"true", "on", "ok", "y", "yes", "1", "false", "off", "n", "no", "0"})


class Environment(environ.Env):  # type: ignore[misc]  # the library has no types
    """What the library takes for False because it does not know the word is refused: it would switch things off."""

    def get_value(self, var: str, *args: Any, **options: Any) -> Any:
        """Return the variable's value; ImproperlyConfigured when it is not of its type."""
        try:
            return super().get_value(var, *args, **options)
        except (ValueError, TypeError) as error:
            raise ImproperlyConfigured(f"{var} is set to what it cannot be: {error}.") from error

    @classmethod
    def parse_value(cls, value: Any, cast: Any) -> Any:
        """Read a text as the type; ValueError when it is not."""
        if cast is bool and str(value).strip().lower() not in _TRUE_OR_FALSE:
            raise ValueError(f"{value!r} is neither true nor false")
        return super().parse_value(value, cast)

    def count(self, name: str, *, default: int) -> int:
        """Return how many or how long; ImproperlyConfigured for none and for less."""
        number: int = self.int(name, default=default)
        if number < 1:
            raise ImproperlyConfigured(f"{name} is 1 or more, and not {number}.")
        return number

    def delays(self, name: str, *, default: list[int]) -> list[int]:
        """Return pauses in seconds, of which the last may repeat; ImproperlyConfigured for none, and below zero."""
        seconds: list[int] = self.list(name, cast=int, default=default)
        if not seconds or min(seconds) < 0:
            raise ImproperlyConfigured(f"{name} is one pause in seconds or more, such as 60,300.")
        return seconds
