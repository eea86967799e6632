"""Cursor paging: by the id of the last row seen, so that a page costs the same however far one has read.

Rows are listed newest first (or by any single unique column); a cursor is `n:<value>` (rows after it) or
`p:<value>` (rows before it), base64url encoded and opaque to callers.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

DEFAULT_LIMIT = 20
LARGEST_LIMIT = 100

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page:
    """What was asked for: `limit` rows `after` or `before` a value; both None is the first page."""

    limit: int
    after: str | None = None
    before: str | None = None

    @property
    def backwards(self) -> bool:
        """Whether rows are read against the order of the list."""
        return self.before is not None


def page_of(request: Request) -> Page:
    """Read `?limit=` and `?cursor=`; ValidationError (400) for what is neither."""
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= LARGEST_LIMIT):  # noqa: PLR2004
        raise ValidationError({"limit": [f"A whole number from 1 to {LARGEST_LIMIT}."]}, code="invalid")
    cursor = request.query_params.get("cursor")
    if cursor is None:
        return Page(limit=int(text))
    try:
        way, _, value = urlsafe_b64decode(cursor.encode("ascii")).decode("utf-8").partition(":")
    except (Base64Error, UnicodeError, ValueError):
        way, value = "", ""
    if way not in {"n", "p"} or not value or "\x00" in value:
        raise ValidationError({"cursor": ["This cursor is not one of ours."]}, code="invalid")
    return Page(limit=int(text), after=value if way == "n" else None, before=value if way == "p" else None)


def answer(
    request: Request, *, page: Page, rows: Sequence[Row], place: Callable[[Row], str], as_json: Callable[[Row], Any]
) -> dict[str, Any]:
    """Return `{results, next, previous}` from up to `limit + 1` rows read in the page's direction.

    The extra row tells whether there is more; rows read backwards are turned round here.
    """
    more = len(rows) > page.limit
    shown = list(rows[: page.limit])
    if page.backwards:
        shown.reverse()
    has_next = more if not page.backwards else True
    has_previous = more if page.backwards else page.after is not None
    return {
        "results": [as_json(row) for row in shown],
        "next": _url(request, f"n:{place(shown[-1])}") if shown and has_next else None,
        "previous": _url(request, f"p:{place(shown[0])}") if shown and has_previous else None,
    }


def _url(request: Request, cursor: str) -> str:
    query = request.query_params.copy()
    query["cursor"] = urlsafe_b64encode(cursor.encode()).decode()
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
