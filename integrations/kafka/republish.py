"""After a broker that forgets (the embedded one): send again what some consumer has not heard."""

from datetime import timedelta

import structlog

from integrations.kafka import inbox
from integrations.kafka.groups import listeners
from shop.kernel.clock import utc_now
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox import queue
from shop.kernel.outbox.dto import Told

log = structlog.get_logger(__name__)

CHUNK = 1_000


def republish_unheard(*, seconds: int) -> int:
    """Queue the events of the last `seconds` that a listening consumer has neither handled nor parked.

    Whoever has heard one already recognises it by its inbox row. Return how many were queued.
    """
    queued = 0
    for chunk in event_log.chunks(event_log.Selection(since=utc_now() - timedelta(seconds=seconds)), size=CHUNK):
        unheard = _unheard(chunk)
        if unheard:
            queued += queue.send_again(events=[(told.id, told.key) for told in chunk if told.id in unheard])
    log.info("relay.republished", events=queued)
    return queued


def _unheard(chunk: list[Told]) -> set[object]:
    missing: set[object] = set()
    for consumer in {name for name, _ in listeners()}:
        types = {type_name for name, type_name in listeners() if name == consumer}
        wanted = {told.id for told in chunk if told.type in types}
        missing |= wanted - inbox.settled(consumer=consumer, event_ids=wanted)
    return missing
