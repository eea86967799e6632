"""Payments for support staff. Importing a page registers it; the panels stand on an order's page."""

from payments.admin.attempts import attempts_panel
from payments.admin.callbacks import callbacks_panel
from payments.admin.findings import findings_panel
from payments.admin.ledger import PostingAdmin
from payments.admin.refunds import refunds_panel

__all__ = ["PostingAdmin", "attempts_panel", "callbacks_panel", "findings_panel", "refunds_panel"]
