"""Comparing the books: each gateway's with ours, both ways, and ours among themselves. Nothing is ever deleted."""

from payments.services.reconciliation.findings import dismiss_finding
from payments.services.reconciliation.fixing import Fix, fix_finding, is_fixable
from payments.services.reconciliation.running import reconcile_gateway, reconcile_house

__all__ = ["Fix", "dismiss_finding", "fix_finding", "is_fixable", "reconcile_gateway", "reconcile_house"]
