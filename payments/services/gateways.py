"""Asking a gateway: always outside a transaction, measured, its refusals told apart from its silence."""

import time
from collections.abc import Callable
from functools import cache

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from payments import metrics
from payments.dto import GatewaySession, SessionRequest
from payments.ports import Gateway, GatewayRefused, GatewayUnavailable
from payments.queries import AttemptRow
from shop.kernel.transactions import forbid_unit_of_work

log = structlog.get_logger(__name__)


def gateway_named(name: str) -> Gateway:
    """Return the gateway settings list under this name, one object a process; LookupError for a name they lack."""
    return _gateway_at(settings.GATEWAYS[name])


@cache
def _gateway_at(path: str) -> Gateway:
    make: Callable[[], Gateway] = import_string(path)
    return make()


def ask(*, attempt: AttemptRow) -> GatewaySession:
    """Return the gateway's present word on the attempt.

    An attempt whose session id we never learned is asked for by its idempotency key: the gateway answers with the
    session it made then, or makes the one it never made; there is no second one either way.
    """
    gateway = gateway_named(attempt.gateway)
    if attempt.session_id:
        return _measured("fetch_session", attempt, lambda: gateway.fetch_session(attempt.session_id))
    return _measured("create_session", attempt, lambda: gateway.create_session(request_of(attempt=attempt)))


def close(*, attempt: AttemptRow) -> GatewaySession:
    """Make the attempt's session unpayable at the gateway and return its word; a paid one comes back as it is."""
    gateway = gateway_named(attempt.gateway)
    return _measured("close_session", attempt, lambda: gateway.close_session(attempt.session_id))


def fetch(*, gateway: str, session_id: str) -> GatewaySession:
    """Return the gateway's word on a session none of our attempts is known to have."""
    forbid_unit_of_work("Asking a gateway")
    return gateway_named(gateway).fetch_session(session_id)


def request_of(*, attempt: AttemptRow) -> SessionRequest:
    """Return the request for the attempt's session: the same on every call, as its key is."""
    return SessionRequest(
        idempotency_key=f"attempt-{attempt.id}",
        reference=attempt.reference,
        amount=attempt.money,
        return_url=attempt.return_url,
        expires_at=attempt.expires_at,
    )


def _measured(call: str, attempt: AttemptRow, asked: Callable[[], GatewaySession]) -> GatewaySession:
    forbid_unit_of_work("Asking a gateway")
    began = time.perf_counter()
    result = "failed"
    try:
        word = asked()
        result = "answered"
    except GatewayUnavailable as error:
        result = "unavailable"
        log.warning("gateway.unavailable", payment_id=str(attempt.id), call=call, error=str(error))
        raise
    except GatewayRefused as error:
        result = "refused"
        log.warning("gateway.refused", payment_id=str(attempt.id), call=call, code=error.code)
        raise
    finally:
        metrics.gateway_calls.labels(attempt.gateway, call, result).observe(time.perf_counter() - began)
    return word
