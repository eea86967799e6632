"""A stand-in for Mollie's API v2, by hand, after its public documentation, read in November 2026.

docs.mollie.com/reference/create-payment, get-payment, cancel-payment, list-payments, create-refund, get-refund,
list-refunds, list-all-refunds, api-idempotency, webhooks; docs.mollie.com/overview/pagination, handling-errors;
docs.mollie.com/docs/status-change, refunds, multicurrency. What is kept: amounts as texts with exactly the currency's
decimals, errors with title and field, newest first with `_links.next`, cancelling only what `isCancelable`.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tests.integrations.gateways.fakes.server import NOT_FOUND, Asked, Refusal, Route, Server, Told, routed

KEY = "test_of_the_tests"
DECIMALS = {"EUR": 2, "USD": 2, "HUF": 2, "JPY": 0, "ISK": 0}
HOLDING = frozenset({"queued", "pending", "processing", "refunded"})


class MollieFake(Server):
    """Payments and refunds of one profile."""

    def __init__(self, *, key: str = KEY, mode: str = "test", largest_page: int = 250) -> None:
        self.mode = mode
        self.largest_page = largest_page
        self.cancelable = True
        self.payments: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, tuple[tuple[str, bytes], Told]] = {}
        self.next_refund = "refunded"
        self.routes: list[Route] = [
            ("POST", "/v2/payments", self._create_payment),
            ("GET", "/v2/payments", self._list_payments),
            ("GET", "/v2/payments/*", self._get_payment),
            ("DELETE", "/v2/payments/*", self._cancel),
            ("POST", "/v2/payments/*/refunds", self._create_refund),
            ("GET", "/v2/payments/*/refunds", self._list_refunds_of),
            ("GET", "/v2/payments/*/refunds/*", self._get_refund),
            ("GET", "/v2/refunds", self._list_refunds),
        ]
        super().__init__(authorization=f"Bearer {key}")

    # --- what only the shopper, the bank and the dashboard can do ---

    def move(self, payment_id: str, status: str, *, reason: str = "") -> None:
        payment = self.payments[payment_id]
        assert payment["status"] in {"open", "pending"}
        payment |= {"status": status, "isCancelable": False}
        payment["_links"].pop("checkout", None)
        if reason:
            payment["details"] = {"failureReason": reason}

    def refund(self, payment_id: str, value: str, metadata: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Make a refund as the dashboard does, or the API."""
        refund = {
            "resource": "refund",
            "id": f"re_{secrets.token_hex(8)}",
            "mode": self.mode,
            "amount": {"currency": self.payments[payment_id]["amount"]["currency"], "value": value},
            "status": self.next_refund,
            "metadata": metadata,
            "paymentId": payment_id,
            "description": "",
            "createdAt": _now(),
            "_links": {},
        }
        self.next_refund = "refunded"
        self.refunds[str(refund["id"])] = refund
        return refund

    # --- the API ---

    def unauthorized(self) -> Told:
        return _error(401, "Unauthorized Request")

    def answer(self, asked: Asked) -> Told:
        found = routed(self.routes, asked)
        if found is None:
            return _error(NOT_FOUND, "Not Found")
        handler, ids = found
        fingerprint = (asked.path, asked.body)
        if asked.key in self.keys:
            first, told = self.keys[asked.key]
            return told if first == fingerprint else _error(409, "Conflict")
        told = handler(asked, *ids)
        if asked.key:
            self.keys[asked.key] = (fingerprint, told)
        return told

    def _create_payment(self, asked: Asked) -> Told:
        wanted = msgspec.json.decode(asked.body)
        _check_amount(wanted["amount"])
        payment_id = f"tr_{secrets.token_hex(8)}"
        self.payments[payment_id] = {
            "resource": "payment",
            "id": payment_id,
            "mode": self.mode,
            "status": "open",
            "isCancelable": self.cancelable,
            "amount": wanted["amount"],
            "description": wanted["description"],
            "redirectUrl": wanted["redirectUrl"],
            "webhookUrl": wanted.get("webhookUrl"),
            "metadata": wanted["metadata"],
            "method": None,
            "createdAt": _now(),
            "_links": {"checkout": {"href": f"{self.url}/checkout/{payment_id}", "type": "text/html"}},
        }
        return Told(201, self.payments[payment_id])

    def _get_payment(self, _asked: Asked, payment_id: str) -> Told:
        return Told(200, self._payment(payment_id))

    def _cancel(self, _asked: Asked, payment_id: str) -> Told:
        payment = self._payment(payment_id)
        if not payment["isCancelable"]:
            return _error(422, "Unprocessable Entity")
        self.move(payment_id, "canceled")
        return Told(200, payment)

    def _list_payments(self, asked: Asked) -> Told:
        return self._page("payments", list(self.payments.values()), asked)

    def _create_refund(self, asked: Asked, payment_id: str) -> Told:
        wanted = msgspec.json.decode(asked.body)
        payment = self._payment(payment_id)
        _check_amount(wanted["amount"])
        given = [row for row in self.refunds.values() if row["paymentId"] == payment_id and row["status"] in HOLDING]
        left = Decimal(payment["amount"]["value"]) - sum(Decimal(row["amount"]["value"]) for row in given)
        if payment["status"] != "paid" or Decimal(wanted["amount"]["value"]) > left:
            raise Refusal(_error(422, "Unprocessable Entity", field="amount"))
        return Told(201, self.refund(payment_id, wanted["amount"]["value"], wanted["metadata"]))

    def _get_refund(self, _asked: Asked, payment_id: str, refund_id: str) -> Told:
        refund = self.refunds.get(refund_id)
        if refund is None or refund["paymentId"] != payment_id:
            raise Refusal(_error(NOT_FOUND, "Not Found"))
        return Told(200, refund)

    def _list_refunds_of(self, asked: Asked, payment_id: str) -> Told:
        self._payment(payment_id)
        return self._page("refunds", [row for row in self.refunds.values() if row["paymentId"] == payment_id], asked)

    def _list_refunds(self, asked: Asked) -> Told:
        return self._page("refunds", list(self.refunds.values()), asked)

    def _payment(self, payment_id: str) -> dict[str, Any]:
        if payment_id not in self.payments:
            raise Refusal(_error(NOT_FOUND, "Not Found"))
        return self.payments[payment_id]

    def _page(self, kind: str, rows: list[dict[str, Any]], asked: Asked) -> Told:
        newest_first = rows[::-1]
        if "from" in asked.query:
            place = next(place for place, row in enumerate(newest_first) if row["id"] == asked.query["from"])
            newest_first = newest_first[place:]
        limit = min(int(asked.query.get("limit", 50)), self.largest_page)
        page, rest = newest_first[:limit], newest_first[limit:]
        href = f"{self.url}{asked.path}?from={rest[0]['id']}&limit={limit}" if rest else ""
        following = {"href": href, "type": "application/hal+json"} if href else None
        return Told(200, {"count": len(page), "_embedded": {kind: page}, "_links": {"next": following}})


def _check_amount(amount: Mapping[str, Any]) -> None:
    decimals = DECIMALS.get(amount["currency"])
    if decimals is None or not isinstance(amount["value"], str):
        raise Refusal(_error(422, "Unprocessable Entity", field="amount.currency"))
    if len(amount["value"].partition(".")[2]) != decimals:
        raise Refusal(_error(422, "Unprocessable Entity", field="amount.value"))


def _error(status: int, title: str, *, field: str = "") -> Told:
    told = {"status": status, "title": title, "detail": "No.", "_links": {}}
    return Told(status, told | ({"field": field} if field else {}))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
