"""Callbacks over HTTP: one door, open to every gateway of ours, and one answer for what nobody vouches for."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from payments.models import Callback
from payments.services import callbacks
from tests.payments.factories import SIGNED, callback_body

pytestmark = pytest.mark.django_db


def call_back(body: bytes, path: str = "/payment-callback", *, kind: str = "application/json", **headers: str) -> Any:
    return Client().post(path, body, content_type=kind, headers={**SIGNED, **headers})


@pytest.mark.parametrize("path", ["/payment-callback", "/payment-callback/fake"])
def test_a_callback_is_received_and_received_again(path: str) -> None:
    first = call_back(callback_body("sess_1"), path)
    again = call_back(callback_body("sess_1"), path)

    assert [(answer.status_code, answer.json()) for answer in (first, again)] == [(200, {"received": True})] * 2
    assert Callback.objects.count() == 1


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
def test_the_body_is_kept_byte_by_byte_whatever_it_claims_to_be(content_type: str) -> None:
    body = callback_body("sess_1") + b"  \n"

    answer = call_back(body, kind=content_type)

    assert answer.status_code == 200
    assert bytes(Callback.objects.get().body) == body


def test_an_unverified_callback_gets_one_answer() -> None:
    answer = call_back(callback_body("sess_1"), **{"webhook-signature": "forged"})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_callback")
    assert answer.json()["detail"] == "This is not a valid callback."
    assert not Callback.objects.exists()


def test_a_callback_may_have_256_kib_and_not_one_byte_more() -> None:
    body = callback_body("sess_1")

    fits = call_back(body + b" " * (256 * 1024 - len(body)))
    too_large = call_back(body + b" " * (256 * 1024 - len(body) + 1))

    assert fits.status_code == 200
    assert (too_large.status_code, too_large.json()["code"]) == (413, "body_too_large")


def test_a_gateway_nobody_works_with_has_no_path() -> None:
    answer = call_back(callback_body("sess_1"), "/payment-callback/stripe")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_callbacks_are_posted(method: str) -> None:
    answer = Client().generic(method, "/payment-callback", headers=SIGNED)

    assert answer.status_code == 405
    assert not Callback.objects.exists()


def test_a_database_that_is_away_makes_the_gateway_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: object) -> int:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(callbacks, "_store", away)

    answer = call_back(callback_body("sess_1"))

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
