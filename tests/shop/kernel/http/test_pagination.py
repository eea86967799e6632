"""Cursor paging: forwards, backwards, and nothing twice or left out."""

from base64 import urlsafe_b64encode
from typing import Any
from uuid import UUID

import pytest
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from shop.kernel.http.pagination import Page, answer, page_of

ROWS = [UUID(int=number) for number in range(25)]


def cursor_of(text: bytes) -> str:
    return urlsafe_b64encode(text).decode()


def asked(url: str) -> Request:
    return Request(APIRequestFactory().get(url))


def listed(url: str) -> dict[str, Any]:
    """Answer as a view over ROWS does."""
    request = asked(url)
    page = page_of(request)
    if page.before is not None:
        rows = [row for row in reversed(ROWS) if row < page.before]
    else:
        rows = [row for row in ROWS if page.after is None or row > page.after]
    return answer(request, page=page, rows=rows[: page.limit + 1], place=lambda row: row, as_json=str)


@pytest.mark.parametrize("limit", [1, 2, 7, 24, 25, 26, 100])
def test_every_row_is_read_once_forwards_and_backwards(limit: int) -> None:
    forwards: list[list[str]] = []
    url: str | None = f"/rows?limit={limit}&colour=red"
    while url:
        page = listed(url)
        forwards.append(page["results"])
        last, url = url, page["next"]
        assert url is None or "colour=red" in url
    backwards = [listed(last)["results"]]
    url = listed(last)["previous"]
    while url:
        page = listed(url)
        backwards.insert(0, page["results"])
        url = page["previous"]

    assert [row for rows in forwards for row in rows] == [str(row) for row in ROWS]
    assert [row for rows in backwards for row in rows] == [str(row) for row in ROWS]


def test_the_first_page_has_nothing_before_it_and_the_last_nothing_after() -> None:
    assert listed("/rows?limit=25") == {"results": [str(row) for row in ROWS], "next": None, "previous": None}
    assert listed("/rows")["next"].startswith("http://testserver/rows?cursor=")


def test_a_page_beyond_the_end_is_empty() -> None:
    beyond = urlsafe_b64encode(f"n:{UUID(int=99)}".encode()).decode()

    assert listed(f"/rows?cursor={beyond}") == {"results": [], "next": None, "previous": None}


def test_a_page_is_what_was_asked_for() -> None:
    assert page_of(asked("/rows")) == Page(limit=20)
    assert page_of(asked("/rows?limit=100")) == Page(limit=100)
    cursor = urlsafe_b64encode(f"p:{ROWS[3]}".encode()).decode()
    assert page_of(asked(f"/rows?cursor={cursor}")) == Page(limit=20, before=ROWS[3])
    assert not Page(limit=1, after=ROWS[3]).backwards


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "ten", "", "99999", "1e1", "²", "1 "])
def test_a_limit_is_a_number_from_1_to_100(limit: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        page_of(asked(f"/rows?limit={limit}"))

    assert set(refusal.value.get_full_details()) == {"limit"}


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "ä", "bm9uZQ", *map(cursor_of, (b"n:", b"n", b"\xff", b"n:a\x00b", b"n:row", b"x:1"))],
)
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        page_of(asked(f"/rows?cursor={cursor}"))

    assert set(refusal.value.get_full_details()) == {"cursor"}
