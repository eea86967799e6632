"""Bodies of the auth calls."""

from typing import Any

from django.core.validators import EmailValidator
from rest_framework import serializers

from shop.kernel.auth.dto import Login, Tokens, UserView
from shop.kernel.auth.models import EMAIL_LENGTH, NAME_LENGTH
from shop.kernel.http.serializers import KeptString, StrictSerializer, StrictString

LONGEST_PASSWORD = 256


class RegisterRequest(StrictSerializer):
    """Somebody who wants an account."""

    email = KeptString(max_length=EMAIL_LENGTH, validators=[EmailValidator()])
    password = StrictString(max_length=LONGEST_PASSWORD, trim_whitespace=False)
    name = KeptString(max_length=NAME_LENGTH, allow_blank=True, default="")


class TokenRequest(StrictSerializer):
    """Somebody who has one."""

    email = StrictString(max_length=EMAIL_LENGTH)
    password = StrictString(max_length=LONGEST_PASSWORD, trim_whitespace=False)


class RefreshRequest(StrictSerializer):
    """A refresh token, to trade or to end."""

    refresh = StrictString()


class GuestRequest(StrictSerializer):
    """A body without fields."""


class UserSchema(serializers.Serializer[Any]):
    """An account."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()


class GuestSchema(serializers.Serializer[Any]):
    """A guest."""

    id = serializers.UUIDField()
    guest = serializers.BooleanField(help_text="Always true.")


class TokensSchema(serializers.Serializer[Any]):
    """A pair of tokens."""

    access = serializers.CharField(help_text="Send it as Authorization: Bearer; it lives for minutes.")
    refresh = serializers.CharField(help_text="Trade it, once, for the next pair.")


class LoginSchema(TokensSchema):
    """An account and its first tokens."""

    user = UserSchema()


class GuestLoginSchema(TokensSchema):
    """A guest and their first tokens."""

    user = GuestSchema()


class MeSchema(serializers.Serializer[Any]):
    """An account to its owner."""

    id = serializers.UUIDField()
    email = serializers.EmailField(allow_null=True, help_text="Null for guests.")
    name = serializers.CharField()
    guest = serializers.BooleanField()
    staff = serializers.BooleanField()


class JwkSetSchema(serializers.Serializer[Any]):
    """A JWK set (RFC 7517)."""

    keys = serializers.ListField(child=serializers.DictField())


def tokens_json(tokens: Tokens) -> dict[str, Any]:
    """Return a pair of tokens as the API writes it."""
    return {"access": tokens.access, "refresh": tokens.refresh}


def login_json(login: Login) -> dict[str, Any]:
    """Return somebody who has an account, and their tokens."""
    user = {"id": login.user.id, "email": login.user.email, "name": login.user.name}
    return {"user": user, **tokens_json(login.tokens)}


def guest_login_json(login: Login) -> dict[str, Any]:
    """Return a guest, and their tokens."""
    return {"user": {"id": login.user.id, "guest": True}, **tokens_json(login.tokens)}


def me_json(user: UserView) -> dict[str, Any]:
    """Return an account to its owner."""
    return {"id": user.id, "email": user.email, "name": user.name, "guest": user.guest, "staff": user.staff}
