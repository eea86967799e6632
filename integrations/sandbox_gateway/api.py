"""The merchants' API: parse, one call, serialise."""

import hmac
import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec

from .errors import SimulatedFailure, Unauthorized
from .faults import Faults
from .parsing import (
    next_cursor,
    read_key,
    read_limit,
    read_new_refund,
    read_new_session,
    read_object,
    read_query,
    read_start,
)
from .refunds import Refunds
from .sessions import Sessions
from .wsgi import Request, Response

# With the switch `timeout_after_doing`, unless `slow_seconds` says otherwise: longer than any client's patience.
HOLD_SECONDS = 30.0
log = logging.getLogger("sandbox_gateway.api")


class Api:
    """The handlers under /v1, and what stands before and behind each of them."""

    def __init__(self, *, secret: str, sessions: Sessions, refunds: Refunds, faults: Faults) -> None:
        """Serve one merchant, who knows one secret."""
        self._expected = f"Bearer {secret}".encode()
        self._sessions = sessions
        self._refunds = refunds
        self._faults = faults

    def guarded(self, handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """Return the handler behind the Bearer secret and the switches that spoil answers."""
        checked = self.authorized(handler)

        def guard(request: Request) -> Response:
            self._authorize(request=request)
            if self._faults.take(name="fail_requests"):
                raise SimulatedFailure("The switch fail_requests is on; nothing was done.")
            seconds = self._faults.seconds(name="slow_seconds")
            if request.method == "POST" and self._faults.take(name="timeout_after_doing"):
                seconds = seconds or HOLD_SECONDS
            try:
                return checked(request)
            finally:
                if seconds:
                    log.info("api.held path=%s seconds=%s", request.path, seconds)
                    time.sleep(seconds)

        return guard

    def authorized(self, handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """Return the handler behind the Bearer secret alone."""

        def guard(request: Request) -> Response:
            self._authorize(request=request)
            return handler(request)

        return guard

    def create_session(self, request: Request) -> Response:
        """POST /v1/sessions."""
        wanted = read_new_session(body=read_object(request=request), now=request.now)
        session, replayed = self._sessions.create(wanted=wanted, key=read_key(request=request), now=request.now)
        return created(body=self._sessions.view(session=session), replayed=replayed)

    def get_session(self, request: Request) -> Response:
        """GET /v1/sessions/{id}."""
        session = self._sessions.get(session_id=request.object_id, now=request.now)
        return as_json(body=self._sessions.report(session=session))

    def list_sessions(self, request: Request) -> Response:
        """GET /v1/sessions: oldest first; `next` is the cursor of the next page, or null."""
        query = read_query(request=request, allowed={"created_after", "cursor", "limit"})
        limit = read_limit(query=query)
        page = self._sessions.page(after=read_start(query=query), limit=limit + 1, now=request.now)
        data = [self._sessions.report(session=session) for session in page[:limit]]
        return as_json(body={"data": data, "next": next_cursor(page=page, limit=limit)})

    def close_session(self, request: Request) -> Response:
        """POST /v1/sessions/{id}/close."""
        session = self._sessions.close(session_id=request.object_id, now=request.now)
        return as_json(body=self._sessions.report(session=session))

    def create_refund(self, request: Request) -> Response:
        """POST /v1/refunds."""
        wanted = read_new_refund(body=read_object(request=request))
        refund, replayed = self._refunds.create(wanted=wanted, key=read_key(request=request), now=request.now)
        return created(body=self._refunds.view(refund=refund), replayed=replayed)

    def get_refund(self, request: Request) -> Response:
        """GET /v1/refunds/{id}."""
        refund = self._refunds.get(refund_id=request.object_id, now=request.now)
        return as_json(body=self._refunds.view(refund=refund))

    def list_refunds(self, request: Request) -> Response:
        """GET /v1/refunds: oldest first, of one session or of all."""
        query = read_query(request=request, allowed={"session_id", "created_after", "cursor", "limit"})
        limit = read_limit(query=query)
        after, session_id = read_start(query=query), query.get("session_id")
        page = self._refunds.page(session_id=session_id, after=after, limit=limit + 1, now=request.now)
        data = [self._refunds.view(refund=refund) for refund in page[:limit]]
        return as_json(body={"data": data, "next": next_cursor(page=page, limit=limit)})

    def get_faults(self, _request: Request) -> Response:
        """GET /v1/faults."""
        return as_json(body=self._faults.state())

    def put_faults(self, request: Request) -> Response:
        """PUT /v1/faults: exactly these switches, all others off."""
        self._faults.replace(switches=read_object(request=request))
        return as_json(body=self._faults.state())

    def delete_faults(self, _request: Request) -> Response:
        """DELETE /v1/faults: all off."""
        self._faults.replace(switches={})
        return as_json(body=self._faults.state())

    def _authorize(self, *, request: Request) -> None:
        given = request.header("authorization").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._expected):
            raise Unauthorized("Send the secret as Authorization: Bearer ...")


def as_json(*, body: dict[str, Any], status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Return a JSON answer."""
    return Response(status, (("content-type", "application/json"), *headers), msgspec.json.encode(body))


def created(*, body: dict[str, Any], replayed: bool) -> Response:
    """Return 201; a header says when the object was already there."""
    return as_json(body=body, status=201, headers=(("idempotent-replayed", "true"),) if replayed else ())
