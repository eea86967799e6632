"""`/auth/*`: who may call."""

import pytest

from tests.contract import shapes
from tests.contract.conftest import Api, fields, problem

ADA = {"email": "ada@example.com", "password": "a-long-enough-secret", "name": "Ada"}
USER = {"id": shapes.identifier, "email": "ada@example.com", "name": "Ada"}


def test_an_account_is_opened_used_and_left(nobody: Api) -> None:
    opened = nobody("POST", "/auth/register", ADA)
    assert opened.status_code == 201
    shapes.require(opened.json(), {"user": USER, **shapes.TOKENS})

    login = nobody.ok("POST", "/auth/token", {"email": ADA["email"], "password": ADA["password"]})
    shapes.require(login, {"user": USER, **shapes.TOKENS})

    me = Api({"Authorization": f"Bearer {login['access']}"}).ok("GET", "/auth/me")
    shapes.require(me, {**USER, "guest": False, "staff": False})

    rotated = nobody.ok("POST", "/auth/token/refresh", {"refresh": login["refresh"]})
    shapes.require(rotated, shapes.TOKENS)

    left = nobody("POST", "/auth/logout", {"refresh": rotated["refresh"]})
    assert (left.status_code, left.content) == (204, b"")
    assert problem(nobody("POST", "/auth/token/refresh", {"refresh": rotated["refresh"]})) == (401, "token_not_valid")


def test_a_guest_needs_nothing(nobody: Api) -> None:
    opened = nobody("POST", "/auth/guest")

    assert opened.status_code == 201
    shapes.require(opened.json(), {"user": {"id": shapes.identifier, "guest": True}, **shapes.TOKENS})


def test_an_old_refresh_token_used_again_ends_the_family(nobody: Api) -> None:
    first = nobody.ok("POST", "/auth/guest")
    second = nobody.ok("POST", "/auth/token/refresh", {"refresh": first["refresh"]})

    stolen = nobody("POST", "/auth/token/refresh", {"refresh": first["refresh"]})
    after = nobody("POST", "/auth/token/refresh", {"refresh": second["refresh"]})

    assert problem(stolen) == (401, "token_not_valid")
    assert problem(after) == (401, "token_not_valid")


def test_an_address_is_taken_once_and_a_wrong_password_tells_nothing(nobody: Api) -> None:
    nobody.ok("POST", "/auth/register", ADA)

    again = nobody("POST", "/auth/register", {**ADA, "email": "ADA@example.com"})
    wrong = nobody("POST", "/auth/token", {"email": ADA["email"], "password": "another-secret"})
    unknown = nobody("POST", "/auth/token", {"email": "bob@example.com", "password": "another-secret"})

    assert problem(again) == (409, "email_taken")
    assert problem(wrong) == problem(unknown) == (401, "invalid_credentials")
    assert wrong.content == unknown.content
    assert wrong["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({**ADA, "email": "no address"}, "/email", "invalid"),
        ({**ADA, "password": "short"}, "/password", "password_too_short"),
        ({**ADA, "staff": True}, "/staff", "unknown_field"),
        ({"email": "ada@example.com"}, "/password", "required"),
        ({**ADA, "name": 7}, "/name", "invalid"),
        ({**ADA, "name": "A\x00da"}, "/name", "control"),
    ],
)
def test_a_wrong_field_is_named(nobody: Api, body: dict[str, object], pointer: str, code: str) -> None:
    assert fields(nobody("POST", "/auth/register", body))[pointer] == code
