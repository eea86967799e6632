"""`manage.py reconcile_payments`: compare the gateways' books with ours, both ways, and ours among themselves."""

import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from tqdm import tqdm

from payments import services
from payments.dto import Reconciliation
from payments.models import Finding
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.services.reconciliation import is_fixable
from payments.states import FindingState, Source
from shop.kernel.clock import utc_now
from shop.kernel.errors import Refusal

FOUND, COULD_NOT_ASK = 1, 2
SHOWN = 50

# Nobody's books begin earlier; the calendar itself ends in the year 1, where nothing can be taken off any more.
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_HEADS = ("found (UTC)", "kind", "gateway", "subject", "what")


def since(text: str) -> datetime | timedelta:
    """Read an instant, or a duration back from now; one without an offset is meant in UTC."""
    if duration := re.fullmatch(r"(\d{1,5})([mhd])", text):
        return timedelta(**{_UNITS[duration[2]]: int(duration[1])})
    try:
        read = parse_datetime(text)
    except ValueError:
        read = None
    if read is None:
        raise ArgumentTypeError(f"{text!r} is neither an instant (2026-11-22T10:00:00Z) nor a duration (90m, 26h, 7d).")
    return max(read if read.tzinfo else read.replace(tzinfo=UTC), _BEGINNING)


class Command(BaseCommand):
    """Compares, writes findings, mends what can be mended if asked to, and tells what is open."""

    help = (
        "Compare the gateways' books with ours, both ways, and ours among themselves. Differences are findings, "
        "which the admin shows too; nothing is ever deleted. Ends with status 0 when nothing is open, 1 when "
        "something is, 2 when a gateway could not be asked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command line."""
        parser.add_argument(
            "--since",
            type=since,
            default=timedelta(seconds=settings.RECONCILIATION_WINDOW_SECONDS),
            metavar="INSTANT|DURATION",
            help="how far back: 2026-11-22T10:00:00Z, or 90m, 26h, 7d (default: RECONCILIATION_WINDOW_SECONDS)",
        )
        parser.add_argument(
            "--gateway",
            choices=sorted(settings.GATEWAYS),
            action="append",
            help="only this one's books, and not ours among themselves; may be repeated",
        )
        parser.add_argument("--fix", action="store_true", help="mend the findings that need no decision")

    def handle(self, *, fix: bool, **options: Any) -> None:
        """Reconcile; CommandError with status 1 or 2, see `help`."""
        now = utc_now()
        back = options["since"]
        begin = now - back if isinstance(back, timedelta) else back
        silent = self._compare(options["gateway"], begin, now)
        if fix:
            self._fix(options["gateway"], now)
        still_open = list(_open(options["gateway"])[: SHOWN + 1])
        self._table(still_open)
        if silent:
            raise CommandError(f"Could not ask: {', '.join(silent)}; the rest was compared.", returncode=COULD_NOT_ASK)
        if still_open:
            raise CommandError("There are open findings; see docs/runbooks/findings.md.", returncode=FOUND)

    def _compare(self, chosen: list[str] | None, begin: datetime, now: datetime) -> list[str]:
        """Compare book by book and return the gateways that did not answer."""
        silent = []
        for gateway in chosen or sorted(settings.GATEWAYS):
            try:
                with _bar(gateway) as bar:
                    done = services.reconcile_gateway(gateway=gateway, since=begin, now=now, on_progress=bar.update)
            except (GatewayUnavailable, GatewayRefused) as error:
                silent.append(gateway)
                self.stderr.write(f"{gateway}: {error}")
            else:
                self._report(done)
        if chosen is None:
            with _bar("orders") as bar:
                done = services.reconcile_house(since=begin, now=now, on_progress=bar.update)
            self._report(done)
        return silent

    def _report(self, done: Reconciliation) -> None:
        compared = ", ".join(f"{count} {sort}" for sort, count in done.compared.items())
        self.stdout.write(f"{done.of}: {compared} compared; {done.new} new, {done.gone} gone")

    def _fix(self, chosen: list[str] | None, now: datetime) -> None:
        for finding in _open(chosen).iterator(chunk_size=SHOWN):
            if not is_fixable(finding=finding):
                continue
            try:
                fix = services.fix_finding(finding_id=finding.id, source=Source.RECONCILIATION, now=now)
            except (Refusal, GatewayUnavailable, GatewayRefused) as error:
                told = f"not mended: {error}"
            else:
                told = f"{'mended' if fix.fixed else 'not mended yet'}: {fix.done}"
            self.stdout.write(f"{finding.kind} {finding.subject}: {told}")

    def _table(self, findings: list[Finding]) -> None:
        if not findings:
            self.stdout.write("No finding is open.")
            return
        rows = [
            (f"{one.found_at:%Y-%m-%d %H:%M}", one.kind, one.gateway or "-", one.subject, one.detail)
            for one in findings[:SHOWN]
        ]
        widths = [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]
        for row in (_HEADS, tuple("-" * wide for wide in widths), *rows):
            self.stdout.write("  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip())
        if len(findings) > SHOWN:
            self.stdout.write("and more; the admin shows all of them")


def _open(chosen: Iterable[str] | None) -> QuerySet[Finding]:
    findings = Finding.objects.filter(state=FindingState.OPEN).order_by("id")
    return findings if chosen is None else findings.filter(gateway__in=chosen)


def _bar(what: str) -> Any:
    return tqdm(desc=what, unit="row", file=sys.stderr, disable=None, leave=False)
