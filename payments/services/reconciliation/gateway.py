"""A gateway's books against ours, both ways: its list page by page, then what of ours was not in it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from payments.dto import GatewayRefund, GatewaySession
from payments.models import Finding
from payments.ports import GatewayRefused
from payments.queries import AttemptRow, RefundRow, attempt_of_session, attempt_row, books
from payments.services import gateways
from payments.services.reconciliation.drift import (
    REFUND_KINDS,
    SESSION_KINDS,
    Drift,
    attempt_rests,
    missing_refund,
    missing_session,
    refund_drift,
    rests,
    session_drift,
)
from payments.services.reconciliation.findings import Looked, Noted, note
from payments.states import FindingKind, FindingState

# A session is made a little after the attempt that asks for it, and by another clock.
_BEFORE = timedelta(hours=1)

# Each costs a call; the others have their turn in the next pass.
AGAIN = 200

Progress = Callable[[int], object]


class Sweep:
    """One pass over one gateway's sessions and refunds. It raises what the gateway raises; what was noted stays."""

    def __init__(self, *, gateway: str, since: datetime, now: datetime, on_progress: Progress) -> None:
        self.sessions = 0
        self.refunds = 0
        self.noted = Noted()
        self._gateway, self._since, self._now, self._on_progress = gateway, since, now, on_progress

    def run(self) -> None:
        """Compare everything since then."""
        self._compare_sessions()
        self._compare_refunds()
        self._look_again()

    def _compare_sessions(self) -> None:
        listed: set[str] = set()
        for words in gateways.sessions_since(gateway=self._gateway, since=self._since - _BEFORE):
            known = books.AttemptsOf(gateway=self._gateway, words=words)
            self._note_sessions([(word, known.of(word)) for word in words])
            listed.update(word.session_id for word in words)
            self.sessions += len(words)
            self._on_progress(len(words))
        for page in books.attempts_since(gateway=self._gateway, since=self._since):
            # The list says no; before anything is called missing, the gateway is asked for it by name.
            self._ask_for_sessions([attempt for attempt in page if attempt.session_id not in listed])

    def _note_sessions(self, pairs: Sequence[tuple[GatewaySession, AttemptRow | None]]) -> None:
        resting = [pair for pair in pairs if pair[1] is None or attempt_rests(attempt=pair[1], now=self._now)]
        drifts = [session_drift(gateway=self._gateway, word=word, attempt=attempt) for word, attempt in resting]
        self._note(SESSION_KINDS, drifts, [word.session_id for word, _ in resting])

    def _ask_for_sessions(self, attempts: Iterable[AttemptRow]) -> None:
        for attempt in attempts:
            if attempt_rests(attempt=attempt, now=self._now):
                drift = fetched_session_drift(gateway=self._gateway, session_id=attempt.session_id)
                self._note(SESSION_KINDS, [drift], [attempt.session_id])

    def _compare_refunds(self) -> None:
        listed: set[str] = set()
        for words in gateways.refunds_since(gateway=self._gateway, since=self._since - _BEFORE):
            known = books.RefundsOf(gateway=self._gateway, words=words)
            self._note_refunds(words, known)
            listed.update(word.refund_id for word in words)
            self.refunds += len(words)
            self._on_progress(len(words))
        for page in books.refunds_since(gateway=self._gateway, since=self._since):
            self._ask_for_refunds([refund for refund in page if refund.gateway_refund_id not in listed])

    def _note_refunds(self, words: Iterable[GatewayRefund], known: books.RefundsOf) -> None:
        drifts, looked_at = [], []
        for word in words:
            refund = known.of(word)
            if rests(moved_at=refund.moved_at if refund else word.created_at, now=self._now):
                attempt = known.attempt_of(word)
                drifts.append(refund_drift(gateway=self._gateway, word=word, refund=refund, attempt=attempt))
                looked_at.append(word.refund_id)
        self._note(REFUND_KINDS, drifts, looked_at)

    def _ask_for_refunds(self, refunds: Iterable[RefundRow]) -> None:
        for refund in refunds:
            if rests(moved_at=refund.moved_at, now=self._now):
                self._note(REFUND_KINDS, [fetched_refund_drift(refund=refund)], [refund.gateway_refund_id])

    def _look_again(self) -> None:
        """Look at what is still open of earlier days, the longest unseen first."""
        kinds = SESSION_KINDS | REFUND_KINDS
        left = Finding.objects.filter(state=FindingState.OPEN, gateway=self._gateway, seen_at__lt=self._now)
        of_gateways = left.filter(kind__in=[kind.value for kind in kinds]).order_by("seen_at", "id")
        for finding in of_gateways[:AGAIN]:
            attempt = attempt_row(attempt_id=finding.attempt_id) if finding.attempt_id else None
            if attempt is None or attempt_rests(attempt=attempt, now=self._now):
                drifts = gateway_drifts(finding=finding)
                if drifts is not None:
                    self._note(kinds, drifts, [finding.subject])
                else:
                    # There is nothing to see; the others have their turn before it comes again.
                    Finding.objects.filter(id=finding.id).update(seen_at=self._now)

    def _note(self, kinds: frozenset[FindingKind], drifts: Iterable[Drift | None], subjects: list[str]) -> None:
        looked = Looked(kinds=kinds, subjects=subjects, gateway=self._gateway)
        self.noted += note(drifts=[drift for drift in drifts if drift], looked=looked, now=self._now)


def gateway_drifts(*, finding: Finding) -> list[Drift] | None:
    """Look at the subject of a session's or refund's finding again; None when there is no way to ask, or no answer."""
    if finding.kind in SESSION_KINDS:
        drift = fetched_session_drift(gateway=finding.gateway, session_id=finding.subject)
        return [drift] if drift else []
    refund = books.refund_named(gateway=finding.gateway, refund_id=finding.subject)
    if refund is not None:
        drift = fetched_refund_drift(refund=refund)
        return [drift] if drift else []
    attempt = attempt_row(attempt_id=finding.attempt_id) if finding.attempt_id else None
    if attempt is None:
        return None
    try:
        listed = gateways.list_refunds(of=attempt)
    except GatewayRefused:
        return None
    words = [word for word in listed if word.refund_id == finding.subject]
    known = books.RefundsOf(gateway=finding.gateway, words=words)
    drifts = [
        refund_drift(gateway=finding.gateway, word=word, refund=known.of(word), attempt=attempt) for word in words
    ]
    return [drift for drift in drifts if drift]


def fetched_session_drift(*, gateway: str, session_id: str) -> Drift | None:
    """Ask the gateway for one session and compare; one it denies is missing if an attempt of ours has it."""
    try:
        word = gateways.fetch(gateway=gateway, session_id=session_id)
    except GatewayRefused as error:
        attempt = attempt_of_session(gateway=gateway, session_id=session_id)
        return missing_session(attempt=attempt, why=error.code) if attempt else None
    attempt = books.AttemptsOf(gateway=gateway, words=[word]).of(word)
    return session_drift(gateway=gateway, word=word, attempt=attempt)


def fetched_refund_drift(*, refund: RefundRow) -> Drift | None:
    """Ask the gateway for one refund of ours and compare; one it denies is missing there."""
    try:
        word = gateways.fetch_refund(refund=refund)
    except GatewayRefused as error:
        return missing_refund(refund=refund, why=error.code)
    return refund_drift(gateway=refund.gateway, word=word, refund=refund, attempt=None)
