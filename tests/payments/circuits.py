"""Calls of a gateway through its circuit, in the words tests begin with."""

from contextlib import suppress

from payments.ports import GatewayUnavailable
from payments.services.circuits import Circuit

PAUSE_SECONDS = 15


class Watch:
    """A monotonic clock that goes when it is told to."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def monotonic(self) -> float:
        """Return the seconds it shows."""
        return self.at


def silent(circuit: Circuit, *, times: int = 1, patient: bool = True) -> None:
    """Call the gateway so often, and hear nothing."""
    for _ in range(times):
        with suppress(GatewayUnavailable), circuit.call(patient=patient):
            raise GatewayUnavailable("silence")
