"""The bases of views: who calls, with what, and in which language he reads."""

import pytest
from rest_framework.test import APIClient

from shop.kernel.auth.dto import ApiKeyCaller, Caller
from shop.kernel.errors import Unauthorized
from shop.kernel.http.views import InternalView, ShopView
from shop.kernel.ids import new_id

KEY = ApiKeyCaller(key_id=new_id(), name="warehouse", scopes=frozenset({"orders:read"}))


def asking(user: object) -> APIClient:
    client = APIClient()
    client.force_authenticate(user=user)  # type: ignore[arg-type]  # the shop's callers are no Django users
    return client


def test_the_caller_is_who_the_token_names(shopper: Caller) -> None:
    assert asking(shopper).get("/t/whose").json()["id"] == str(shopper.id)


def test_a_key_is_no_shopper_and_a_shopper_no_key(shopper: Caller) -> None:
    assert asking(KEY).get("/t/whose").status_code == 401

    view = InternalView()
    view.request = type("Asked", (), {"user": shopper})()
    with pytest.raises(Unauthorized):
        _ = view.key
    view.request = type("Asked", (), {"user": KEY})()
    assert view.key is KEY


def test_nobody_is_no_caller() -> None:
    view = ShopView()
    view.request = type("Asked", (), {"user": None})()

    with pytest.raises(Unauthorized):
        _ = view.caller


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de", "de"),
        ("de-AT, en;q=0.5", "de"),
        ("en-GB", "en"),
        ("fr, de;q=0.8", "de"),
        ("fr", "en"),
        ("", "en"),
        ("*", "en"),
    ],
)
def test_the_language_is_one_we_write(shopper: Caller, accepted: str, language: str) -> None:
    response = asking(shopper).get("/t/whose", headers={"Accept-Language": accepted})

    assert response.json()["language"] == language
