"""The figures as Prometheus reads them: asked at each scrape, so that they grow while the worker is dead."""

from collections.abc import Iterator

import structlog
from django.db import Error, connection
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from integrations.monitoring.figures import Figures, figures
from shop.kernel.clock import utc_now

log = structlog.get_logger(__name__)


class Standing(Collector):
    """One process of the house registers it: the relay. Several relays tell the same, so rules take the maximum."""

    def describe(self) -> list[GaugeMetricFamily]:
        """Say nothing ahead: registering must not need a database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Answer one scrape; a database that is away costs these gauges and no others."""
        readable = GaugeMetricFamily("shop_standing_readable", "Whether the gauges read from the database are there.")
        try:
            found = figures(now=utc_now())
        except Error as error:
            log.warning("metrics.database_away", error=type(error).__name__)
            readable.add_metric([], 0)
        else:
            readable.add_metric([], 1)
            yield from _families(found)
        finally:
            # Each scrape is answered by a thread of its own, and a connection belongs to its thread.
            connection.close()
        yield readable


def _families(found: Figures) -> Iterator[GaugeMetricFamily]:
    yield from _of_events(found)
    yield _several(
        "payments_stuck",
        "Attempts and refunds in review, unknown attempts; callbacks parked, quarantined, dead.",
        "what",
        found.payments_stuck,
    )
    yield _several(
        "payments_findings_open", "Things in which the books differ, by kind, until mended.", "kind", found.findings
    )
    yield _one("orders_in_review", "Orders that wait for a person.", found.orders_in_review)
    yield _several("notifications_mails_waiting", "Mails not sent, by state.", "state", found.mails)
    yield _one("notifications_oldest_pending_seconds", "Age of the oldest mail that waits.", found.oldest_mail_seconds)
    yield _several("notifications_webhook_deliveries", "Webhooks not taken, by state.", "state", found.webhooks)
    yield _several(
        "notifications_webhook_endpoints",
        "Merchants' endpoints: active, paused, or why they are disabled.",
        "state",
        found.webhook_endpoints,
    )
    yield _several(
        "shop_overdue_seconds",
        "How long ago the first order, poll, callback, refund, mail, webhook or parked event was to be taken up.",
        "what",
        found.overdue_seconds,
    )


def _of_events(found: Figures) -> Iterator[GaugeMetricFamily]:
    yield _one("shop_outbox_pending", "Events Kafka has not acknowledged yet.", found.outbox_pending)
    yield _one("shop_outbox_failed", "Events Kafka refuses for good; each holds back its key.", found.outbox_failed)
    yield _one("shop_outbox_oldest_seconds", "Age of the oldest event in the queue.", found.outbox_oldest_seconds)
    yield _several(
        "shop_replication_slot_active",
        "Whether somebody reads the slot: 1 or 0.",
        "slot",
        {slot.name: int(slot.active) for slot in found.slots},
    )
    yield _several(
        "shop_replication_slot_behind_bytes",
        "WAL that the slot's reader has not confirmed.",
        "slot",
        {slot.name: slot.behind_bytes for slot in found.slots},
    )
    parked = GaugeMetricFamily(
        "shop_consumer_parked", "Events set aside, by group and state: waiting, dead.", labels=["group", "state"]
    )
    for (group, state), count in found.parked.items():
        parked.add_metric([group, state], count)
    yield parked


def _one(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)


def _several(name: str, help_text: str, label: str, values: dict[str, int] | dict[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for value_of, value in values.items():
        family.add_metric([value_of], value)
    return family
