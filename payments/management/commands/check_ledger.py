"""`manage.py check_ledger`: what is in the accounts, and whether the ledger agrees with payments and refunds."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from payments.services.audit import Audit, Balance, audit_ledger


class Command(BaseCommand):
    """Reads only; a test or a clock may run it at any time."""

    help = (
        "Show the balance of every account and compare the ledger with payments and refunds, both ways. Ends with "
        "status 1 when anything differs, and names what does."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command line."""
        parser.add_argument(
            "--limit", type=int, default=20, metavar="N", help="rows named for each difference (default: %(default)s)"
        )

    def handle(self, **options: Any) -> None:
        """Check; CommandError (status 1) when anything differs."""
        audit = audit_ledger(limit=options["limit"])
        self._table(audit.balances)
        self.stdout.write("")
        self._checks(audit)
        if not audit.clean:
            raise CommandError("The ledger differs from what it was written beside.")

    def _table(self, balances: tuple[Balance, ...]) -> None:
        if not balances:
            self.stdout.write("The ledger is empty.")
            return
        rows = [
            (balance.account, balance.gateway, f"{balance.amount.major():,}", balance.amount.currency)
            for balance in balances
        ]
        heads = ("account", "gateway", "balance", "currency")
        account, gateway, amount, currency = (max(map(len, column)) for column in zip(heads, *rows, strict=True))
        for row in (heads, tuple("-" * wide for wide in (account, gateway, amount, currency)), *rows):
            self.stdout.write(f"{row[0]:<{account}}  {row[1]:<{gateway}}  {row[2]:>{amount}}  {row[3]:<{currency}}")

    def _checks(self, audit: Audit) -> None:
        for check, count in audit.differing.items():
            self.stdout.write(f"{'ok' if not count else f'{count} differ':<12} {check.value}")
            named = [difference for difference in audit.differences if difference.check is check]
            for difference in named:
                self.stdout.write(f"  {difference.subject}  {difference.detail}")
            if len(named) < count:
                self.stdout.write(f"  and {count - len(named)} more")
