"""What payments does. Every verb is one call; those that ask a gateway must not be called inside a unit of work."""

from payments.services.audit import audit_ledger, balances
from payments.services.callbacks import (
    dismiss_callback,
    forget_callback_bodies,
    process_callback,
    receive_callback,
    retry_callback,
)
from payments.services.cancel import cancel_attempt
from payments.services.clock import expire_order, look, poll
from payments.services.ledger import post_refund, post_reversal, post_sale
from payments.services.payables import NewPayable, close_payable, open_payable
from payments.services.reconciliation import dismiss_finding, fix_finding, reconcile_gateway, reconcile_house
from payments.services.refunds import (
    adopt_refunds_of,
    give_back,
    give_back_again,
    poll_refund,
    refundable,
    request_due_refund,
    request_refund,
    settle_refund,
)
from payments.services.review import give_up_payment, give_up_refund
from payments.services.settling import settle
from payments.services.start import start_attempt

__all__ = [
    "NewPayable",
    "adopt_refunds_of",
    "audit_ledger",
    "balances",
    "cancel_attempt",
    "close_payable",
    "dismiss_callback",
    "dismiss_finding",
    "expire_order",
    "fix_finding",
    "forget_callback_bodies",
    "give_back",
    "give_back_again",
    "give_up_payment",
    "give_up_refund",
    "look",
    "open_payable",
    "poll",
    "poll_refund",
    "post_refund",
    "post_reversal",
    "post_sale",
    "process_callback",
    "receive_callback",
    "reconcile_gateway",
    "reconcile_house",
    "refundable",
    "request_due_refund",
    "request_refund",
    "retry_callback",
    "settle",
    "settle_refund",
    "start_attempt",
]
