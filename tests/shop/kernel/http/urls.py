"""Views that fail in every way a view can, below the shop's own paths."""

from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.urls import include, path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from settings import urls as shop_urls
from shop.kernel.errors import (
    Conflict,
    Forbidden,
    IllegalTransition,
    Invalid,
    NotFound,
    PreconditionFailed,
    Refusal,
    Unauthorized,
    Unavailable,
    Unprocessable,
)
from shop.kernel.http.serializers import StrictInteger, StrictSerializer, StrictString, parsed
from shop.kernel.http.throttling import GuestThrottle
from shop.kernel.http.views import OpenView, ShopView, language_of

SECRET = "the-password-of-the-database"

REFUSALS: dict[str, Exception] = {
    "refused": Refusal("No."),
    "invalid": Invalid("No.", field="colour"),
    "unauthorized": Unauthorized("Log in."),
    "forbidden": Forbidden("No."),
    "not_found": NotFound("No."),
    "conflict": Conflict("No.", available=2),
    "illegal": IllegalTransition(entity="A lamp", current="lit", wanted="unlit"),
    "precondition": PreconditionFailed("No."),
    "unprocessable": Unprocessable("No."),
    "unavailable": Unavailable("Later.", retry_after_seconds=7),
    "django404": Http404("no lamp"),
    "django403": PermissionDenied("no"),
    "django400": SuspiciousOperation("no"),
    "malformed": BadRequest("no"),
    "unread": UnreadablePostError("the caller has hung up"),
    "database": DatabaseError(SECRET),
    "interface": InterfaceError(SECRET),
    "defect": RuntimeError(SECRET),
}


class Part(StrictSerializer):
    """A nested body."""

    name = StrictString(max_length=5)


class Body(StrictSerializer):
    """Every strict field."""

    quantity = StrictInteger(min_value=1, required=False)
    name = StrictString(required=False, allow_blank=True)
    parts = serializers.ListField(child=StrictInteger(), required=False)
    part = Part(required=False)
    several = Part(many=True, required=False)


class Raising(OpenView):
    """Raises what it is asked for."""

    def get(self, request: Request, name: str) -> Response:
        """Fail."""
        raise REFUSALS[name]


class Posted(OpenView):
    """Answers with what it understood."""

    def post(self, request: Request) -> Response:
        """Parse the strict body."""
        return Response(parsed(Body, request))


class Whose(ShopView):
    """Answers with who calls."""

    permission_classes: Any = []

    def get(self, request: Request) -> Response:
        """Name the caller and the language."""
        return Response({"id": self.caller.id, "language": language_of(request)})


class Impatient(BaseThrottle):
    """Lets nobody through."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Refuse."""
        return False

    def wait(self) -> float:
        """Ask for two and a half seconds."""
        return 2.5


class Throttled(OpenView):
    """Never to be reached."""

    throttle_classes = [Impatient]

    def get(self, request: Request) -> Response:
        """Answer."""
        return Response({})


class Counted(OpenView):
    """Counted in Redis."""

    throttle_classes = [GuestThrottle]

    def get(self, request: Request) -> Response:
        """Answer."""
        return Response({})


class Locked(OpenView):
    """Waits for a row that somebody else may hold."""

    def get(self, request: Request) -> Response:
        """Lock the accounts' table for as long as the database allows."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = 50")
            cursor.execute("LOCK TABLE idempotency_key IN ACCESS EXCLUSIVE MODE")
        return Response({})


class Slow(OpenView):
    """Asks the database for more than it has time for."""

    def get(self, request: Request) -> Response:
        """Sleep in the database."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 50")
            cursor.execute("SELECT pg_sleep(20)")
        return Response({})


class Asking(OpenView):
    """Needs the database."""

    def get(self, request: Request) -> Response:
        """Ask it."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return Response({})


def plain(request: HttpRequest) -> HttpResponse:
    """Fail outside any API view."""
    raise RuntimeError(SECRET)


def absolute(request: HttpRequest) -> HttpResponse:
    """Answer with the address one was asked under."""
    return HttpResponse(request.build_absolute_uri())


def tagged(request: HttpRequest) -> HttpResponse:
    """Answer with something a browser may keep and ask about."""
    return HttpResponse("{}", headers={"ETag": '"1"'})


def opinionated(request: HttpRequest) -> HttpResponse:
    """Answer with headers of one's own."""
    return HttpResponse("{}", headers={"Cache-Control": "public", "Content-Security-Policy": "default-src 'self'"})


urlpatterns = [
    path("admin/t/plain", plain),
    path("", include(shop_urls)),
    path("t/raise/<str:name>", Raising.as_view()),
    path("t/posted", Posted.as_view()),
    path("t/whose", Whose.as_view()),
    path("t/throttled", Throttled.as_view()),
    path("t/counted", Counted.as_view()),
    path("t/locked", Locked.as_view()),
    path("t/slow", Slow.as_view()),
    path("t/asking", Asking.as_view()),
    path("t/plain", plain),
    path("t/absolute", absolute),
    path("t/tagged", tagged),
    path("t/opinionated", opinionated),
]
handler400, handler404, handler500 = shop_urls.handler400, shop_urls.handler404, shop_urls.handler500
