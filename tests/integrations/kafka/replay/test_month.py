"""A month of events, replayed to everybody: no mail, no webhook and no charge is repeated.

Two months in one database: two thousand orders of which every event has been handled, and a few real purchases whose
inboxes are then emptied, which no crash does, so that every handler sees every event once more.
"""

import json
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as configured
from django.db import connection
from pytest_django.fixtures import Settings

import checkout.services
import shop.catalog.services
from bench import month
from integrations.analytics.models import DailyCount
from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import of_log
from integrations.kafka.groups import group, group_names
from integrations.kafka.models import Inbox, Parked
from notifications.models import Mail, WebhookDelivery
from notifications.services.webhooks import sending
from notifications.tasks import send_mails, send_webhooks
from orders.services import cancel
from payments.dto import SessionState
from payments.models import Attempt, Refund
from payments.tasks import poll_attempts, settle_refunds
from shop.catalog.models import Article
from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox.instants import first_id_at
from shop.kernel.outbox.log import Selection
from shop.kernel.outbox.services import keep_partitions
from tests.integrations.analytics.test_flow import Shopper
from tests.integrations.kafka.replay.commands import run
from tests.notifications.webhooks import factories
from tests.notifications.webhooks.factories import Receiver, listening
from tests.payments.fakes import FakeGateway, only_gateway

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("one_day", "patient_partitions")]

ORDERS = 2_000
EVERYBODY = ["--all-consumers", "--yes-all-consumers"]
ANY_EFFECT = ["--allow-effect", "mail", "--allow-effect", "webhook", "--allow-effect", "gateway"]


class MailServer(socketserver.ThreadingTCPServer):
    """Takes every mail and keeps to whom it went."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.recipients: list[str] = []


class Conversation(socketserver.StreamRequestHandler):
    """SMTP, as far as a sender needs it."""

    server: MailServer

    def handle(self) -> None:
        self._say(b"220 here")
        is_message = False
        for line in self.rfile:
            if is_message and line != b".\r\n":
                continue
            is_message = line.upper().startswith(b"DATA")
            if line.upper().startswith(b"RCPT TO:"):
                self.server.recipients.append(line.decode().strip())
            self._say(b"354 go on" if is_message else b"250 fine")
            if line.upper().startswith(b"QUIT"):
                return

    def _say(self, text: bytes) -> None:
        self.wfile.write(text + b"\r\n")
        self.wfile.flush()


@pytest.fixture
def mails(settings: Settings) -> Iterator[list[str]]:
    """Whom a mail server on a real socket was given mails for."""
    with MailServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address[:2]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.recipients
        server.shutdown()
        thread.join()


@pytest.fixture
def merchant(settings: Settings) -> Iterator[Receiver]:
    """A merchant's system on a real socket, which hears everything."""
    settings.WEBHOOK_SECRET_KEYS = ["k" * 32]
    settings.WEBHOOK_LOOPBACK_ALLOWED = True
    sending._sender.cache_clear()
    with listening() as receiver:
        factories.endpoint(now=utc_now(), url=receiver.url)
        yield receiver
    sending._sender.cache_clear()


@pytest.fixture
def gateway(settings: Settings) -> FakeGateway:
    """The shop's only gateway, which keeps what it was asked."""
    return only_gateway(settings)


@pytest.fixture
def a_month(mails: list[str], merchant: Receiver, gateway: FakeGateway) -> None:
    """Two thousand orders on paper, and two real ones: one paid, one paid at last, called off and refunded."""
    month.fill(connection.connection, orders=ORDERS, until=midnight(), consumers=configured.CONSUMERS)
    keep_partitions(now=utc_now())
    shop.catalog.services.seed()
    checkout.services.seed_rates()
    sku = Article.objects.order_by("sku").values_list("sku", flat=True)[0]
    for states in ([SessionState.PAID], [SessionState.FAILED, SessionState.PAID]):
        shopper = Shopper()
        order = shopper.order(sku)
        for state in states:
            shopper.pay(order, gateway, state)
    consume()
    staff = Caller(id=new_id(), guest=False, staff=True)
    cancel(caller=staff, order_id=UUID(order["id"]), reason="Nobody wants it.", now=utc_now())
    for _ in range(3):
        consume()
        go_outside()
    consume()


def midnight() -> datetime:
    """Return when today began: what is on paper is older, what is real is younger."""
    return datetime.combine(utc_now().date(), time(), UTC)


def consume() -> None:
    """Let every consumer handle what it has not handled, and what that tells, until nothing is new."""
    before = -1
    while before != (before := Inbox.objects.count()):
        for name in group_names():
            for chunk in event_log.chunks(Selection(since=midnight()), size=500):
                deliver(group=group(name), events=[of_log(told) for told in chunk], now=utc_now())


def go_outside() -> None:
    """Do what the clock does with all that waits to leave the shop."""
    send_mails()
    send_webhooks()
    poll_attempts()
    settle_refunds()


def outside(mails: list[str], merchant: Receiver, gateway: FakeGateway) -> dict[str, Any]:
    """Count what has left the shop, by those who received it, and the rows that say so."""
    return {
        "mails": len(mails),
        "webhooks": Counter(json.loads(body)["type"] for _, body in merchant.received),
        "gateway": Counter(call for call in gateway.calls if not call.startswith("fetch")),
        "rows": [model.objects.count() for model in (Mail, WebhookDelivery, Attempt, Refund)],
        "parked": Parked.objects.count(),
    }


def figures() -> set[tuple[object, ...]]:
    return set(DailyCount.objects.values_list("day", "name", "currency", "count", "amount"))


def test_replayed_to_everybody_nothing_is_repeated(
    a_month: None, mails: list[str], merchant: Receiver, gateway: FakeGateway
) -> None:
    before, counted = outside(mails, merchant, gateway), figures()
    assert before["mails"] > 3
    assert sum(before["webhooks"].values()) > 6
    assert before["gateway"]

    printed = run("replay_events", *EVERYBODY, *ANY_EFFECT, "--execute", "--expect", "0", "--reason", "a month")
    go_outside()

    assert "To be repeated: 0" in printed
    assert "Delivered 0, parked 0, already there 0." in printed
    assert outside(mails, merchant, gateway) == before
    assert figures() == counted


def test_with_every_inbox_gone_handlers_see_it_all_again_and_still_nothing_is_repeated(
    a_month: None, mails: list[str], merchant: Receiver, gateway: FakeGateway
) -> None:
    before = outside(mails, merchant, gateway)
    real = Inbox.objects.exclude(consumer="analytics").filter(event_id__gte=first_id_at(midnight()))
    holes = real.count()
    assert holes > 12
    real.delete()

    others = [flag for name in group_names() if name != "analytics" for flag in ("--consumer", name)]
    printed = run("replay_events", *others, *ANY_EFFECT, "--execute", "--expect", str(holes), "--reason", "no inbox")
    go_outside()

    assert f"Delivered {holes}, parked 0" in printed
    assert outside(mails, merchant, gateway) == before


def test_what_reaches_outside_the_shop_waits_for_leave(
    a_month: None, mails: list[str], merchant: Receiver, gateway: FakeGateway
) -> None:
    Mail.objects.filter(created_at__gte=midnight()).delete()
    Inbox.objects.filter(consumer="notifications", event_id__gte=first_id_at(midnight())).delete()
    before = outside(mails, merchant, gateway)

    printed = run("replay_events", "--consumer", "notifications", "--execute", "--expect", "0", "--reason", "no leave")
    go_outside()

    assert "would cause: mail (--allow-effect mail)" in printed
    assert outside(mails, merchant, gateway) == before


def test_the_daily_counts_of_the_month_come_out_the_same(a_month: None) -> None:
    counted = figures()
    DailyCount.objects.filter(name="Order Completed").update(count=1, amount=1)
    DailyCount.objects.filter(name="Order Placed").delete()
    rebuild = ["--mode", "rebuild", "--consumer", "analytics", "--type", "analytics.events.v1"]

    for _ in range(2):
        run(
            "replay_events",
            *rebuild,
            "--execute",
            "--expect",
            str(6 * ORDERS),
            "--reason",
            "charts",
            "--rate",
            "100000",
        )

    today = utc_now().date()
    assert {row for row in figures() if row[0] != today} == {row for row in counted if row[0] != today}
