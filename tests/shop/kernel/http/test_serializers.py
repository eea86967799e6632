"""Bodies are read strictly, and every field that is wrong is named by a JSON pointer."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.exceptions import ValidationError

from shop.kernel.http.serializers import KeptString, MoneySchema, money_json
from shop.kernel.money import Money


def errors(browser: Client, body: Any) -> list[tuple[str, str]]:
    response = browser.post("/t/posted", body, content_type="application/json")
    assert response.status_code == 400, response.content
    assert response.json()["code"] == "validation_error"
    return [(error["pointer"], error["code"]) for error in response.json()["errors"]]


@pytest.mark.parametrize("body", [{}, {"quantity": 1}, {"name": ""}, {"name": "Grüße 🎁"}, {"parts": [1, 2]}])
def test_what_is_right_is_understood(browser: Client, body: dict[str, Any]) -> None:
    assert browser.post("/t/posted", body, content_type="application/json").json() == body


def test_an_empty_body_is_an_empty_object(browser: Client) -> None:
    assert browser.post("/t/posted", b"", content_type="application/json").json() == {}
    assert browser.generic("POST", "/t/posted").json() == {}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"colour": "red"}, [("/colour", "unknown_field")]),
        ({"a/b~c": 1}, [("/a~1b~0c", "unknown_field")]),
        ({"quantity": "3"}, [("/quantity", "invalid")]),
        ({"quantity": 3.0}, [("/quantity", "invalid")]),
        ({"quantity": True}, [("/quantity", "invalid")]),
        ({"quantity": None}, [("/quantity", "null")]),
        ({"quantity": 0}, [("/quantity", "min_value")]),
        ({"quantity": 2**31}, [("/quantity", "max_value")]),
        ({"quantity": 10**30}, [("/quantity", "max_value")]),
        ({"name": 3}, [("/name", "invalid")]),
        ({"name": True}, [("/name", "invalid")]),
        ({"name": "a\x00b"}, [("/name", "control")]),
        ({"name": "a\nb"}, [("/name", "control")]),
        ({"name": "a\x7f"}, [("/name", "control")]),
        ({"parts": [1, "2", 3, "4"]}, [("/parts/1", "invalid"), ("/parts/3", "invalid")]),
        ({"part": {"name": "too long", "x": 1}}, [("/part/x", "unknown_field")]),
        ({"part": {}}, [("/part/name", "required")]),
        ({"part": 3}, [("/part", "invalid")]),
        (
            {"several": [{"name": "ok"}, {"name": "too long"}, {}]},
            [("/several/1/name", "max_length"), ("/several/2/name", "required")],
        ),
        ({"quantity": "3", "name": 3}, [("/quantity", "invalid"), ("/name", "invalid")]),
    ],
)
def test_every_wrong_field_is_named(browser: Client, body: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert errors(browser, body) == expected


@pytest.mark.parametrize("body", ["[]", '"text"', "3", "null", "true"])
def test_a_body_is_an_object(browser: Client, body: str) -> None:
    assert errors(browser, body) == [("", "invalid")]


def test_money_is_written_as_its_schema_says() -> None:
    written = money_json(Money(1_999, "EUR"))

    assert written == {"amount": 1_999, "currency": "EUR"}
    assert set(written) == set(MoneySchema().fields)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Ada 4242 4242 4242 4242", "looks_like_card_number"),
        ("https://shop.example.com/?card=4242%204242+4242%2D4242", "looks_like_card_number"),
        ("sk_live_51H8abcdefghijkl", "looks_like_secret"),
    ],
)
def test_what_is_kept_holds_no_secret(text: str, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        KeptString().run_validation(text)

    assert refused.value.get_codes() == [code]
    assert "4242" not in str(refused.value)


@pytest.mark.parametrize("text", ["Ada Lovelace", "Lindenallee 7+8", "100 %", "https://shop.example.com/a%20b"])
def test_what_people_write_is_kept_as_it_is(text: str) -> None:
    assert KeptString().run_validation(text) == text
