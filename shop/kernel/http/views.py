"""The base of all views. A view parses, makes one call, serialises."""

from typing import ClassVar

from django.conf import settings
from django.utils.translation import get_language_from_request
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from shop.kernel.auth.authentication import ApiKeyAuthentication, CheckedJWT, StatelessJWT, scoped
from shop.kernel.auth.dto import ApiKeyCaller, Caller
from shop.kernel.errors import Unauthorized
from shop.kernel.http.codecs import JsonAnyway


class ShopView(APIView):
    """A frontend call: a JWT, judged by its signature alone unless it is of the staff."""

    authentication_classes = [StatelessJWT]

    @property
    def caller(self) -> Caller:
        """Who is calling."""
        user = self.request.user
        if not isinstance(user, Caller):
            raise Unauthorized("Log in first.")
        return user


class CheckedView(ShopView):
    """A call about money or by staff: the token's user is looked up, so a revoked one is out at once."""

    authentication_classes = [CheckedJWT]


class OpenView(APIView):
    """A call anybody may make."""

    authentication_classes = []
    permission_classes = []


class ReceivingView(OpenView):
    """A call that brings news: it is not refused because the answer is not in the words the caller would read."""

    content_negotiation_class = JsonAnyway


class InternalView(APIView):
    """A call by another system of the house, with an API key that has `scope`."""

    authentication_classes = [ApiKeyAuthentication]
    scope: ClassVar[str]

    def get_permissions(self) -> list[BasePermission]:
        """Require the view's scope."""
        return [scoped(self.scope)()]

    @property
    def key(self) -> ApiKeyCaller:
        """Whose key opened the door."""
        user = self.request.user
        if not isinstance(user, ApiKeyCaller):
            raise Unauthorized("Send an API key in X-API-Key.")
        return user


def language_of(request: Request) -> str:
    """Return the language the caller reads best among those we write: `en` or `de`."""
    known = dict(settings.LANGUAGES)
    asked = get_language_from_request(request).split("-")[0]
    return asked if asked in known else settings.LANGUAGE_CODE
