"""How many calls one gateway may hold in this process, and when it is better not asked at all.

A gateway that hangs keeps a thread for as long as we wait for it. The slots bound how many; the circuit opens after
silences in a row, so that not even those wait; then one call at a time finds out whether the gateway is back. Time is
the monotonic clock's: a wrong wall clock neither opens nor closes anything.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from itertools import count

import structlog
from django.conf import settings

from payments import metrics
from payments.ports import GatewayRefused, GatewayUnavailable

log = structlog.get_logger(__name__)

BUSY_RETRY_SECONDS = 5


class CircuitState(IntEnum):
    """As the metric tells it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class GatewayHeldBack(GatewayUnavailable):
    """The gateway was not asked: nothing has happened there, and no try is spent."""

    def __init__(self, *, reason: str, retry_after_seconds: int) -> None:
        super().__init__(f"not asked: {reason}")
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


def retry_after(error: GatewayUnavailable) -> int:
    """Return in how many seconds it makes sense to ask again."""
    return error.retry_after_seconds if isinstance(error, GatewayHeldBack) else BUSY_RETRY_SECONDS


class Circuit:
    """The calls of this process to one gateway."""

    def __init__(self, *, gateway: str) -> None:
        """Begin closed: whether the gateway is well is found out by asking it."""
        self._gateway = gateway
        self._changed = threading.Condition()
        self._numbers = count()
        self._began_at: dict[int, float] = {}
        self._silent_at: deque[float] = deque()
        # When open: the instant of the next probe. While somebody probes: the number of that call.
        self._probe_at: float | None = None
        self._probe: int | None = None
        # Until then no impatient call is made.
        self._resting_until = -math.inf

    @property
    def state(self) -> CircuitState:
        """Whether calls go through (closed), one at a time finds out (half open), or none goes (open)."""
        if self._probe_at is None:
            return CircuitState.CLOSED
        waiting = self._probe is None and time.monotonic() < self._probe_at
        return CircuitState.OPEN if waiting else CircuitState.HALF_OPEN

    @contextmanager
    def call(self, *, patient: bool) -> Iterator[None]:
        """Hold a slot for the enclosed call and learn from its end; GatewayHeldBack when it may not begin.

        A refusal is an answer. An impatient call gives the gateway less time than it may take: it never waits for a
        slot, never probes, and its silence keeps away only other impatient ones, for a while.
        """
        number = self._begin(patient=patient)
        answered: bool | None = None
        try:
            yield
            answered = True
        except GatewayRefused:
            answered = True
            raise
        except GatewayUnavailable:
            answered = False
            raise
        finally:
            self._end(number, answered=answered, patient=patient)

    def _begin(self, *, patient: bool) -> int:
        with self._changed:
            arrived_at = time.monotonic()
            try:
                self._admit(patient=patient)
                while len(self._began_at) >= settings.GATEWAY_CALLS_AT_ONCE:
                    self._wait_for_a_slot(arrived_at, patient=patient)
                    self._admit(patient=patient)
            except GatewayHeldBack as error:
                metrics.gateway_held_back.labels(self._gateway, error.reason).inc()
                raise
            number = next(self._numbers)
            self._began_at[number] = time.monotonic()
            if self._probe_at is not None:
                self._probe = number
            return number

    def _admit(self, *, patient: bool) -> None:
        now = time.monotonic()
        if self._probe_at is not None and now < self._probe_at:
            raise GatewayHeldBack(reason="open", retry_after_seconds=math.ceil(self._probe_at - now))
        if self._probe is not None or (self._probe_at is not None and not patient):
            raise GatewayHeldBack(reason="probing", retry_after_seconds=BUSY_RETRY_SECONDS)
        if not patient and now < self._resting_until:
            raise GatewayHeldBack(reason="resting", retry_after_seconds=math.ceil(self._resting_until - now))

    def _wait_for_a_slot(self, arrived_at: float, *, patient: bool) -> None:
        """Wait, not for long, while the gateway seems well: it answered last, and the youngest call is still young."""
        since = min(arrived_at, max(self._began_at.values()))
        left = since + settings.GATEWAY_SLOT_WAIT_SECONDS - time.monotonic()
        if not patient or self._silent_at or left <= 0:
            raise GatewayHeldBack(reason="busy", retry_after_seconds=BUSY_RETRY_SECONDS)
        self._changed.wait(left)

    def _end(self, number: int, *, answered: bool | None, patient: bool) -> None:
        with self._changed:
            del self._began_at[number]
            was_probe = self._probe == number
            if was_probe:
                self._probe = None
            if answered:
                self._close()
            elif answered is False and patient:
                self._count_silence(was_probe=was_probe)
            elif answered is False:
                self._resting_until = time.monotonic() + settings.GATEWAY_CIRCUIT_PAUSE_SECONDS
            self._changed.notify_all()
            metrics.gateway_circuit.labels(self._gateway).set(self.state)

    def _close(self) -> None:
        if self._probe_at is not None:
            log.info("gateway.circuit_closed", gateway=self._gateway)
        self._probe_at = None
        self._silent_at.clear()

    def _count_silence(self, *, was_probe: bool) -> None:
        now = time.monotonic()
        if self._probe_at is not None:
            # Calls that began before it opened end one after the other; only the probe has news.
            if was_probe:
                self._probe_at = now + settings.GATEWAY_CIRCUIT_PAUSE_SECONDS
            return
        self._silent_at.append(now)
        while self._silent_at[0] < now - settings.GATEWAY_CIRCUIT_WINDOW_SECONDS:
            self._silent_at.popleft()
        if 0 < settings.GATEWAY_CIRCUIT_SILENCES <= len(self._silent_at):
            self._probe_at = now + settings.GATEWAY_CIRCUIT_PAUSE_SECONDS
            log.warning("gateway.circuit_opened", gateway=self._gateway, silences=len(self._silent_at))


CIRCUITS: dict[str, Circuit] = {}


def circuit_of(gateway: str) -> Circuit:
    """Return what this process knows about the gateway of this name."""
    # Of threads that come first at the same instant, `setdefault` gives all the same object.
    return CIRCUITS.get(gateway) or CIRCUITS.setdefault(gateway, Circuit(gateway=gateway))
