"""Payments for support staff. Importing a page registers it; the panels stand on an order's page."""

from payments.admin.attempts import attempts_panel
from payments.admin.callbacks import callbacks_panel
from payments.admin.refunds import refunds_panel

__all__ = ["attempts_panel", "callbacks_panel", "refunds_panel"]
