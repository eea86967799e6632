"""How callers prove who they are. Each view names one of these ways; no way opens another's doors."""

from functools import cache
from hmac import compare_digest
from typing import TYPE_CHECKING

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from shop.kernel.auth import api_keys, queries, services
from shop.kernel.auth.dto import ApiKeyCaller, Caller
from shop.kernel.auth.errors import InsufficientScope
from shop.kernel.auth.tokens import AccessClaims, TokenNotOurs, password_stamp, read_access
from shop.kernel.clock import utc_now

if TYPE_CHECKING:
    # DRF's views import this module by the settings: the other way round it would be a circle.
    from rest_framework.views import APIView

API_KEY_HEADER = "X-API-Key"


class TokenNotValid(AuthenticationFailed):
    """A token came along and proves nothing."""

    default_code = "token_not_valid"
    default_detail = "This access token is not valid or has expired."


class ApiKeyNotValid(AuthenticationFailed):
    """A key came along and opens nothing."""

    default_code = "api_key_not_valid"
    default_detail = "This API key is not valid, has expired or was revoked."


class StatelessJWT(BaseAuthentication):
    """Believes a shopper's token by its signature and asks nobody; a token lives for minutes.

    Staff read what is other people's: they are looked up.
    """

    def authenticate(self, request: Request) -> tuple[Caller, AccessClaims] | None:
        """Return the caller, None without a bearer token; TokenNotValid (401) with a bad one."""
        scheme, _, token = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer" or not token.strip():
            return None
        try:
            claims = read_access(token.strip())
        except TokenNotOurs as error:
            raise TokenNotValid from error
        return self.caller(claims), claims

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002  DRF's signature
        """Return what WWW-Authenticate says."""
        return 'Bearer realm="shop"'

    def caller(self, claims: AccessClaims) -> Caller:
        """Return whom the claims speak for."""
        return _as_they_stand(claims) if claims.caller.staff else claims.caller


class CheckedJWT(StatelessJWT):
    """Looks the user up as well (one statement): an account closed, demoted or given a new password counts at once."""

    def caller(self, claims: AccessClaims) -> Caller:
        """Return the caller as they stand now; TokenNotValid when the token has outlived its reasons."""
        return _as_they_stand(claims)


class ApiKeyAuthentication(BaseAuthentication):
    """Knows other systems of the house by the key in X-API-Key."""

    def authenticate(self, request: Request) -> tuple[ApiKeyCaller, None] | None:
        """Return whose key it is, None without one; ApiKeyNotValid (401) with a bad one."""
        key = request.headers.get(API_KEY_HEADER)
        if not key:
            return None
        now = utc_now()
        found = queries.api_key(prefix=prefix) if (prefix := api_keys.prefix_of(key)) else None
        if found is None or not compare_digest(api_keys.digest_of(key), found.digest) or not found.usable(now=now):
            raise ApiKeyNotValid
        services.note_use(key=found, now=now)
        return ApiKeyCaller(key_id=found.id, name=found.name, scopes=frozenset(found.scopes)), None

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002  DRF's signature
        """Return what WWW-Authenticate says."""
        return 'ApiKey realm="internal"'


@cache
def scoped(scope: str) -> type[BasePermission]:
    """Return the permission that requires an API key with `scope`; InsufficientScope (403) without it."""

    class Scoped(BasePermission):
        def has_permission(self, request: Request, view: "APIView") -> bool:  # noqa: ARG002  DRF's signature
            """Let the key's owner in or refuse."""
            if not isinstance(request.user, ApiKeyCaller):
                raise NotAuthenticated
            if scope not in request.user.scopes:
                raise InsufficientScope(scope=scope)
            return True

    return Scoped


def _as_they_stand(claims: AccessClaims) -> Caller:
    now = queries.standing(user_id=claims.caller.id)
    if now is None or not compare_digest(claims.stamp, password_stamp(now.encoded_password)):
        raise TokenNotValid
    return Caller(id=claims.caller.id, guest=now.guest, staff=now.staff)
