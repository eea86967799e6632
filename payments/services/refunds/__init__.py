"""Giving money back: asked for and held first, then sent, and brought to the gateway's word by one path."""

from payments.services.refunds.adopting import adopt_refunds_of
from payments.services.refunds.clock import poll_refund
from payments.services.refunds.giving import give_back, give_back_again
from payments.services.refunds.requests import refundable, request_due_refund, request_refund
from payments.services.refunds.rest import give_back_due
from payments.services.refunds.settling import settle_refund

__all__ = [
    "adopt_refunds_of",
    "give_back",
    "give_back_again",
    "give_back_due",
    "poll_refund",
    "refundable",
    "request_due_refund",
    "request_refund",
    "settle_refund",
]
