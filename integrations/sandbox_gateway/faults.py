"""Fault switches: ways to make this provider as unpleasant as real ones can be, on demand."""

import random
import sqlite3
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from .errors import InvalidRequest
from .store import Store

SWITCHES = (
    "drop_callbacks",
    "duplicate_callbacks",
    "delay_seconds",
    "reorder",
    "wrong_amount",
    "slow_seconds",
    "fail_requests",
    "timeout_after_doing",
    "pending_refunds",
    "reject_refunds",
    "reverse_refunds",
    "pay_after_close",
)
WITH_SECONDS = frozenset({"delay_seconds", "slow_seconds", "pending_refunds"})
DEFAULT_SECONDS = 5.0
MAX_SECONDS = 86_400.0
MAX_COUNT = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """A switch that is on: the next `count` times, or else each time with probability `rate`."""

    count: int | None
    rate: float | None
    seconds: float | None

    def as_dict(self) -> dict[str, float]:
        """Return the object that would turn the switch on again just like this."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Faults:
    """The switches, kept in the store and in memory, since every call asks for some of them."""

    def __init__(self, *, store: Store) -> None:
        """Load what was on when the process last ended."""
        self._store = store
        rows = store.connection().execute("SELECT name, spec FROM faults").fetchall()
        self._on = {name: Fault(**_padded(spec=msgspec.json.decode(spec))) for name, spec in rows}

    def state(self) -> dict[str, dict[str, float] | None]:
        """Return every switch: None when off."""
        on = self._on
        return {name: on[name].as_dict() if name in on else None for name in SWITCHES}

    def replace(self, *, switches: dict[str, Any]) -> None:
        """Turn exactly these switches on and all others off; raises InvalidRequest and then changes nothing."""
        on: dict[str, Fault] = {}
        for name, value in switches.items():
            fault = parse_fault(name=name, value=value)
            if fault is not None:
                on[name] = fault
        with self._store.write() as db:
            db.execute("DELETE FROM faults")
            rows = [(name, msgspec.json.encode(fault.as_dict()).decode()) for name, fault in on.items()]
            db.executemany("INSERT INTO faults (name, spec) VALUES (?, ?)", rows)
            self._on = on

    def is_on(self, *, name: str) -> bool:
        """Say whether a switch could strike, without using it up."""
        return name in self._on

    def take(self, *, name: str) -> Fault | None:
        """Return the fault when it strikes now, and count it; None when it is off or chance spares this one."""
        if name not in self._on:
            return None
        # The writer's lock makes "the next n times" exact under concurrent calls.
        with self._store.write() as db:
            fault = self._on.get(name)
            if fault is None:
                return None
            if fault.rate is not None:
                return fault if random.random() < fault.rate else None  # noqa: S311  chance, not a secret
            self._count_down(db=db, name=name, fault=fault)
            return fault

    def seconds(self, *, name: str) -> float:
        """Return for how long a switch with seconds strikes now; 0 when it does not."""
        fault = self.take(name=name)
        return 0.0 if fault is None else fault.seconds or 0.0

    def _count_down(self, *, db: sqlite3.Connection, name: str, fault: Fault) -> None:
        left = replace(fault, count=(fault.count or 0) - 1)
        on = dict(self._on)
        if left.count:
            on[name] = left
            db.execute(
                "UPDATE faults SET spec = ? WHERE name = ?", (msgspec.json.encode(left.as_dict()).decode(), name)
            )
        else:
            del on[name]
            db.execute("DELETE FROM faults WHERE name = ?", (name,))
        self._on = on


def parse_fault(*, name: str, value: Any) -> Fault | None:
    """Return the fault that a JSON value turns on, None for off; raises InvalidRequest.

    Off: 0, false, null. A whole number: the next n times (for a switch with seconds: seconds, each time).
    A fraction below 1: a probability. true: each time. An object: `{"count": n}` or `{"rate": p}`, with "seconds"
    for the switches that have them.
    """
    if name not in SWITCHES:
        raise InvalidRequest(f"There is no switch {name[:40]!r}; there are: {', '.join(SWITCHES)}.", param=name[:40])
    with_seconds = name in WITH_SECONDS
    if value is None or value is False or value == 0:
        return None
    if value is True:
        spec: dict[str, Any] = {"rate": 1.0}
    elif isinstance(value, int | float):
        spec = {"seconds": value} if with_seconds else _count_or_rate(value=value)
    elif isinstance(value, dict):
        spec = value
    else:
        raise InvalidRequest("A switch is a number, true, false, null or an object.", param=name)
    return _from_object(name=name, spec=spec, with_seconds=with_seconds)


def _count_or_rate(*, value: float) -> dict[str, Any]:
    return {"count": value} if isinstance(value, int) else {"rate": value}


def _from_object(*, name: str, spec: dict[str, Any], with_seconds: bool) -> Fault | None:
    allowed = {"count", "rate", "seconds"} if with_seconds else {"count", "rate"}
    if set(spec) - allowed or ("count" in spec and "rate" in spec):
        raise InvalidRequest(f"Use one of count and rate; allowed are {', '.join(sorted(allowed))}.", param=name)
    count, rate, seconds = spec.get("count"), spec.get("rate"), spec.get("seconds")
    if count is None and rate is None:
        if not with_seconds:
            raise InvalidRequest("Give a count or a rate.", param=name)
        rate = 1.0
    if count is not None and (type(count) is not int or not 0 <= count <= MAX_COUNT):
        raise InvalidRequest("count must be a whole number, not negative.", param=name)
    if rate is not None and (type(rate) not in {int, float} or not 0 <= rate <= 1):
        raise InvalidRequest("rate must be between 0 and 1.", param=name)
    if with_seconds:
        seconds = DEFAULT_SECONDS if seconds is None else seconds
        if type(seconds) not in {int, float} or not 0 <= seconds <= MAX_SECONDS:
            raise InvalidRequest(f"seconds must be between 0 and {MAX_SECONDS:.0f}.", param=name)
    if count == 0 or rate == 0 or seconds == 0:
        return None
    return Fault(count=count, rate=None if rate is None else float(rate), seconds=seconds)


def _padded(*, spec: dict[str, Any]) -> dict[str, Any]:
    return {"count": None, "rate": None, "seconds": None} | spec
