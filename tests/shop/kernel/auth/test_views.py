"""The auth calls over HTTP."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from shop.kernel.auth import queries, serializers
from shop.kernel.auth.models import RefreshFamily, User
from shop.kernel.http.throttling import GuestThrottle, RegisterThrottle, TokenThrottle

pytestmark = pytest.mark.django_db

SAM = {"email": "sam@example.com", "password": "correct horse 1", "name": "Sam"}


def post(client: Client, path: str, body: Any = None, **headers: str) -> Any:
    return client.post(path, {} if body is None else body, content_type="application/json", headers=headers)


def me(client: Client, access: str) -> Any:
    return client.get("/auth/me", headers={"Authorization": f"Bearer {access}"})


def test_somebody_registers_and_is_known(client: Client) -> None:
    response = post(client, "/auth/register", SAM)

    assert response.status_code == 201
    body = response.json()
    assert body["user"] == {"id": body["user"]["id"], "email": "sam@example.com", "name": "Sam"}
    assert response.headers["Cache-Control"] == "no-store"
    assert me(client, body["access"]).json() == {**body["user"], "guest": False, "staff": False}


def test_a_name_is_not_needed(client: Client) -> None:
    response = post(client, "/auth/register", {"email": SAM["email"], "password": SAM["password"]})

    assert response.json()["user"]["name"] == ""


def test_an_address_is_taken_however_it_is_written(client: Client) -> None:
    post(client, "/auth/register", SAM)
    response = post(client, "/auth/register", {**SAM, "email": "  SAM@Example.COM "})

    assert response.status_code == 409
    assert response.json()["code"] == "email_taken"
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"email": None}, "/email", "null"),
        ({"email": ""}, "/email", "blank"),
        ({"email": "sam"}, "/email", "invalid"),
        ({"email": "sam@"}, "/email", "invalid"),
        ({"email": "sam@exam ple.com"}, "/email", "invalid"),
        ({"email": "sam\x00@example.com"}, "/email", "control"),
        ({"email": "s" * 250 + "@example.com"}, "/email", "max_length"),
        ({"email": "sam@" + "ü" * 60 + ".com"}, "/email", "invalid"),
        ({"email": "s" * 40 + "@" + ".".join(["ü" * 40] * 5) + ".com"}, "/email", "invalid"),
        ({"email": 17}, "/email", "invalid"),
        ({"password": None}, "/password", "null"),
        ({"password": ""}, "/password", "blank"),
        ({"password": "sevensi"}, "/password", "password_too_short"),
        ({"password": "password123"}, "/password", "password_too_common"),
        ({"password": "sam@example.com"}, "/password", "password_too_similar"),
        ({"password": "correct\x00horse"}, "/password", "control"),
        ({"password": "x" * 257}, "/password", "max_length"),
        ({"password": 12345678}, "/password", "invalid"),
        ({"name": "x" * 151}, "/name", "max_length"),
        ({"name": "Sam\n"}, "/name", "control"),
        ({"staff": True}, "/staff", "unknown_field"),
        ({"is_staff": True}, "/is_staff", "unknown_field"),
    ],
)
def test_a_wrong_field_is_named(client: Client, change: dict[str, Any], pointer: str, code: str) -> None:
    response = post(client, "/auth/register", {**SAM, **change})

    assert response.status_code == 400
    assert response.json()["code"] == "validation_error"
    assert [(error["pointer"], error["code"]) for error in response.json()["errors"]] == [(pointer, code)]
    assert User.objects.count() == 0


@pytest.mark.parametrize("path", ["/auth/register", "/auth/token", "/auth/token/refresh", "/auth/logout"])
@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"x"', "\ud800"])
def test_a_body_that_is_none_is_refused(client: Client, path: str, body: str) -> None:
    response = client.generic("POST", path, body.encode("utf-8", "surrogatepass"), content_type="application/json")

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"


def test_an_address_in_another_script_is_kept_as_mail_servers_know_it(client: Client) -> None:
    response = post(client, "/auth/register", {**SAM, "email": "Sam@Tee-Händler.example"})
    again = post(client, "/auth/token", {"email": "sam@tee-händler.EXAMPLE", "password": SAM["password"]})

    assert response.json()["user"]["email"] == "sam@xn--tee-hndler-u5a.example"
    assert again.status_code == 200


def test_a_password_is_taken_as_it_is(client: Client) -> None:
    password = "  Käse ist 🧀 gut  "
    post(client, "/auth/register", {**SAM, "password": password})

    trimmed = post(client, "/auth/token", {"email": SAM["email"], "password": password.strip()})
    exact = post(client, "/auth/token", {"email": SAM["email"], "password": password})

    assert (trimmed.status_code, exact.status_code) == (401, 200)


def test_a_guest_shops_without_a_word(client: Client) -> None:
    response = client.generic("POST", "/auth/guest")

    assert response.status_code == 201
    body = response.json()
    assert body["user"] == {"id": body["user"]["id"], "guest": True}
    assert response.headers["Cache-Control"] == "no-store"
    assert me(client, body["access"]).json() == {
        "id": body["user"]["id"], "email": None, "name": "", "guest": True, "staff": False,
    }  # fmt: skip


def test_a_guest_says_nothing(client: Client) -> None:
    assert post(client, "/auth/guest", {"email": "sam@example.com"}).status_code == 400


def test_logging_in(client: Client) -> None:
    registered = post(client, "/auth/register", SAM).json()
    response = post(client, "/auth/token", {"email": "Sam@Example.com", "password": SAM["password"]})

    assert response.status_code == 200
    assert response.json()["user"] == registered["user"]
    assert set(response.json()) == {"user", "access", "refresh"}


@pytest.mark.parametrize(
    "attempt",
    [
        {"email": "sam@example.com", "password": "wrong horse 1"},
        {"email": "nobody@example.com", "password": "correct horse 1"},
        {"email": "no address", "password": "correct horse 1"},
        {"email": "sam@" + "ü" * 80, "password": "correct horse 1"},
    ],
)
def test_whatever_is_wrong_the_answer_is_the_same(client: Client, attempt: dict[str, str]) -> None:
    post(client, "/auth/register", SAM)

    response = post(client, "/auth/token", attempt)

    assert response.status_code == 401
    assert response.json() == {
        "type": "/docs/problems#invalid_credentials", "title": "Unauthorized", "status": 401,
        "detail": "E-mail or password is wrong.", "code": "invalid_credentials",
    }  # fmt: skip
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="shop"'


def test_a_closed_account_answers_like_none(client: Client) -> None:
    post(client, "/auth/register", SAM)
    User.objects.update(is_active=False)

    response = post(client, "/auth/token", {"email": SAM["email"], "password": SAM["password"]})

    assert response.json()["code"] == "invalid_credentials"


def test_tokens_rotate(client: Client) -> None:
    first = post(client, "/auth/guest").json()
    second = post(client, "/auth/token/refresh", {"refresh": first["refresh"]})
    third = post(client, "/auth/token/refresh", {"refresh": second.json()["refresh"]})

    assert (second.status_code, third.status_code) == (200, 200)
    assert set(third.json()) == {"access", "refresh"}
    assert me(client, third.json()["access"]).json()["id"] == first["user"]["id"]


def test_a_refresh_token_used_twice_ends_the_session(client: Client) -> None:
    first = post(client, "/auth/guest").json()["refresh"]
    second = post(client, "/auth/token/refresh", {"refresh": first}).json()["refresh"]

    again = post(client, "/auth/token/refresh", {"refresh": first})
    rightful = post(client, "/auth/token/refresh", {"refresh": second})

    assert (again.status_code, again.json()["code"]) == (401, "token_not_valid")
    assert again.headers["WWW-Authenticate"] == 'Bearer realm="shop"'
    assert rightful.status_code == 401


@pytest.mark.parametrize("path", ["/auth/token/refresh", "/auth/logout"])
def test_an_access_token_refreshes_and_ends_nothing(client: Client, path: str) -> None:
    login = post(client, "/auth/guest").json()

    assert post(client, path, {"refresh": login["access"]}).json()["code"] == "token_not_valid"
    assert post(client, "/auth/token/refresh", {"refresh": login["refresh"]}).status_code == 200


def test_logging_out_twice_is_logging_out(client: Client) -> None:
    login = post(client, "/auth/guest").json()

    answers = [post(client, "/auth/logout", {"refresh": login["refresh"]}) for _ in range(2)]

    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b""), (204, b"")]
    assert post(client, "/auth/token/refresh", {"refresh": login["refresh"]}).status_code == 401


def test_another_device_stays_logged_in(client: Client) -> None:
    here = post(client, "/auth/register", SAM).json()
    there = post(client, "/auth/token", {"email": SAM["email"], "password": SAM["password"]}).json()

    post(client, "/auth/logout", {"refresh": here["refresh"]})

    assert post(client, "/auth/token/refresh", {"refresh": there["refresh"]}).status_code == 200


def test_nobody_is_nobody(client: Client) -> None:
    assert client.get("/auth/me").json()["code"] == "not_authenticated"


def test_an_account_that_goes_meanwhile_is_nobody(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    access = post(client, "/auth/guest").json()["access"]
    monkeypatch.setattr(queries, "user", lambda **_: None)

    assert me(client, access).json()["code"] == "token_not_valid"


def test_answers_with_tokens_are_not_kept_for_repeats(client: Client) -> None:
    answers = [post(client, "/auth/guest", **{"Idempotency-Key": "one"}).json() for _ in range(2)]

    assert answers[0]["user"] != answers[1]["user"]


@pytest.mark.parametrize(
    ("throttle", "path"),
    [(GuestThrottle, "/auth/guest"), (RegisterThrottle, "/auth/register"), (TokenThrottle, "/auth/token")],
)
def test_one_address_asks_only_so_often(
    client: Client, monkeypatch: pytest.MonkeyPatch, throttle: Any, path: str
) -> None:
    monkeypatch.setattr(throttle, "rate", "2/min", raising=False)

    answers = [post(client, path) for _ in range(3)]

    assert answers[1].status_code != 429
    assert (answers[2].status_code, answers[2].json()["code"]) == (429, "throttled")
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60


def test_a_shared_secret_is_not_published(client: Client) -> None:
    response = client.get("/.well-known/jwks.json")

    assert (response.status_code, response.json()) == (200, {"keys": []})


@pytest.mark.parametrize(
    ("schema", "path", "body"),
    [
        (serializers.LoginSchema, "/auth/register", SAM),
        (serializers.GuestLoginSchema, "/auth/guest", {}),
    ],
)
def test_answers_have_the_fields_of_their_schema(client: Client, schema: Any, path: str, body: Any) -> None:
    answer = post(client, path, body).json()

    assert set(schema().fields) == set(answer)
    assert set(schema().fields["user"].fields) == set(answer["user"])
    assert set(serializers.MeSchema().fields) == set(me(client, answer["access"]).json())


def test_sessions_last_as_long_as_their_refresh_token(client: Client) -> None:
    post(client, "/auth/guest")

    session = RefreshFamily.objects.get()

    assert session.expires_at - session.created_at == settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"]
