"""The auth calls. None of them keeps answers for an Idempotency-Key: they hold tokens, which are not to be stored."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from shop.kernel.auth import queries, services, tokens
from shop.kernel.auth.errors import AccountGone
from shop.kernel.auth.serializers import (
    GuestLoginSchema,
    GuestRequest,
    JwkSetSchema,
    LoginSchema,
    MeSchema,
    RefreshRequest,
    RegisterRequest,
    TokenRequest,
    TokensSchema,
    guest_login_json,
    login_json,
    me_json,
    tokens_json,
)
from shop.kernel.clock import utc_now
from shop.kernel.http.serializers import parsed
from shop.kernel.http.throttling import GuestThrottle, RegisterThrottle, TokenThrottle
from shop.kernel.http.views import CheckedView, OpenView


class RegisterView(OpenView):
    """`/auth/register`."""

    throttle_classes = [RegisterThrottle]

    @extend_schema(operation_id="register", tags=["auth"], request=RegisterRequest, responses={201: LoginSchema})
    def post(self, request: Request) -> Response:
        """Open an account and log in."""
        data = parsed(RegisterRequest, request)
        login = services.register(email=data["email"], password=data["password"], name=data["name"], now=utc_now())
        return _secret(login_json(login), status=201)


class GuestView(OpenView):
    """`/auth/guest`."""

    throttle_classes = [GuestThrottle]

    @extend_schema(operation_id="open_guest", tags=["auth"], request=None, responses={201: GuestLoginSchema})
    def post(self, request: Request) -> Response:
        """Begin to shop without an account."""
        parsed(GuestRequest, request)
        return _secret(guest_login_json(services.open_guest(now=utc_now())), status=201)


class TokenView(OpenView):
    """`/auth/token`."""

    throttle_classes = [TokenThrottle]

    @extend_schema(operation_id="log_in", tags=["auth"], request=TokenRequest, responses={200: LoginSchema})
    def post(self, request: Request) -> Response:
        """Log in."""
        data = parsed(TokenRequest, request)
        return _secret(login_json(services.log_in(email=data["email"], password=data["password"], now=utc_now())))


class RefreshView(OpenView):
    """`/auth/token/refresh`."""

    @extend_schema(operation_id="refresh_tokens", tags=["auth"], request=RefreshRequest, responses={200: TokensSchema})
    def post(self, request: Request) -> Response:
        """Trade a refresh token, which is worth nothing afterwards, for a new pair."""
        data = parsed(RefreshRequest, request)
        return _secret(tokens_json(services.refresh(refresh=data["refresh"], now=utc_now())))


class LogoutView(OpenView):
    """`/auth/logout`."""

    @extend_schema(operation_id="log_out", tags=["auth"], request=RefreshRequest, responses={204: None})
    def post(self, request: Request) -> Response:
        """End the session of a refresh token; its access token ends by itself within minutes."""
        data = parsed(RefreshRequest, request)
        services.log_out(refresh=data["refresh"], now=utc_now())
        return Response(status=204)


class MeView(CheckedView):
    """`/auth/me`."""

    @extend_schema(operation_id="read_me", tags=["auth"], responses={200: MeSchema})
    def get(self, request: Request) -> Response:  # noqa: ARG002  DRF's signature
        """Tell who is calling."""
        user = queries.user(user_id=self.caller.id)
        if user is None:
            raise AccountGone
        return Response(me_json(user))


class JwksView(OpenView):
    """`/.well-known/jwks.json`."""

    @extend_schema(operation_id="read_key_set", tags=["auth"], responses={200: JwkSetSchema})
    def get(self, request: Request) -> Response:  # noqa: ARG002  DRF's signature
        """Publish the key that verifies our tokens; none is published while they are signed with a shared secret."""
        key = tokens.public_key()
        return Response({"keys": [key] if key else []}, headers={"Cache-Control": "public, max-age=300"})


def _secret(data: dict[str, Any], *, status: int = 200) -> Response:
    """Answer with tokens, which no cache may keep (RFC 6749, section 5.1)."""
    return Response(data, status=status, headers={"Cache-Control": "no-store"})
