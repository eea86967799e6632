"""The admin's first page: how the shop did in the last two weeks, and what waits for a person."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import number_format

from integrations.analytics.queries import Day, days
from integrations.monitoring.figures import Figures, figures
from shop.kernel.clock import utc_now
from shop.kernel.money import Money, exponent

DAYS = 14
PLACED, PAID, FAILED = "Order Placed", "Order Completed", "Payment Failed"
_COLOURS = {
    PLACED: "var(--color-primary-300)",
    PAID: "var(--color-primary-600)",
    FAILED: "var(--color-base-400)",
}
# unfold's own options draw the bars of one day on top of each other.
_CHART_OPTIONS = json.dumps(
    {
        "animation": False,
        "maintainAspectRatio": False,
        "plugins": {"legend": {"display": False}},
        "scales": {
            "x": {"grid": {"display": False}},
            "y": {"beginAtZero": True, "grid": {}, "ticks": {"precision": 0}},
        },
    }
)
_SAID = {PLACED: "orders placed", PAID: "orders paid", FAILED: "payments failed"}


@dataclass(frozen=True, slots=True)
class Card:
    """A number of today beside yesterday's."""

    title: str
    today: str
    yesterday: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A bar chart as unfold's script draws it: `data` is JSON, `legend` pairs colours with words."""

    title: str
    data: str
    legend: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits for a person, and the page where he finds it."""

    what: str
    count: int
    url: str


def show(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the caller may see to the first page's context; unfold calls it."""
    now = utc_now()
    shown: dict[str, Any] = {"title": "Overview", "chart_options": _CHART_OPTIONS}
    if request.user.has_perm("analytics.view_dailycount"):
        history = History(counted=days(names=_SAID, since=now.date() - timedelta(days=DAYS - 1)), today=now.date())
        shown |= {"cards": history.cards(), "charts": history.charts()}
    if request.user.has_perm("orders.view_order"):
        shown["waiting"] = waiting(figures(now=now))
    return {**context, **shown}


class History:
    """Two weeks of daily counts, by action, day and currency."""

    def __init__(self, *, counted: list[Day], today: date) -> None:
        self._today = today
        self._days = [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
        self._counts: dict[tuple[str, date], int] = {}
        self._revenue: dict[str, dict[date, Money]] = {}
        for row in counted:
            self._counts[row.name, row.day] = self._counts.get((row.name, row.day), 0) + row.count
            if row.name == PAID and row.money:
                self._revenue.setdefault(row.money.currency, {})[row.day] = row.money

    def cards(self) -> list[Card]:
        """Return today's numbers."""
        yesterday = self._today - timedelta(days=1)
        counts = [Card(said, str(self._count(name, self._today)), str(self._count(name, yesterday)))
                  for name, said in _SAID.items()]  # fmt: skip
        return [*counts, Card("revenue", self._revenue_on(self._today), self._revenue_on(yesterday))]

    def charts(self) -> list[Chart]:
        """Return orders by day, and revenue by day for each currency, in its major units."""
        orders = Chart(
            "Orders and failed payments",
            self._data([(_SAID[name], colour, [self._count(name, day) for day in self._days])
                        for name, colour in _COLOURS.items()]),
            [(colour, _SAID[name]) for name, colour in _COLOURS.items()],
        )  # fmt: skip
        return [orders, *(self._revenue_chart(currency) for currency in sorted(self._revenue))]

    def _revenue_chart(self, currency: str) -> Chart:
        by_day = self._revenue[currency]
        amounts = [float(by_day.get(day, Money.zero(currency)).major()) for day in self._days]
        return Chart(f"Revenue in {currency}", self._data([(currency, _COLOURS[PAID], amounts)]), [])

    def _data(self, sets: list[tuple[str, str, list[Any]]]) -> str:
        drawn = [
            {"label": label, "backgroundColor": colour, "data": numbers, "borderRadius": 2}
            for label, colour, numbers in sets
        ]
        return json.dumps({"labels": [f"{day:%d.%m.}" for day in self._days], "datasets": drawn})

    def _count(self, name: str, day: date) -> int:
        return self._counts.get((name, day), 0)

    def _revenue_on(self, day: date) -> str:
        taken = [by_day[day] for _, by_day in sorted(self._revenue.items()) if day in by_day]
        return " · ".join(_written(money) for money in taken) or "0"


def waiting(found: Figures) -> list[Waiting]:
    """Return everything that waits for a person, also where nothing does: an empty list says nothing."""
    stuck = found.payments_stuck
    return [
        Waiting("orders in review", found.orders_in_review, _list("orders_order", "needs_review__exact=1")),
        Waiting("payments in review", stuck["review"], _list("payments_attempt", "review=1")),
        Waiting("refunds in review", stuck["refund_review"], _list("payments_refund", "review=1")),
        Waiting("findings", sum(found.findings.values()), _list("payments_finding", "state__exact=open")),
        Waiting("callbacks that contradict us", stuck["quarantined"], _list("payments_callback", "state=quarantined")),
        Waiting("callbacks given up", stuck["dead"], _list("payments_callback", "state=dead")),
        Waiting("dead letters", found.dead_letters, _list("kafka_parked", "state__exact=dead")),
        Waiting("events Kafka refuses", found.outbox_failed, _list("outbox_pendingevent", "state__exact=failed")),
        Waiting("mails given up", found.mails["dead"], _list("notifications_mail", "state__exact=dead")),
        Waiting(
            "mails that may have been sent",
            found.mails["unconfirmed"],
            _list("notifications_mail", "state__exact=unconfirmed"),
        ),
        Waiting(
            "webhook endpoints the shop has disabled",
            found.webhook_endpoints["gone"] + found.webhook_endpoints["failing"],
            _list("notifications_webhookendpoint", "state__exact=disabled"),
        ),
    ]


def _list(page: str, chosen: str = "") -> str:
    return f"{reverse(f'admin:{page}_changelist')}?{chosen}".rstrip("?")


def _written(money: Money) -> str:
    return f"{number_format(money.major(), exponent(money.currency), force_grouping=True)} {money.currency}"
