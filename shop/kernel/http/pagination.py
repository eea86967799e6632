"""Cursor paging: by the id of the last row seen, so that a page costs the same however far one has read.

Ids are UUIDv7, so their order is the order of making; a cursor is `n:<id>` (rows after it) or `p:<id>` (rows before
it), base64url encoded and opaque to callers.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from shop.kernel.ids import as_uuid

DEFAULT_LIMIT = 20
LARGEST_LIMIT = 100
PAGING = [
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT}),
    OpenApiParameter("cursor", str, description="From `next` or `previous` of another page."),
]

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page:
    """What was asked for: `limit` rows `after` or `before` an id; both None is the first page."""

    limit: int
    after: UUID | None = None
    before: UUID | None = None

    @property
    def backwards(self) -> bool:
        """Whether rows are read against the order of the list."""
        return self.before is not None


def page_of(request: Request) -> Page:
    """Read `?limit=` and `?cursor=`; ValidationError (400) for what is neither."""
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= LARGEST_LIMIT:
        raise ValidationError({"limit": [f"A whole number from 1 to {LARGEST_LIMIT}."]}, code="invalid")
    cursor = request.query_params.get("cursor")
    if cursor is None:
        return Page(limit=int(text))
    try:
        way, _, value = urlsafe_b64decode(cursor.encode("ascii")).decode("utf-8").partition(":")
    except (Base64Error, UnicodeError, ValueError):
        way, value = "", ""
    place = as_uuid(value)
    if way not in {"n", "p"} or place is None:
        raise ValidationError({"cursor": ["This cursor is not one of ours."]}, code="invalid")
    return Page(limit=int(text), after=place if way == "n" else None, before=place if way == "p" else None)


def answer(
    request: Request, *, page: Page, rows: Sequence[Row], place: Callable[[Row], UUID], as_json: Callable[[Row], Any]
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
