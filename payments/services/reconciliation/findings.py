"""Findings as rows: written when something is found, closed when it is mended, gone or waved through. Never deleted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import connection

from payments.errors import FindingNotFound, FindingNotOpen
from payments.models import Finding
from payments.services.reconciliation.drift import Drift
from payments.states import FindingKind, FindingState
from shop.kernel.ids import new_id
from shop.kernel.transactions import joins_unit_of_work, unit_of_work

log = structlog.get_logger(__name__)

# Found again, an open finding is seen again; one that a person waved through stays so, until it says something else.
_WRITE = """
INSERT INTO payments_finding (id, kind, gateway, subject, attempt_id, order_id, detail, found_at, seen_at)
SELECT found.id, found.kind, found.gateway, found.subject, found.attempt_id, found.order_id, found.detail,
       %(now)s::timestamptz, %(now)s::timestamptz
FROM unnest(%(ids)s::uuid[], %(kinds)s::text[], %(gateways)s::text[], %(subjects)s::text[], %(attempts)s::uuid[],
            %(orders)s::uuid[], %(details)s::text[])
     AS found (id, kind, gateway, subject, attempt_id, order_id, detail)
WHERE NOT EXISTS (
    SELECT FROM payments_finding dismissed
    WHERE dismissed.state = 'dismissed' AND dismissed.kind = found.kind AND dismissed.gateway = found.gateway
      AND dismissed.subject = found.subject AND dismissed.detail = found.detail
)
ON CONFLICT (kind, gateway, subject) WHERE state = 'open'
DO UPDATE SET seen_at = GREATEST(payments_finding.seen_at, EXCLUDED.seen_at), detail = EXCLUDED.detail,
              attempt_id = EXCLUDED.attempt_id, order_id = EXCLUDED.order_id
RETURNING id
"""
# What was looked at and is not among what was found. Two who close the same rows pass each other by.
_CLOSE = """
WITH gone AS (
    SELECT id FROM payments_finding
    WHERE state = 'open' AND kind = ANY(%(kinds)s::text[]) AND subject = ANY(%(looked_at)s::text[])
      AND (%(gateway)s::text IS NULL OR gateway = %(gateway)s::text) AND found_at <= %(now)s::timestamptz
      AND NOT EXISTS (
          SELECT FROM unnest(%(found_kinds)s::text[], %(found_gateways)s::text[], %(found_subjects)s::text[])
              AS found (kind, gateway, subject)
          WHERE found.kind = payments_finding.kind AND found.gateway = payments_finding.gateway
            AND found.subject = payments_finding.subject
      )
    ORDER BY id FOR UPDATE SKIP LOCKED
)
UPDATE payments_finding SET state = 'gone', closed_at = %(now)s::timestamptz FROM gone
WHERE payments_finding.id = gone.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a page was about: the kinds it can tell of, the subjects in it, and at which gateway (None: any)."""

    kinds: Collection[FindingKind]
    subjects: Collection[str]
    gateway: str | None


@dataclass(frozen=True, slots=True)
class Noted:
    """How many findings were new, and how many of the open ones are no longer true."""

    new: int = 0
    gone: int = 0

    def __add__(self, other: "Noted") -> "Noted":
        return Noted(self.new + other.new, self.gone + other.gone)


def note(*, drifts: Sequence[Drift], looked: Looked, now: datetime) -> Noted:
    """Write down what was found, and close what was looked at and is no longer so."""
    noted = Noted(new=_write(drifts, now) if drifts else 0, gone=_close(drifts, looked, now))
    if noted.gone:
        log.info("reconciliation.gone", count=noted.gone)
    return noted


def open_finding(*, finding_id: UUID) -> Finding:
    """Return an open finding; FindingNotFound, FindingNotOpen."""
    return _open(Finding.objects.filter(id=finding_id).first(), finding_id)


@joins_unit_of_work
def lock_open(*, finding_id: UUID) -> Finding:
    """Lock an open finding; FindingNotFound, FindingNotOpen."""
    return _open(Finding.objects.select_for_update().filter(id=finding_id).first(), finding_id)


@unit_of_work
def dismiss_finding(*, finding_id: UUID, reason: str, now: datetime) -> None:
    """Wave a finding through: it is not found again unless it says something else."""
    close(finding=lock_open(finding_id=finding_id), state=FindingState.DISMISSED, resolution=reason, now=now)


@joins_unit_of_work
def close(*, finding: Finding, state: FindingState, resolution: str, now: datetime) -> None:
    """Close a locked finding and say why."""
    finding.state, finding.resolution, finding.closed_at = state.value, resolution, now
    finding.save(update_fields=["state", "resolution", "closed_at"])
    log.info("reconciliation.closed", finding_id=str(finding.id), kind=finding.kind, state=state.value)


def _open(finding: Finding | None, finding_id: UUID) -> Finding:
    if finding is None:
        raise FindingNotFound(finding_id=finding_id)
    if finding.state != FindingState.OPEN:
        raise FindingNotOpen(finding_id=finding_id, state=finding.state)
    return finding


def _write(drifts: Sequence[Drift], now: datetime) -> int:
    # In one order everywhere, so that two who find the same do not wait for each other in a ring.
    rows = sorted({(drift.kind, drift.gateway, drift.subject): drift for drift in drifts}.items())
    ids = [new_id() for _ in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE,
            {
                "ids": ids,
                "kinds": [drift.kind.value for _, drift in rows],
                "gateways": [drift.gateway for _, drift in rows],
                "subjects": [drift.subject for _, drift in rows],
                "attempts": [drift.attempt_id for _, drift in rows],
                "orders": [drift.order_id for _, drift in rows],
                "details": [drift.detail for _, drift in rows],
                "now": now,
            },
        )
        written = {row[0] for row in cursor.fetchall()}
    for finding_id, (_, drift) in zip(ids, rows, strict=True):
        if finding_id in written:
            log.error(
                "reconciliation.found",
                finding_id=str(finding_id),
                kind=drift.kind.value,
                gateway=drift.gateway,
                subject=drift.subject,
                order_id=str(drift.order_id) if drift.order_id else None,
            )
    return len(written & set(ids))


def _close(drifts: Sequence[Drift], looked: Looked, now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            _CLOSE,
            {
                "kinds": [kind.value for kind in looked.kinds],
                "looked_at": list(looked.subjects),
                "gateway": looked.gateway,
                "found_kinds": [drift.kind.value for drift in drifts],
                "found_gateways": [drift.gateway for drift in drifts],
                "found_subjects": [drift.subject for drift in drifts],
                "now": now,
            },
        )
        closed: int = cursor.rowcount
    return closed
