"""A stand-in for Stripe's API, by hand, after its public documentation, read in November 2026.

docs.stripe.com/api: checkout/sessions (object, create, retrieve, list, expire), refunds, payment_intents, errors,
idempotent_requests, expanding_objects, pagination; docs.stripe.com/currencies; docs.stripe.com/webhooks
(Stripe-Signature). What is kept: expiry between 30 minutes and a day, thousandths in tens, keys that also replay
refusals of what was begun, expansion only where asked for, newest first, `has_more`.
"""

import re
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from tests.integrations.gateways.fakes.server import NOT_FOUND, Asked, Refusal, Route, Server, Told, routed

KEY = "sk_test_of_the_tests"
SHORTEST, LONGEST = 30 * 60, 24 * 60 * 60
THOUSANDTHS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
KNOWN = THOUSANDTHS | {"eur", "usd", "jpy", "isk", "mga"}
LARGEST = 99_999_999


class StripeFake(Server):
    """Sessions, payment intents and refunds of one account."""

    def __init__(self, *, key: str = KEY, live: bool = False, largest_page: int = 100) -> None:
        self.live = live
        self.largest_page = largest_page
        self.sessions: dict[str, dict[str, Any]] = {}
        self.intents: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, tuple[tuple[str, bytes], Told]] = {}
        self.next_refund = "succeeded"
        self.routes: list[Route] = [
            ("POST", "/v1/checkout/sessions", self._create_session),
            ("GET", "/v1/checkout/sessions", self._list_sessions),
            ("GET", "/v1/checkout/sessions/*", self._get_session),
            ("POST", "/v1/checkout/sessions/*/expire", self._expire),
            ("POST", "/v1/refunds", self._create_refund),
            ("GET", "/v1/refunds", self._list_refunds),
            ("GET", "/v1/refunds/*", self._get_refund),
        ]
        super().__init__(authorization=f"Bearer {key}")

    # --- what only the shopper, the bank and the dashboard can do ---

    def pay(self, session_id: str, *, status: str = "succeeded") -> None:
        """Let the shopper pay; with `processing` the bank takes its time."""
        session = self.sessions[session_id]
        assert session["status"] == "open"
        intent_id = f"pi_{secrets.token_hex(12)}"
        self.intents[intent_id] = {
            "id": intent_id,
            "object": "payment_intent",
            "amount": session["amount_total"],
            "amount_received": 0,
            "currency": session["currency"],
            "status": "processing",
            "latest_charge": None,
            "last_payment_error": None,
            "livemode": self.live,
        }
        session |= {"status": "complete", "payment_intent": intent_id, "url": None}
        if status == "succeeded":
            self.bank_pays(session_id)

    def bank_pays(self, session_id: str, *, fee_currency: str = "") -> None:
        session = self.sessions[session_id]
        session["payment_status"] = "paid"
        amount = session["amount_total"]
        balance = {"id": "txn_1", "object": "balance_transaction", "fee": amount * 3 // 100}
        balance["currency"] = fee_currency or session["currency"]
        charge = {"id": f"ch_{secrets.token_hex(12)}", "object": "charge", "balance_transaction": balance}
        self.intents[session["payment_intent"]] |= {
            "status": "succeeded",
            "amount_received": amount,
            "latest_charge": charge,
        }

    def bank_refuses(self, session_id: str) -> None:
        error = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}
        self.intents[self.sessions[session_id]["payment_intent"]] |= {
            "status": "requires_payment_method",
            "last_payment_error": error,
        }

    def run_out(self, session_id: str) -> None:
        self.sessions[session_id] |= {"status": "expired", "url": None}

    def refund(self, intent_id: str, amount: int, metadata: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Make a refund as the dashboard does, or the API."""
        intent = self.intents[intent_id]
        refund = {
            "id": f"re_{secrets.token_hex(12)}",
            "object": "refund",
            "amount": amount,
            "currency": intent["currency"],
            "charge": intent["latest_charge"]["id"],
            "payment_intent": intent_id,
            "status": self.next_refund,
            "failure_reason": None,
            "metadata": dict(metadata or {}),
            "created": int(time.time()),
        }
        self.next_refund = "succeeded"
        self.refunds[str(refund["id"])] = refund
        return refund

    def event(self, kind: str, about: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": f"evt_{secrets.token_hex(12)}",
            "object": "event",
            "api_version": "2026-01-28.clover",
            "created": int(time.time()),
            "livemode": self.live,
            "type": kind,
            "data": {"object": dict(about)},
        }

    # --- the API ---

    def unauthorized(self) -> Told:
        return _error(401, "invalid_request_error", message="Invalid API Key provided: sk_test_****")

    def answer(self, asked: Asked) -> Told:
        found = routed(self.routes, asked)
        if found is None:
            return _error(NOT_FOUND, "invalid_request_error", code="resource_missing")
        handler, ids = found
        fingerprint = (asked.path, asked.body)
        if asked.method == "POST" and asked.key in self.keys:
            first, told = self.keys[asked.key]
            return told if first == fingerprint else _error(400, "idempotency_error")
        fields = _nested(asked.body.decode())
        told = handler(asked, fields, *ids)
        if asked.method == "POST" and asked.key:
            self.keys[asked.key] = (fingerprint, told)
        return told

    def _create_session(self, _asked: Asked, fields: dict[str, Any]) -> Told:
        now = int(time.time())
        if not SHORTEST <= int(fields["expires_at"]) - now <= LONGEST:
            raise Refusal(_error(400, "invalid_request_error", param="expires_at"))
        price = fields["line_items"]["0"]["price_data"]
        amount, currency = int(price["unit_amount"]), price["currency"]
        if currency not in KNOWN or amount > LARGEST or (currency in THOUSANDTHS and amount % 10):
            raise Refusal(_error(400, "invalid_request_error", param="line_items[0][price_data]"))
        session_id = f"cs_test_{secrets.token_hex(16)}"
        self.sessions[session_id] = {
            "id": session_id,
            "object": "checkout.session",
            "mode": fields["mode"],
            "status": "open",
            "payment_status": "unpaid",
            "amount_total": amount,
            "currency": currency,
            "client_reference_id": fields["client_reference_id"],
            "metadata": fields["metadata"],
            "success_url": fields["success_url"],
            "cancel_url": fields["cancel_url"],
            "expires_at": int(fields["expires_at"]),
            "created": now,
            "livemode": self.live,
            "payment_intent": None,
            "url": f"{self.url}/c/pay/{session_id}",
            "_intended": fields["payment_intent_data"],
        }
        return Told(200, self._shown(self.sessions[session_id], expanded=False))

    def _get_session(self, asked: Asked, _fields: dict[str, Any], session_id: str) -> Told:
        return Told(200, self._shown(self._session(session_id), expanded="expand[0]" in asked.query))

    def _list_sessions(self, asked: Asked, _fields: dict[str, Any]) -> Told:
        wanted = asked.query.get("payment_intent")
        rows = [row for row in self.sessions.values() if not wanted or row["payment_intent"] == wanted]
        page, more = self._page(rows, asked)
        shown = [self._shown(row, expanded="expand[0]" in asked.query) for row in page]
        return Told(200, {"object": "list", "url": asked.path, "has_more": more, "data": shown})

    def _expire(self, _asked: Asked, _fields: dict[str, Any], session_id: str) -> Told:
        session = self._session(session_id)
        if session["status"] != "open":
            raise Refusal(_error(400, "invalid_request_error", message="Only open Checkout Sessions can be expired."))
        self.run_out(session_id)
        return Told(200, self._shown(session, expanded=False))

    def _create_refund(self, _asked: Asked, fields: dict[str, Any]) -> Told:
        intent = self.intents.get(fields["payment_intent"])
        if intent is None:
            raise Refusal(_error(NOT_FOUND, "invalid_request_error", code="resource_missing"))
        if intent["latest_charge"] is None:
            return _error(400, "invalid_request_error", code="payment_intent_unexpected_state")
        amount, left = int(fields["amount"]), intent["amount_received"] - self._given_back(intent["id"])
        if not left:
            return _error(400, "invalid_request_error", code="charge_already_refunded")
        if amount > left:
            return _error(400, "invalid_request_error", param="amount")
        return Told(200, self.refund(intent["id"], amount, fields.get("metadata")))

    def _get_refund(self, _asked: Asked, _fields: dict[str, Any], refund_id: str) -> Told:
        if refund_id not in self.refunds:
            raise Refusal(_error(NOT_FOUND, "invalid_request_error", code="resource_missing"))
        return Told(200, self.refunds[refund_id])

    def _list_refunds(self, asked: Asked, _fields: dict[str, Any]) -> Told:
        wanted = asked.query.get("payment_intent")
        rows = [row for row in self.refunds.values() if not wanted or row["payment_intent"] == wanted]
        page, more = self._page(rows, asked)
        return Told(200, {"object": "list", "url": asked.path, "has_more": more, "data": page})

    def _session(self, session_id: str) -> dict[str, Any]:
        if session_id not in self.sessions:
            raise Refusal(_error(NOT_FOUND, "invalid_request_error", code="resource_missing"))
        return self.sessions[session_id]

    def _given_back(self, intent_id: str) -> int:
        rows = [row for row in self.refunds.values() if row["payment_intent"] == intent_id]
        return sum(row["amount"] for row in rows if row["status"] in {"pending", "succeeded", "requires_action"})

    def _page(self, rows: list[dict[str, Any]], asked: Asked) -> tuple[list[dict[str, Any]], bool]:
        newest_first = [row for row in reversed(rows) if row["created"] >= int(asked.query.get("created[gte]", 0))]
        after = asked.query.get("starting_after")
        if after:
            place = next(place for place, row in enumerate(newest_first) if row["id"] == after)
            newest_first = newest_first[place + 1 :]
        limit = min(int(asked.query.get("limit", 10)), self.largest_page)
        return newest_first[:limit], len(newest_first) > limit

    def _shown(self, session: dict[str, Any], *, expanded: bool) -> dict[str, Any]:
        shown = {name: value for name, value in session.items() if not name.startswith("_")}
        if expanded and session["payment_intent"]:
            shown["payment_intent"] = self.intents[session["payment_intent"]]
        return shown


def _error(status: int, kind: str, *, code: str = "", message: str = "No.", param: str = "") -> Told:
    told = {"type": kind, "code": code, "message": message, "param": param}
    return Told(status, {"error": {name: value for name, value in told.items() if value}})


def _nested(form: str) -> dict[str, Any]:
    """Return `a[b][c]=d` as dictionaries."""
    fields: dict[str, Any] = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        *path, last = re.findall(r"[^\[\]]+", name)
        place = fields
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return fields
