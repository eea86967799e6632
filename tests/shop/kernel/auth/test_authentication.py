"""Who gets in by which door."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from shop.kernel.auth import queries, services
from shop.kernel.auth.dto import Caller, Login
from shop.kernel.auth.models import ApiKey, User
from shop.kernel.auth.tokens import password_stamp
from shop.kernel.clock import utc_now
from shop.kernel.http.views import CheckedView, InternalView, OpenView, ShopView
from shop.kernel.ids import new_id
from tests.conftest import Statements

pytestmark = pytest.mark.django_db

Counting = Callable[[], AbstractContextManager[Statements]]

SIGNING_KEY = settings.SIMPLE_JWT["SIGNING_KEY"]


class Frontend(ShopView):
    def get(self, request: Request) -> Response:
        return Response({"id": self.caller.id, "guest": self.caller.guest, "staff": self.caller.staff})


class Money(CheckedView):
    def get(self, request: Request) -> Response:
        return Response({"id": self.caller.id, "guest": self.caller.guest, "staff": self.caller.staff})


class Orders(InternalView):
    scope = "orders:read"

    def get(self, request: Request) -> Response:
        return Response({"name": self.key.name})


class Anybody(OpenView):
    def get(self, request: Request) -> Response:
        return Response({})


def call(view: Any, **headers: str) -> HttpResponse:
    request = APIRequestFactory().get("/", headers={name.replace("_", "-"): value for name, value in headers.items()})
    response: HttpResponse = view.as_view()(request)
    return response.render() if isinstance(response, Response) else response


def forged(key: str = SIGNING_KEY, algorithm: str = "HS256", **changes: Any) -> str:
    now = int(utc_now().timestamp())
    claims = {
        "sub": str(new_id()), "guest": False, "staff": False, "jti": "x", "iat": now, "exp": now + 60,
        "iss": "shop", "aud": "shop-frontend", "token_type": "access", **changes,
    }  # fmt: skip
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm)


@pytest.fixture
def login() -> Login:
    return services.register(email="sam@example.com", password="correct horse 1", name="Sam", now=utc_now())


@pytest.mark.parametrize("view", [Frontend, Money])
@pytest.mark.parametrize("header", [None, "", "Basic c2FtOnNhbQ==", "Bearer", "Bearer "])
def test_without_a_token_nobody_is_known(view: Any, header: str | None) -> None:
    response = call(view) if header is None else call(view, Authorization=header)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="shop"'
    assert response.headers["Content-Type"] == "application/problem+json"
    assert b'"code":"not_authenticated"' in response.content


BAD_TOKENS: dict[str, Callable[[], str]] = {
    "no token at all": lambda: "a.b.c",
    "two words": lambda: forged() + " x",
    "beyond ASCII": lambda: "schlüssel",
    "another's key": lambda: forged(key="another-key-of-at-least-thirty-two-signs"),
    "unsigned": lambda: forged(key="", algorithm="none"),
    "another algorithm": lambda: forged(algorithm="HS512"),
    "expired": lambda: forged(exp=int(utc_now().timestamp()) - 1),
    "without an end": lambda: forged(exp=None),
    "of another kind": lambda: forged(token_type="refresh"),
    "of no kind": lambda: forged(token_type=None),
    "for another audience": lambda: forged(aud="admin"),
    "for no audience": lambda: forged(aud=None),
    "of another issuer": lambda: forged(iss="elsewhere"),
    "of no issuer": lambda: forged(iss=None),
    "for nobody": lambda: forged(sub=None),
    "for no UUID": lambda: forged(sub="17"),
    "without a name": lambda: forged(jti=None),
    "too long": lambda: forged(note="x" * 5_000),
    "nested without end": lambda: "W1tbW1tb" * 400 + ".e30.e30",
}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("make", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
@pytest.mark.parametrize("view", [Frontend, Money])
def test_a_bad_token_opens_nothing(view: Any, make: Callable[[], str]) -> None:
    response = call(view, Authorization=f"Bearer {make()}")

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="shop"'
    assert b'"code":"token_not_valid"' in response.content


def test_a_token_of_the_staff_is_checked_wherever_it_comes(login: Login) -> None:
    User.objects.filter(pk=login.user.id).update(is_staff=True)
    token = services.log_in(email="sam@example.com", password="correct horse 1", now=utc_now()).tokens.access
    before = call(Frontend, Authorization=f"Bearer {token}")
    User.objects.filter(pk=login.user.id).update(is_staff=False)

    demoted = call(Frontend, Authorization=f"Bearer {token}")
    User.objects.filter(pk=login.user.id).update(is_active=False)
    closed = call(Frontend, Authorization=f"Bearer {token}")

    assert b'"staff":true' in before.content
    assert b'"staff":false' in demoted.content
    assert closed.status_code == 401


def test_a_shopper_costs_the_shop_no_look(login: Login, statements: Counting) -> None:
    with statements() as counted:
        call(Frontend, Authorization=f"Bearer {login.tokens.access}")

    assert counted == []


def test_the_forger_of_these_tests_can_forge() -> None:
    assert call(Frontend, Authorization=f"Bearer {forged()}").status_code == 200


def test_a_good_token_is_believed_without_a_statement(login: Login, statements: Any) -> None:
    with statements() as counted:
        response = call(Frontend, Authorization=f"bearer {login.tokens.access}")

    assert response.content.decode() == f'{{"id":"{login.user.id}","guest":false,"staff":false}}'
    assert counted == []


def test_a_refresh_token_is_no_access_token(login: Login) -> None:
    assert call(Frontend, Authorization=f"Bearer {login.tokens.refresh}").status_code == 401


def test_where_it_matters_the_user_is_looked_up_in_one_statement(login: Login, statements: Any) -> None:
    with statements() as counted:
        response = call(Money, Authorization=f"Bearer {login.tokens.access}")

    assert response.status_code == 200
    assert len(counted) == 1


def close(user: User) -> None:
    user.is_active = False


def change_password(user: User) -> None:
    user.set_password("another horse 2")


@pytest.mark.parametrize("change", [close, change_password])
def test_a_closed_account_or_a_new_password_counts_at_once(login: Login, change: Callable[[User], None]) -> None:
    user = User.objects.get(pk=login.user.id)
    change(user)
    user.save()

    refused = call(Money, Authorization=f"Bearer {login.tokens.access}")

    assert refused.status_code == 401
    assert b'"code":"token_not_valid"' in refused.content
    assert call(Frontend, Authorization=f"Bearer {login.tokens.access}").status_code == 200


def test_an_account_that_is_gone_is_nobody(login: Login) -> None:
    User.objects.all().delete()

    assert call(Money, Authorization=f"Bearer {login.tokens.access}").status_code == 401


def test_staff_is_whoever_is_staff_now(login: Login) -> None:
    promoted = forged(sub=str(login.user.id), staff=True, hash_password=_stamp(login.user.id))

    for view in (Frontend, Money):
        assert b'"staff":false' in call(view, Authorization=f"Bearer {promoted}").content


def test_a_guest_is_a_guest() -> None:
    guest = services.open_guest(now=utc_now())

    for view in (Frontend, Money):
        assert b'"guest":true' in call(view, Authorization=f"Bearer {guest.tokens.access}").content


def issued(*scopes: str, days: int | None = None) -> str:
    expires_at = utc_now() + timedelta(days=days) if days is not None else None
    return services.issue_api_key(name="warehouse", scopes=scopes, expires_at=expires_at, now=utc_now())


def test_a_key_with_the_scope_opens_the_door_in_one_statement(statements: Any) -> None:
    key = issued("orders:read", "payments:read", days=1)
    call(Orders, X_API_Key=key)

    with statements() as counted:
        response = call(Orders, X_API_Key=key)

    assert response.content == b'{"name":"warehouse"}'
    assert len(counted) == 1


def test_without_the_scope_the_door_stays_shut() -> None:
    response = call(Orders, X_API_Key=issued("payments:read"))

    assert response.status_code == 403
    assert b'"code":"insufficient_scope"' in response.content
    assert b'"scope":"orders:read"' in response.content


def test_without_a_key_nobody_is_known() -> None:
    response = call(Orders)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'ApiKey realm="internal"'
    assert b'"code":"not_authenticated"' in response.content


def wrong_secret() -> str:
    key = issued("orders:read")
    return key[:-1] + ("A" if key[-1] != "A" else "B")


def expired() -> str:
    return issued("orders:read", days=-1)


def revoked() -> str:
    key = issued("orders:read")
    services.revoke_api_key(prefix=key[5:17], now=utc_now())
    return key


@pytest.mark.parametrize(
    "make",
    [
        wrong_secret,
        expired,
        revoked,
        lambda: "shop_000000000000_" + "A" * 43,
        lambda: "x",
        lambda: "shop_000000000000_" + "ä" * 43,
        lambda: "x" * 10_000,
    ],
)
def test_a_bad_key_opens_nothing(make: Callable[[], str]) -> None:
    response = call(Orders, X_API_Key=make())

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'ApiKey realm="internal"'
    assert b'"code":"api_key_not_valid"' in response.content


def test_two_keys_of_one_caller_are_valid_at_once() -> None:
    old, new = issued("orders:read"), issued("orders:read")

    assert call(Orders, X_API_Key=old).status_code == call(Orders, X_API_Key=new).status_code == 200


def test_no_way_in_opens_another_door(login: Login) -> None:
    key, bearer = issued("orders:read"), f"Bearer {login.tokens.access}"

    assert call(Orders, Authorization=bearer).status_code == 401
    for view in (Frontend, Money):
        assert call(view, X_API_Key=key).status_code == 401
        assert call(view, Authorization=f"Bearer {key}").status_code == 401


def test_the_use_of_a_key_is_noted_once_a_minute() -> None:
    key = issued("orders:read")
    began = utc_now()
    call(Orders, X_API_Key=key)
    first = ApiKey.objects.get().last_used_at
    call(Orders, X_API_Key=key)
    second = ApiKey.objects.get().last_used_at
    ApiKey.objects.update(last_used_at=began - timedelta(minutes=1))
    call(Orders, X_API_Key=key)
    third = ApiKey.objects.get().last_used_at

    assert first is not None
    assert first == second
    assert third is not None
    assert third >= began


def test_no_secret_is_stored() -> None:
    key = issued("orders:read")

    row = ApiKey.objects.values_list().get()

    assert key not in str(row)
    assert key.split("_", 2)[2] not in str(row)


def test_anybody_may_call_an_open_view_with_whatever_they_carry() -> None:
    assert call(Anybody, Authorization="Bearer nonsense", X_API_Key="nonsense").status_code == 200


def test_the_schema_names_the_ways_in(capsys: pytest.CaptureFixture[str]) -> None:
    generator: Any = SchemaGenerator
    patterns = [path("a", Frontend.as_view()), path("b", Money.as_view()), path("c", Orders.as_view())]
    document = generator(patterns=patterns).get_schema(public=True)

    security = {at: document["paths"][at]["get"]["security"] for at in ("/a", "/b", "/c")}
    assert security == {"/a": [{"access_token": []}], "/b": [{"checked_access_token": []}], "/c": [{"api_key": []}]}
    schemes = document["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        "access_token": "http",
        "checked_access_token": "http",
        "api_key": "apiKey",
    }
    assert schemes["api_key"] == {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    assert "access_token" not in capsys.readouterr().err


def test_a_caller_is_what_the_token_says(login: Login) -> None:
    assert queries.user(user_id=login.user.id) == login.user
    assert Caller(id=login.user.id, guest=False, staff=False).is_authenticated


def _stamp(user_id: UUID) -> str:
    return password_stamp(User.objects.get(pk=user_id).password)
