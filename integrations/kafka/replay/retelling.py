"""Send events onto their topics again, marked for one consumer outside the shop. The shop's own ones pass them by."""

import re
from collections.abc import Callable
from dataclasses import replace

from integrations.kafka.models import Replay
from integrations.kafka.replay.audit import audited, keep, selection_of
from integrations.kafka.replay.pace import Pace
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox import queue
from shop.kernel.transactions import open_unit_of_work

TARGET = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def retell(*, audit: Replay, pace: Pace, progress: Callable[[int], object]) -> None:
    """Queue the selected events once more for the relay, oldest first.

    What is queued and how far the replay has come commit together: stopped or killed, it queues nothing twice.
    """
    (target,) = audit.consumers
    with audited(audit):
        selection = replace(selection_of(audit), after=audit.after)
        for batch in event_log.chunks(selection, size=pace.batch):
            with open_unit_of_work():
                queue.send_to(target=target, replay_id=audit.id, events=[(told.id, told.key) for told in batch])
                audit.delivered += len(batch)
                audit.after = batch[-1].id
                keep(audit)
            progress(len(batch))
            pace.keep(done=len(batch))
