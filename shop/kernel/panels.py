"""What one context shows on the support page of an order that another context owns.

Support staff read an order on one page, but orders may not import what lies above it. So every context
describes its part as a `Panel`, settings list the callables (`ORDER_PANELS`), and the order's page shows them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme


@dataclass(frozen=True, slots=True)
class Link:
    """A cell that leads somewhere, such as an attempt's own page."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Action:
    """A button in a row. It posts to `url`, the owning context's admin view, with CSRF token and `next`."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row: as many cells as the panel has columns, and what may be done with the row."""

    cells: tuple[str | Link, ...]
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """A titled table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


class OrderPanel(Protocol):
    """An entry of `settings.ORDER_PANELS`."""

    def __call__(self, *, order_id: UUID) -> Panel:
        """Describe what this context knows of the order; a panel without rows when that is nothing."""


class OrderSearch(Protocol):
    """An entry of `settings.ORDER_SEARCHES`."""

    def __call__(self, *, text: str) -> Sequence[UUID]:
        """Return the ids of the orders this context finds by what a person typed, exactly and by an index."""


def way_back(request: HttpRequest, *, otherwise: str) -> str:
    """Return the address of the page an action was posted from, or `otherwise` when it is not one of ours."""
    wanted = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours else otherwise
