"""The request's way in and out: its trace, the admin's sessions, and problem details for whatever slips through."""

import re
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.locale import LocaleMiddleware

from shop.kernel import looks
from shop.kernel.http import problems
from shop.kernel.ids import new_id
from shop.kernel.tracing import Trace, tracing

log = structlog.get_logger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# Scraped and probed every few seconds: a line each would drown the log.
_QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestTrace:
    """Gives every request its id, returns it, logs one line a request, and lets it travel into events."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer within the request's trace."""
        given = request.headers.get("X-Request-ID", "")
        parent = request.headers.get("traceparent", "")
        request_id = given if _may_travel(given) else str(new_id())
        began = time.perf_counter()
        with tracing(Trace(request_id, traceparent=parent if _TRACEPARENT.fullmatch(parent) else "")):
            response = self.get_response(request)
            if request.path not in _QUIET_PATHS:
                log.info(
                    "request.answered",
                    method=request.method,
                    path=request.path,
                    status=response.status_code,
                    duration_ms=round((time.perf_counter() - began) * 1000, 1),
                )
        response.headers["X-Request-ID"] = request_id
        return response


def _may_travel(request_id: str) -> bool:
    """Say whether an id somebody has given may be written into logs, rows and events."""
    if not _REQUEST_ID.fullmatch(request_id):
        return False
    return not (looks.has_card_number(request_id) or looks.has_credential(request_id))


class AdminOnlySessions:
    """Sessions, messages and languages for the admin; the API carries tokens and pays for none of it.

    The admin site guards each of its views against cross-site forgery itself.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        chain: Callable[[HttpRequest], HttpResponseBase] = get_response
        layers: tuple[Callable[[Callable[[HttpRequest], HttpResponseBase]], Callable[[HttpRequest], Any]], ...] = (
            XFrameOptionsMiddleware,
            MessageMiddleware,
            AuthenticationMiddleware,
            LocaleMiddleware,
            SessionMiddleware,
        )
        for layer in layers:
            chain = layer(chain)
        self.admin_chain = chain

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, through the admin's layers when the admin is meant."""
        if request.path.startswith("/admin/"):
            return self.admin_chain(request)
        return self.get_response(request)


class ProblemDetails:
    """Turns what no view answered into problem details: unknown paths, defects, a database gone away."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; the innermost layer, so that outer ones see the problem as an ordinary response."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Translate an error a view raised; the admin keeps Django's own pages."""
        if request.path.startswith("/admin/"):
            return None
        return problems.for_exception(error) or problems.for_defect(error)
