"""Counts of what waits, and of what waits for a person. Small indexes answer all but the queue's."""

from dataclasses import dataclass
from datetime import datetime

import notifications.queries
import notifications.queries.webhooks
import orders.queries
import payments.queries
from integrations.kafka import housekeeping
from shop.kernel.outbox import queue
from shop.kernel.outbox.slots import Slot, slots


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How the shop stands at one moment; ages and delays are in seconds, 0 where nothing waits."""

    outbox_pending: int
    outbox_failed: int
    outbox_oldest_seconds: float
    slots: list[Slot]
    # By consumer group and state.
    parked: dict[tuple[str, str], int]
    # Attempts and refunds in review, unknown attempts, and callbacks parked, quarantined and dead.
    payments_stuck: dict[str, int]
    # Open ones, by kind.
    findings: dict[str, int]
    orders_in_review: int
    # By state, sent ones apart.
    mails: dict[str, int]
    oldest_mail_seconds: float
    # Webhooks not taken, by state; merchants' endpoints by what they are.
    webhooks: dict[str, int]
    webhook_endpoints: dict[str, int]
    # How long ago the first of its kind should have been taken up.
    overdue_seconds: dict[str, float]

    @property
    def dead_letters(self) -> int:
        """How many events no consumer will try again by itself."""
        return sum(count for (_, state), count in self.parked.items() if state == "dead")


def figures(*, now: datetime) -> Figures:
    """Return how the shop stands, in as many statements whatever is in its tables."""
    depth = queue.depth()
    mails = notifications.queries.waiting(now=now)
    webhooks = notifications.queries.webhooks.webhook_figures(now=now)
    due = {
        **payments.queries.due_since(),
        "order": orders.queries.due_since(),
        "mail": notifications.queries.due_since(),
        "webhook": notifications.queries.webhooks.webhook_due_since(),
        "parked_event": housekeeping.parked_due_since(),
    }
    return Figures(
        outbox_pending=depth.pending,
        outbox_failed=depth.failed,
        outbox_oldest_seconds=_since(depth.oldest_at, now),
        slots=slots(),
        parked=housekeeping.count_parked(),
        payments_stuck=payments.queries.stuck(),
        findings=payments.queries.open_findings(),
        orders_in_review=orders.queries.in_review(),
        mails=mails.by_state,
        oldest_mail_seconds=mails.oldest_pending_seconds,
        webhooks=webhooks.deliveries,
        webhook_endpoints=webhooks.endpoints,
        overdue_seconds={what: _since(at, now) for what, at in due.items()},
    )


def _since(at: datetime | None, now: datetime) -> float:
    return max((now - at).total_seconds(), 0.0) if at else 0.0
