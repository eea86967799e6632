"""Errors as RFC 9457 problem details: the one place where a refusal becomes a status and a body."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError, connection
from django.http import Http404, HttpResponse, UnreadablePostError
from psycopg import errors as postgres
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.response import Response

from shop.kernel import looks
from shop.kernel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    Refusal,
    Unauthorized,
    Unavailable,
    Unprocessable,
)

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
BUSY_RETRY_AFTER_SECONDS = 2

_STATUS: tuple[tuple[type[Refusal], HTTPStatus], ...] = (
    (Invalid, HTTPStatus.BAD_REQUEST),
    (Unauthorized, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (PreconditionFailed, HTTPStatus.PRECONDITION_FAILED),
    (Unprocessable, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)
# Waiting for a lock too long, a deadlock, a serialisation failure, a server shutting down: try again.
_BUSY = (postgres.LockNotAvailable, postgres.DeadlockDetected, postgres.SerializationFailure, postgres.QueryCanceled)
_CODES = {
    "invalid": "validation_error",
    "parse_error": "malformed_body",
    "authentication_failed": "not_authenticated",
    "token_not_valid": "token_not_valid",
    "bad_authorization_header": "not_authenticated",
}


def problem(
    status: int,
    *,
    code: str,
    detail: str,
    data: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return a problem-details response; `data` are members beside the standard ones."""
    body = {
        "type": f"/docs/problems#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **(data or {}),
    }
    written = msgspec.json.encode(_without_secrets(body))
    return HttpResponse(written, status=status, content_type=CONTENT_TYPE, headers=dict(headers or {}))


def for_exception(error: Exception) -> HttpResponse | None:  # noqa: PLR0911  one return a kind of error
    """Translate an anticipated error; None for a defect, which the caller logs and answers with 500."""
    match error:
        case Refusal():
            return _for_refusal(error)
        case exceptions.ValidationError():
            return problem(
                HTTPStatus.BAD_REQUEST,
                code="validation_error",
                detail="Some fields are not as they must be.",
                data={"errors": list(_field_errors(error.detail, error.get_codes(), ""))},
            )
        case exceptions.APIException():
            return _for_api_exception(error)
        case Http404():
            return problem(HTTPStatus.NOT_FOUND, code="not_found", detail="There is no such thing.")
        case PermissionDenied():
            return problem(HTTPStatus.FORBIDDEN, code="permission_denied", detail="You may not do this.")
        case RequestDataTooBig():
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, code="body_too_large", detail="The body is too large.")
        case SuspiciousOperation() | BadRequest() | UnreadablePostError():
            return problem(HTTPStatus.BAD_REQUEST, code="malformed_request", detail="The request is malformed.")
        case OperationalError() | InterfaceError():
            return _for_busy_database(error)
        case _:
            return None


def for_defect(error: Exception | None) -> HttpResponse:
    """Answer 500 and log what was not anticipated; the answer tells nothing of the inside."""
    log.error("request.failed", exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, code="internal_error", detail="Something went wrong on our side.")


def exception_handler(
    error: Exception,
    context: Mapping[str, Any],  # noqa: ARG001  DRF's signature
) -> Response | HttpResponse | None:
    """Be DRF's exception handler; what it cannot translate is raised on, to `middleware.ProblemDetails`."""
    return for_exception(error)


def _without_secrets(value: Any) -> Any:
    """Mask what a caller sent in the wrong field: the answer names it again, and may be kept by whoever reads it."""
    match value:
        case str():
            return looks.masked(value)
        case Mapping():
            return {name: _without_secrets(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_without_secrets(inner) for inner in value]
        case _:
            return value


def _for_refusal(error: Refusal) -> HttpResponse:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)
    headers = {}
    if retry_after_seconds := getattr(error, "retry_after_seconds", 0):
        headers["Retry-After"] = str(retry_after_seconds)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="shop"'
    return problem(status, code=error.code, detail=error.detail, data=error.data, headers=headers)


def _for_api_exception(error: exceptions.APIException) -> HttpResponse:
    headers = {}
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        headers["WWW-Authenticate"] = getattr(error, "auth_header", "") or 'Bearer realm="shop"'
    if isinstance(error, exceptions.Throttled):
        headers["Retry-After"] = str(max(1, int(getattr(error, "wait", None) or 1)))
    code = str(error.default_code)
    detail = error.detail if isinstance(error.detail, str) else error.default_detail
    return problem(error.status_code, code=_CODES.get(code, code), detail=str(detail), headers=headers)


def _for_busy_database(error: OperationalError | InterfaceError) -> HttpResponse:
    busy = isinstance(error.__cause__, _BUSY)
    log.warning("database.busy" if busy else "database.away", error=type(error.__cause__ or error).__name__)
    # Who waited in vain for a connection has met none that ended.
    ended = not busy and not isinstance(error.__cause__, PoolTimeout)
    if ended and (pool := getattr(connection, "pool", None)):
        # What else waits in it ended with the same server: the requests to come shall not learn that one by one.
        pool.drain()
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        code="busy" if busy else "database_unavailable",
        detail="The shop is busy; try again in a moment.",
        headers={"Retry-After": str(BUSY_RETRY_AFTER_SECONDS)},
    )


def _field_errors(detail: Any, codes: Any, pointer: str) -> Iterator[dict[str, str]]:
    """Flatten DRF's nested error details into JSON pointers (RFC 6901)."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            here = pointer if name == "non_field_errors" else f"{pointer}/{_escaped(str(name))}"
            yield from _field_errors(inner, codes[name], here)
    elif isinstance(detail, list) and any(isinstance(inner, Mapping | list) for inner in detail):
        for place, inner in enumerate(detail):
            yield from _field_errors(inner, codes[place], f"{pointer}/{place}")
    else:
        for inner, code in zip(detail, codes, strict=True):
            yield {"pointer": pointer, "code": str(code), "detail": str(inner)}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
