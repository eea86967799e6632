"""The tables of payments."""

from payments.models.attempts import Attempt, Move, Payable
from payments.models.callbacks import Callback
from payments.models.findings import Finding
from payments.models.ledger import Posting
from payments.models.refunds import Refund, RefundMove

__all__ = ["Attempt", "Callback", "Finding", "Move", "Payable", "Posting", "Refund", "RefundMove"]
