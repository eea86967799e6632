"""JSON in and out."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.exceptions import ParseError

from shop.kernel.http.codecs import JSONParser, JSONRenderer
from shop.kernel.ids import new_id
from shop.kernel.money import Money


@dataclass
class Lamp:
    """Something with fields."""

    lit: bool
    price: Money


def parsed(body: bytes) -> Any:
    return JSONParser().parse(BytesIO(body))


def test_shapes_are_written_without_help() -> None:
    row_id = new_id()

    written = JSONRenderer().render({"id": row_id, "lamp": Lamp(lit=True, price=Money(1, "EUR")), "word": "Grüße"})

    assert written.decode() == (
        f'{{"id":"{row_id}","lamp":{{"lit":true,"price":{{"amount":1,"currency":"EUR"}}}},"word":"Grüße"}}'
    )


def test_an_answer_without_a_body_stays_empty() -> None:
    assert JSONRenderer().render(None) == b""


def test_a_body_of_unknown_length_that_turns_out_empty_is_an_empty_object() -> None:
    assert parsed(b"") == {}


def test_large_integers_stay_exact() -> None:
    assert parsed(b'{"n": 123456789012345678901234567890}') == {"n": 123456789012345678901234567890}


@pytest.mark.parametrize("body", [b"{", b"NaN", b"-Infinity", b'"\\ud800"', b'"\xff"', b"{} {}", b"[1,]", b"1e999"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        parsed(body)


def test_a_body_is_read_no_further_than_its_limit(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert parsed(b'"12345678"') == "12345678"

    class Endless(BytesIO):
        """More than fits into memory."""

        def read(self, size: int | None = -1, /) -> bytes:
            """Give what is asked for, and never everything."""
            assert size is not None
            assert 0 < size <= 11
            return b"x" * size

    with pytest.raises(Exception, match="up to 10 bytes"):
        JSONParser().parse(Endless())
