"""Carry a replay out, whichever it is."""

from collections.abc import Callable

from integrations.kafka.models import Replay
from integrations.kafka.replay.audit import Mode
from integrations.kafka.replay.healing import heal, heal_dead
from integrations.kafka.replay.pace import Pace
from integrations.kafka.replay.rebuilding import rebuild
from integrations.kafka.replay.retelling import retell

_WAYS: dict[str, Callable[..., None]] = {
    Mode.HEAL: heal,
    Mode.DEAD: heal_dead,
    Mode.REBUILD: rebuild,
    Mode.RETELL: retell,
}


def carry_out(*, audit: Replay, pace: Pace, progress: Callable[[int], object]) -> None:
    """Do what the audit row says, from where it stands; Stopped when somebody asked for that.

    CannotResume when somebody else is at it, NotReplaySafe when a handler has lost its rebuilder meanwhile.
    """
    _WAYS[audit.mode](audit=audit, pace=pace, progress=progress)
