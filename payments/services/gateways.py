"""Asking a gateway: always outside a transaction, measured, its refusals told apart from its silence."""

import math
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from itertools import islice
from typing import TypeVar

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from payments import metrics
from payments.dto import GatewayRefund, GatewaySession, RefundRequest, SessionRequest
from payments.ports import Gateway, GatewayRefused, GatewayUnavailable, waiting_at_most
from payments.queries import AttemptRow, RefundRow
from payments.services.circuits import GatewayHeldBack, circuit_of
from shop.kernel.transactions import forbid_unit_of_work

log = structlog.get_logger(__name__)

PAGE = 100

T = TypeVar("T")


def gateway_named(name: str) -> Gateway:
    """Return the gateway settings list under this name, one object a process.

    GatewayHeldBack for a name they no longer have: its payments and refunds wait until it is there again.
    """
    path = settings.GATEWAYS.get(name)
    if path is None:
        log.error("gateway.not_set_up", gateway=name)
        raise GatewayHeldBack(
            reason="not set up", retry_after_seconds=math.ceil(settings.GATEWAY_CIRCUIT_PAUSE_SECONDS)
        )
    return _gateway_at(path)


@cache
def _gateway_at(path: str) -> Gateway:
    make: Callable[[], Gateway] = import_string(path)
    return make()


def ask(*, attempt: AttemptRow, patient: bool = True) -> GatewaySession:
    """Return the gateway's present word on the attempt; without patience within PAYMENT_LOOK_TIMEOUT_SECONDS.

    An attempt whose session id we never learned is asked for by its idempotency key: the gateway answers with the
    session it made then, or makes the one it never made; there is no second one either way.
    """
    gateway = gateway_named(attempt.gateway)
    if attempt.session_id:
        return _measured("fetch_session", attempt, lambda: gateway.fetch_session(attempt.session_id), patient=patient)
    return _measured(
        "create_session", attempt, lambda: gateway.create_session(request_of(attempt=attempt)), patient=patient
    )


def close(*, attempt: AttemptRow) -> GatewaySession:
    """Make the attempt's session unpayable at the gateway and return its word; a paid one comes back as it is."""
    gateway = gateway_named(attempt.gateway)
    return _measured("close_session", attempt, lambda: gateway.close_session(attempt.session_id))


def create_refund(*, refund: RefundRow) -> GatewayRefund:
    """Ask for the money to go back; the same key on every call, so that it goes back once."""
    gateway = gateway_named(refund.gateway)
    return _measured("create_refund", refund, lambda: gateway.create_refund(refund_request_of(refund=refund)))


def fetch_refund(*, refund: RefundRow) -> GatewayRefund:
    """Return the gateway's present word on a refund whose id there we know."""
    gateway = gateway_named(refund.gateway)
    ids = {"refund_id": refund.gateway_refund_id, "session_id": refund.session_id}
    return _measured("fetch_refund", refund, lambda: gateway.fetch_refund(**ids))


def list_refunds(*, of: AttemptRow | RefundRow) -> list[GatewayRefund]:
    """Return every refund the gateway has of the attempt's money, those made in its dashboard included."""
    gateway = gateway_named(of.gateway)
    ids = {"session_id": of.session_id, "payment_id": of.gateway_payment_id}
    return _measured("list_refunds", of, lambda: list(gateway.list_refunds(**ids)))


def fetch(*, gateway: str, session_id: str) -> GatewaySession:
    """Return the gateway's word on a session none of our attempts is known to have."""
    forbid_unit_of_work("Asking a gateway")
    with circuit_of(gateway).call(patient=True):
        return _timed("fetch_session", gateway, lambda: gateway_named(gateway).fetch_session(session_id))


def sessions_since(*, gateway: str, since: datetime) -> Iterator[list[GatewaySession]]:
    """Yield, page by page, every session the gateway has made since then; raises what the gateway raises."""
    return _pages("list_sessions", gateway, gateway_named(gateway).list_sessions(created_after=since))


def refunds_since(*, gateway: str, since: datetime) -> Iterator[list[GatewayRefund]]:
    """Yield, page by page, every refund made there since then, by whomever; raises what the gateway raises."""
    return _pages("list_refunds_since", gateway, gateway_named(gateway).list_refunds_since(created_after=since))


def request_of(*, attempt: AttemptRow) -> SessionRequest:
    """Return the request for the attempt's session: the same on every call, as its key is."""
    return SessionRequest(
        idempotency_key=f"attempt-{attempt.id}",
        reference=attempt.reference,
        amount=attempt.money,
        return_url=attempt.return_url,
        expires_at=attempt.expires_at,
    )


def refund_request_of(*, refund: RefundRow) -> RefundRequest:
    """Return the request for the refund: the same on every call, as its key is."""
    return RefundRequest(
        idempotency_key=f"refund-{refund.id}",
        reference=str(refund.id),
        session_id=refund.session_id,
        payment_id=refund.gateway_payment_id,
        amount=refund.money,
    )


def _pages(call: str, gateway: str, words: Iterator[T]) -> Iterator[list[T]]:
    """Hold a slot only while a page is asked for, not while somebody works on it."""
    forbid_unit_of_work("Asking a gateway")
    page = None
    while page is None or len(page) == PAGE:
        with circuit_of(gateway).call(patient=True):
            page = _timed(call, gateway, lambda: list(islice(words, PAGE)))
        yield page


def _measured(call: str, row: AttemptRow | RefundRow, asked: Callable[[], T], *, patient: bool = True) -> T:
    """Ask with a slot held. Beside the gateway's own, raises GatewayHeldBack when nobody may ask at present."""
    forbid_unit_of_work("Asking a gateway")
    limit = None if patient else settings.PAYMENT_LOOK_TIMEOUT_SECONDS
    with circuit_of(row.gateway).call(patient=patient), waiting_at_most(limit):
        return _timed(call, row.gateway, asked, id=str(row.id), order_id=str(row.order_id))


def _timed(call: str, gateway: str, asked: Callable[[], T], **ids: str) -> T:
    began = time.perf_counter()
    result = "failed"
    try:
        word = asked()
        result = "answered"
    except GatewayUnavailable as error:
        result = "unavailable"
        log.warning("gateway.unavailable", gateway=gateway, call=call, error=str(error), **ids)
        raise
    except GatewayRefused as error:
        result = "refused"
        log.warning("gateway.refused", gateway=gateway, call=call, code=error.code, **ids)
        raise
    finally:
        metrics.gateway_calls.labels(gateway, call, result).observe(time.perf_counter() - began)
    return word
