"""The Idempotency-Key header of POSTs: the same key and the same body get the same answer."""

import re
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID, uuid5

import msgspec
import structlog
from django.db import Error as DatabaseAway
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from shop.kernel import looks
from shop.kernel.auth.dto import ApiKeyCaller, Caller
from shop.kernel.clock import utc_now
from shop.kernel.errors import NotFound, Unauthorized
from shop.kernel.idempotency import services
from shop.kernel.idempotency.errors import InvalidIdempotencyKey, RequestInFlight
from shop.kernel.idempotency.services import Answer, Claim
from shop.kernel.transactions import last_commit_put_off

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"

log = structlog.get_logger(__name__)

V = TypeVar("V", bound=APIView)
P = ParamSpec("P")
Post = Callable[Concatenate[V, Request, P], HttpResponse]

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_KEPT_HEADERS = ("Content-Type", "ETag", "Location")
_REQUESTS = UUID("6f1f0f4e-3b0c-4c57-9f7e-9a3f0c1f5a5d")
_SYSTEMS = UUID("0b1c7a0e-6f4d-4a53-9d0e-2f4b8c1d7e96")
# No path of ours is as long; it is part of an index, whose entries have a limit.
_LONGEST_PATH = 512
KEY_PARAMETER = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description="A name for this request: repeated with the same body it is answered as the first time, for 72 hours.",
)


class _LeaseLost(Exception):
    """Somebody else carries the request out by now."""


def idempotent(post: Post[V, P]) -> Post[V, P]:
    """Make a view's `post` answer a repeat with the same key as it answered the first request.

    Without the header nothing is done. Only 2xx answers are kept: a refusal changes nothing and may not last.
    The key belongs to the caller, so nobody meets another's answer. The answer commits with the view's last unit of
    work, or not at all: a process that is killed leaves both or neither. Raises RequestInFlight when the lease ran out
    meanwhile and another holds the key: then nothing was done here.
    """

    @wraps(post)
    def answered_once(view: V, request: Request, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        key = request.headers.get(HEADER)
        if key is None:
            return post(view, request, *args, **kwargs)
        claimed = services.claim(request=_identity(request, key), now=utc_now())
        if isinstance(claimed, Answer):
            return _replay(claimed)
        try:
            with last_commit_put_off() as last:
                response = _rendered(post(view, request, *args, **kwargs), view=view, request=request)
                if _is_success(response):
                    _keep(claimed, response, with_unit=last.is_waiting)
        except _LeaseLost:
            raise RequestInFlight from None
        except BaseException:
            _give_back(claimed)
            raise
        if not _is_success(response):
            _give_back(claimed)
        return response

    described: Post[V, P] = extend_schema(parameters=[KEY_PARAMETER])(answered_once)
    return described


def name_of(request: Request) -> UUID | None:
    """Return one id for all repeats of a request with an Idempotency-Key, or None without one.

    What makes a thing that may exist twice keeps it beside the row: a process killed between the commit and its answer
    leaves a key that says nothing, and the repeat still finds what it made.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    identity = _identity(request, key)
    parts = (str(identity.user_id), identity.method, identity.path, identity.key, identity.body_digest.hex())
    return uuid5(_REQUESTS, "\n".join(parts))


def _identity(request: Request, key: str) -> services.Request:
    if not _KEY.fullmatch(key):
        raise InvalidIdempotencyKey
    if len(request.path) > _LONGEST_PATH or "\x00" in request.path:
        raise NotFound("There is no such thing.")
    return services.Request(
        user_id=_owner(request),
        method=str(request.method),
        path=request.path,
        key=_kept(key),
        body_digest=_digest(request.data),
    )


def _kept(key: str) -> str:
    """Return the key as it is stored: any name will do for a request, a secret's digest too."""
    if looks.has_card_number(key) or looks.has_credential(key):
        return sha256(key.encode()).hexdigest()
    return key


def _owner(request: Request) -> UUID:
    match request.user:
        case Caller(id=user_id):
            return user_id
        case ApiKeyCaller(name=name):
            # Not the API key: a request repeated after it was rotated is still the same system's.
            return uuid5(_SYSTEMS, name)
        case _:
            raise Unauthorized("Log in first.")


def _digest(body: Any) -> bytes:
    """Return the digest of what the body says: spaces and the order of members make no other request of it."""
    return sha256(msgspec.json.encode(body, order="sorted")).digest()


def _is_success(response: HttpResponse) -> bool:
    return HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES


def _keep(claimed: Claim, response: HttpResponse, *, with_unit: bool) -> None:
    """Keep the answer. Where a unit of work waits for its commit, both or neither are written."""
    kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    try:
        is_kept = services.keep(claim=claimed, answer=Answer(response.status_code, kept, response.content))
    except DatabaseAway as error:
        if with_unit:
            raise
        # What was asked for is done and committed; the lease ends by itself.
        log.warning("idempotency.not_kept", claim_id=str(claimed.id), error=type(error).__name__)
        return
    if not is_kept:
        log.warning("idempotency.lease_lost", claim_id=str(claimed.id))
        if with_unit:
            raise _LeaseLost


def _give_back(claimed: Claim) -> None:
    try:
        services.give_back(claim=claimed)
    except DatabaseAway as error:
        log.warning("idempotency.not_given_back", claim_id=str(claimed.id), error=type(error).__name__)


def _rendered(response: HttpResponse, *, view: APIView, request: Request) -> HttpResponse:
    """Write the body now instead of on the way out: what is kept has the very bytes of what is sent."""
    if not isinstance(response, Response):
        return response
    response.accepted_renderer = request.accepted_renderer
    response.accepted_media_type = request.accepted_media_type
    response.renderer_context = view.get_renderer_context()  # type: ignore[attr-defined]  # the stubs forgot it
    response.render()
    return response


def _replay(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    # Django thinks of a type for everything; an answer without body has none.
    del response.headers["Content-Type"]
    for name, value in {**answer.headers, REPLAYED: "true"}.items():
        response.headers[name] = value
    return response
