"""Stripe's words in the shop's: amounts as it counts them, sessions, refunds. No call is made here."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from integrations.gateways.answers import converted, keepable, known_words
from payments.dto import GatewayRefund, GatewaySession, RefundState, SessionState
from payments.ports import GatewayRefused
from shop.kernel.money import Money, exponent

# Where Stripe counts otherwise than ISO 4217.
_EXPONENTS = {"ISK": 2, "MGA": 0}
# Its documentation says both that this is counted whole and in hundredths: nothing is sent or believed in it.
_UNCLEAR = frozenset({"UGX"})
_THREE_DECIMALS = 3
_REFUND_STATES = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.REJECTED,
    "canceled": RefundState.REJECTED,
}
_UNFINISHED = frozenset({"processing", "requires_action", "requires_capture", "requires_confirmation"})


class _BalanceBody(msgspec.Struct):
    fee: int
    currency: str


class _ChargeBody(msgspec.Struct):
    balance_transaction: _BalanceBody | str | None = None


class _FailureBody(msgspec.Struct):
    code: str | None = None
    decline_code: str | None = None


class _IntentBody(msgspec.Struct):
    id: str
    status: str
    amount_received: int = 0
    latest_charge: _ChargeBody | str | None = None
    last_payment_error: _FailureBody | None = None


class _SessionBody(msgspec.Struct):
    id: str
    status: str
    payment_status: str
    amount_total: int
    currency: str
    livemode: bool
    created: int
    url: str | None = None
    client_reference_id: str | None = None
    payment_intent: _IntentBody | str | None = None


class _RefundBody(msgspec.Struct):
    id: str
    status: str
    amount: int
    currency: str
    created: int
    payment_intent: str | None = None
    failure_reason: str | None = None
    metadata: dict[str, str] | None = None


def session_word(said: Any) -> GatewaySession:
    """Return what was said about a session; GatewayUnavailable for words we do not know."""
    body = converted(said, _SessionBody)
    with known_words():
        intent = body.payment_intent if isinstance(body.payment_intent, _IntentBody) else None
        state = _state(body, intent)
        amount = _money(body.amount_total, body.currency)
        received = intent.amount_received if intent else body.amount_total
        failure = intent.last_payment_error if intent and state is SessionState.FAILED else None
        return keepable(
            GatewaySession(
                session_id=body.id,
                state=state,
                redirect_url=body.url or "",
                reference=body.client_reference_id or "",
                amount=amount,
                captured=_money(received if state is SessionState.PAID else 0, body.currency),
                live=body.livemode,
                failure_code=(failure.decline_code or failure.code or "") if failure else "",
                payment_id=_id(body.payment_intent),
                fee=_fee(intent, amount.currency) if intent else None,
                created_at=instant(body.created),
            )
        )


def refund_word(said: Any, *, session_id: str, live: bool) -> GatewayRefund:
    """Return what was said about a refund; GatewayUnavailable for words we do not know."""
    body = converted(said, _RefundBody)
    with known_words():
        if body.status not in _REFUND_STATES:
            raise ValueError(f"a refund {body.status}")
        return keepable(
            GatewayRefund(
                refund_id=body.id,
                session_id=session_id,
                payment_id=body.payment_intent or "",
                reference=(body.metadata or {}).get("reference", ""),
                state=_REFUND_STATES[body.status],
                amount=_money(body.amount, body.currency),
                live=live,
                failure_code=body.failure_reason or "",
                created_at=instant(body.created),
            )
        )


def _id(intent: _IntentBody | str | None) -> str:
    return intent.id if isinstance(intent, _IntentBody) else intent or ""


def _state(body: _SessionBody, intent: _IntentBody | None) -> SessionState:
    """Say what became of the session; ValueError for words we do not know.

    Money that needs days leaves a completed session unpaid: its PaymentIntent tells whether it is still coming.
    Stripe has one word for a session that was closed and for one that ran out, which happens long after our deadline.
    """
    if body.status == "open":
        return SessionState.OPEN
    if body.status == "expired":
        return SessionState.CLOSED
    if body.status == "complete" and body.payment_status in {"paid", "no_payment_required"}:
        return SessionState.PAID
    if (body.status, body.payment_status) != ("complete", "unpaid"):
        raise ValueError(f"a session {body.status} and {body.payment_status}")
    if intent is None or intent.status in _UNFINISHED or intent.status == "succeeded":
        return SessionState.PROCESSING
    return SessionState.FAILED


def _fee(intent: _IntentBody, currency: str) -> Money | None:
    """Return what Stripe kept; None while it is unknown, nothing, or taken in another currency than was paid."""
    charge = intent.latest_charge
    balance = charge.balance_transaction if isinstance(charge, _ChargeBody) else None
    if not isinstance(balance, _BalanceBody) or balance.currency.upper() != currency:
        return None
    return _money(balance.fee, balance.currency) or None


def count(money: Money) -> int:
    """Return the amount as Stripe counts it; GatewayRefused when it cannot be paid there."""
    if money.currency in _UNCLEAR:
        raise GatewayRefused("currency_not_payable", "The gateway is not asked for this currency.")
    places = _EXPONENTS.get(money.currency, exponent(money.currency))
    count, rest = divmod(money.amount * _power(places), _power(exponent(money.currency)))
    # The card networks know no third decimal: thousandths come in tens.
    if rest or (places == _THREE_DECIMALS and count % 10):
        raise GatewayRefused("amount_not_payable", "The gateway cannot take this amount to the last digit.")
    return count


def _money(count: int, currency: str) -> Money:
    currency = currency.upper()
    if currency in _UNCLEAR:
        raise ValueError(f"{currency} is counted in units nobody knows")
    places = _EXPONENTS.get(currency, exponent(currency))
    amount, rest = divmod(count * _power(exponent(currency)), _power(places))
    if rest:
        raise ValueError(f"{count} {currency} has more decimals than the currency knows")
    return Money(amount, currency)


def _power(places: int) -> int:
    return int(10**places)


def instant(seconds: int) -> datetime:
    """Return the instant so many seconds after 1970 began; ValueError for one that no calendar of ours has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError):
        raise ValueError(f"{seconds} seconds are no instant") from None
