"""Refunds in the states tests begin with, made by the services themselves; and what became of them."""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import of_log
from integrations.kafka.groups import group, listeners
from payments import services
from payments.dto import RefundState
from payments.models import Attempt, Refund, RefundMove
from payments.ports import GatewayUnavailable
from payments.states import RefundStatus, Source
from shop.kernel.money import Money
from shop.kernel.outbox import log
from tests.payments.fakes import FakeGateway, Killed

_S = RefundStatus


def asked(payment_id: UUID, now: datetime, amount: int | None = None) -> UUID:
    """Ask for so many cents of the payment to go back, or for all, and return the refund's id; nothing is sent."""
    money = None if amount is None else Money(amount, "EUR")
    return services.request_refund(payment_id=payment_id, amount=money, reason="as asked", now=now).refund_id


def settle(refund_id: UUID, now: datetime, source: Source = Source.POLL) -> str:
    """Ask the gateway about the refund, or for it, and return where it stands then."""
    return services.settle_refund(refund_id=refund_id, source=source, now=now).status


def given_back(payment_id: UUID, now: datetime, amount: int | None = None) -> UUID:
    """Ask for the refund and send it."""
    refund_id = asked(payment_id, now, amount)
    services.settle_refund(refund_id=refund_id, source=Source.STAFF, now=now)
    return refund_id


def refund_in(status: RefundStatus, *, paid: Attempt, gateway: FakeGateway, now: datetime, amount: int = 700) -> Refund:
    """Return a refund that came to `status` as refunds do."""
    gateway.refunds_begin = {_S.SUBMITTED: RefundState.PENDING, _S.REJECTED: RefundState.REJECTED}.get(
        status, RefundState.SUCCEEDED
    )
    refund_id = asked(paid.id, now, amount)
    if status is _S.REQUESTED:
        gateway.kill("create_refund")
    if status is _S.UNKNOWN:
        gateway.fall_silent("create_refund")
    with suppress(Killed, GatewayUnavailable):
        services.settle_refund(refund_id=refund_id, source=Source.STAFF, now=now)
    if status is _S.REVERSED:
        gateway.refund_becomes(gateway.only_refund(), RefundState.REVERSED, "account_closed")
        services.settle_refund(refund_id=refund_id, source=Source.POLL, now=now)
    gateway.refunds_begin = RefundState.SUCCEEDED
    return Refund.objects.get(id=refund_id)


def refund_history(refund_id: UUID) -> list[str]:
    """Return where the refund has been, oldest first."""
    return list(RefundMove.objects.filter(refund_id=refund_id).values_list("to_status", flat=True))


def held_and_back(payment_id: UUID) -> tuple[int, int]:
    """Return what refunds hold of the payment, and what has gone back."""
    attempt = Attempt.objects.get(id=payment_id)
    return attempt.refund_held, attempt.refunded


def everybody_hears_everything(now: datetime) -> None:
    """Hand every event to orders and payments, one at a time, until no more are told."""
    heard: set[UUID] = set()
    while unheard := [one for part in log.chunks(log.Selection(), size=100) for one in part if one.id not in heard]:
        for one in unheard:
            heard.add(one.id)
            for name in ("orders", "payments"):
                if (name, one.type) in listeners():
                    deliver(group=group(name), events=[of_log(one)], now=now)
