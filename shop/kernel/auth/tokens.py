"""Access and refresh tokens: simplejwt's, with our claims, and the public key for whoever else verifies them."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from hashlib import sha256
from time import time
from typing import Any, cast
from uuid import UUID, uuid4

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from django.conf import settings
from jwt.algorithms import RSAAlgorithm
from jwt.utils import base64url_encode
from rest_framework_simplejwt import tokens as simplejwt
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.utils import get_md5_hash_password

from shop.kernel.auth.dto import Caller
from shop.kernel.ids import as_uuid

# Ours have 400 to 800 signs; what is far longer is not worth decoding.
LONGEST_TOKEN = 4096
# Verified ones, of the callers a process has served last; some 4 MB.
TOKENS_REMEMBERED = 4096
_STAMP = "hash_password"
_FAMILY = "family"


class TokenNotOurs(Exception):
    """The token is malformed, forged, of another kind, or meant for somebody else."""


class TokenExpired(TokenNotOurs):
    """The token was ours; its time is over."""


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Who the token speaks for, and the stamp of the password it was given out under."""

    caller: Caller
    stamp: str


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """Which link (`jti`) of which chain (`family_id`) the token is."""

    user_id: UUID
    family_id: UUID
    jti: UUID
    stamp: str


class _Backend(TokenBackend):
    """Names the key in the header, so that verifiers find it in the published set while keys change."""

    def encode(self, payload: dict[str, Any]) -> str:
        """Sign the claims."""
        named = {"kid": key["kid"]} if (key := public_key()) else None
        claims = payload | {"aud": self.audience, "iss": self.issuer}
        return jwt.encode(claims, self.prepared_signing_key, algorithm=self.algorithm, headers=named)


class _Access(simplejwt.AccessToken):
    def get_token_backend(self) -> TokenBackend:
        return _backend()


class _Refresh(simplejwt.RefreshToken):
    def get_token_backend(self) -> TokenBackend:
        return _backend()


def password_stamp(encoded_password: str) -> str:
    """Return what a token carries of the password: it changes with the password and tells nothing about it."""
    return get_md5_hash_password(encoded_password)


def sign_access(*, caller: Caller, stamp: str, now: datetime) -> str:
    """Return an access token; it lives for ACCESS_TOKEN_LIFETIME."""
    token = _Access()
    token["sub"], token["guest"], token["staff"] = str(caller.id), caller.guest, caller.staff
    return _signed(token, stamp=stamp, now=now)


def sign_refresh(*, claims: RefreshClaims, now: datetime) -> str:
    """Return a refresh token; it lives for REFRESH_TOKEN_LIFETIME."""
    token = _Refresh()
    token["sub"], token[_FAMILY], token["jti"] = str(claims.user_id), str(claims.family_id), claims.jti.hex
    return _signed(token, stamp=claims.stamp, now=now)


def new_jti() -> UUID:
    """Return a fresh name for a refresh token; random, because it is half a secret."""
    return uuid4()


def read_access(text: str | bytes) -> AccessClaims:
    """Return the claims of a valid access token; TokenExpired or TokenNotOurs otherwise."""
    claims, expires_at = _signed_access(_backend(), text)
    if expires_at <= time():
        raise TokenExpired
    return claims


@lru_cache(maxsize=TOKENS_REMEMBERED)
def _signed_access(_by: TokenBackend, text: str | bytes) -> tuple[AccessClaims, float]:
    """Return the claims and when they end.

    A token comes with each of its bearer's calls, and its signature stays as good as it was; its time runs out.
    """
    payload = _verified(_Access, text)
    user_id = _uuid(payload, "sub")
    caller = Caller(id=user_id, guest=payload.get("guest") is True, staff=payload.get("staff") is True)
    return AccessClaims(caller=caller, stamp=str(payload.get(_STAMP, ""))), float(payload["exp"])


def read_refresh(text: str) -> RefreshClaims:
    """Return the claims of a valid refresh token; TokenExpired or TokenNotOurs otherwise."""
    payload = _verified(_Refresh, text)
    return RefreshClaims(
        user_id=_uuid(payload, "sub"),
        family_id=_uuid(payload, _FAMILY),
        jti=_uuid(payload, "jti"),
        stamp=str(payload.get(_STAMP, "")),
    )


@cache
def public_key() -> dict[str, Any] | None:
    """Return the key that verifies our tokens as a JWK, named by its thumbprint (RFC 7638); None for HS256."""
    key = _verifying_key()
    if key is None:
        return None
    whole = RSAAlgorithm.to_jwk(key, as_dict=True)
    essence = {name: whole[name] for name in ("e", "kty", "n")}
    thumbprint = base64url_encode(sha256(msgspec.json.encode(essence)).digest()).decode()
    return essence | {"kid": thumbprint, "use": "sig", "alg": settings.SIMPLE_JWT["ALGORITHM"]}


def _verifying_key() -> RSAPublicKey | None:
    """Return the public key, which the private one contains when it is not given by itself; None for HS256."""
    if not settings.SIMPLE_JWT["ALGORITHM"].startswith("RS"):
        return None
    pem = settings.SIMPLE_JWT["VERIFYING_KEY"] or settings.SIMPLE_JWT["SIGNING_KEY"]
    key = RSAAlgorithm(RSAAlgorithm.SHA256).prepare_key(pem)
    return key.public_key() if isinstance(key, RSAPrivateKey) else key


@cache
def _backend() -> TokenBackend:
    described = settings.SIMPLE_JWT
    return _Backend(
        algorithm=described["ALGORITHM"],
        signing_key=described["SIGNING_KEY"],
        # simplejwt says text; PyJWT, which gets it, takes the key itself as well.
        verifying_key=cast("str", _verifying_key()),
        audience=described["AUDIENCE"],
        issuer=described["ISSUER"],
    )


def _signed(token: simplejwt.Token, *, stamp: str, now: datetime) -> str:
    token[_STAMP] = stamp
    token.set_iat(at_time=now)
    token.set_exp(from_time=now)
    return str(token)


def _verified(kind: type[simplejwt.Token], text: str | bytes) -> dict[str, Any]:
    if len(text) > LONGEST_TOKEN:
        raise TokenNotOurs
    # simplejwt says that it takes a Token here; it means the text of one.
    try:
        payload: dict[str, Any] = kind(cast("Any", text)).payload
    except ExpiredTokenError as error:
        raise TokenExpired from error
    except TokenError as error:
        raise TokenNotOurs from error
    return payload


def _uuid(payload: dict[str, Any], claim: str) -> UUID:
    value = payload.get(claim)
    found = as_uuid(value) if isinstance(value, str) else None
    if found is None:
        raise TokenNotOurs
    return found
