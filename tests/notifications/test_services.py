"""Sending: once, told, and again when a person asks."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError
from pytest_django.fixtures import Settings

from notifications import services
from notifications.dto import Delivery, Template
from notifications.errors import MailNotFound
from notifications.models import Mail
from notifications.queries import waiting
from orders.dto import OrderView
from orders.states import Status
from shop.kernel.auth.dto import Caller
from shop.kernel.errors import IllegalTransition
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import LoggedEvent
from shop.kernel.tracing import Trace, tracing
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.notifications.factories import MailServer, deliver, notice, recipient_refused, told_of, written
from tests.orders.factories import given_away, order_in
from tests.payments.factories import started
from tests.payments.fakes import only_gateway

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def test_a_mail_goes_on_with_the_trace_of_what_caused_it(order: OrderView, now: datetime, server: MailServer) -> None:
    with tracing(Trace("first-request")):
        first = written(order, now=now)
    with tracing(Trace("second-request")):
        second = written(order, now=now)

    # One run of the sender, which was woken for both.
    with tracing(Trace("the-sender")):
        deliver(first, server, now)
        deliver(second, server, now)

    headers = {
        event.payload["properties"]["mail_id"]: event.headers
        for event in LoggedEvent.objects.filter(topic="analytics.events", key=first.user_id)
        if event.payload["name"] == "Notification Sent"
    }
    assert headers == {
        str(first.pk): {"correlationid": "first-request", "causationid": str(first.event_id)},
        str(second.pk): {"correlationid": "second-request", "causationid": str(second.event_id)},
    }


def test_staff_are_written_to_and_no_shopper_is_said_to_have_been_told(
    order: OrderView, now: datetime, server: MailServer, settings: Settings
) -> None:
    settings.SUPPORT_EMAIL = "help@shop.example.com"
    mail = written(order, now=now, template=Template.REFUND_REJECTED)

    assert deliver(mail, server, now) is Delivery.SENT

    [message] = server.accepted
    assert (message.to, message.reply_to) == (["help@shop.example.com"], ["help@shop.example.com"])
    assert told_of(mail) == []


def test_a_refunds_mail_names_the_payment(
    shopper: Caller, order: OrderView, now: datetime, server: MailServer, settings: Settings
) -> None:
    only_gateway(settings)
    payment = started(shopper, order, now).payment
    said = replace(notice(order, template=Template.REFUND_SENT), payment_id=payment.payment_id, cause="requested")
    with open_unit_of_work():
        services.write(notice=said, now=now)

    assert deliver(Mail.objects.get(), server, now) is Delivery.SENT

    [message] = server.accepted
    assert f"Zahlungsreferenz: {payment.reference}" in message.body


def test_a_mail_is_sent_and_told(order: OrderView, now: datetime, server: MailServer) -> None:
    mail = written(order, now=now)

    assert deliver(mail, server, now) is Delivery.SENT

    assert (mail.state, mail.attempts, mail.sent_at) == ("sent", 1, now)
    assert mail.next_attempt_at is None
    [message] = server.accepted
    assert message.to == ["Ada@Example.com"]
    assert message.subject == f"Ihre Bestellung {order.number} bei Kupfer & Klee"
    assert message.extra_headers["Message-ID"] == f"<{mail.pk}.0@example.com>"
    [told] = told_of(mail)
    assert told["properties"] == {
        "mail_id": str(mail.pk),
        "order_id": str(order.order_id),
        "template": "order_confirmation",
        "channel": "email",
        "language": "de",
    }


def test_both_parts_are_in_one_mail(order: OrderView, now: datetime, server: MailServer) -> None:
    deliver(written(order, now=now), server, now)

    kinds = [part.get_content_type() for part in server.accepted[0].message().walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]


def test_a_second_sending_changes_nothing(order: OrderView, now: datetime, server: MailServer) -> None:
    mail = written(order, now=now)
    deliver(mail, server, now)

    assert deliver(mail, server, now + HOUR) is Delivery.NOT_DUE

    assert len(server.accepted) == 1
    assert len(told_of(mail)) == 1


def test_nothing_is_sent_inside_a_transaction(order: OrderView, now: datetime, server: MailServer) -> None:
    mail = written(order, now=now)

    with pytest.raises(TransactionMisuse), open_unit_of_work():
        services.deliver(mail_id=mail.pk, connection=server, now=now)

    assert server.accepted == []


@pytest.mark.parametrize(
    ("moment", "says"),
    [
        ((Status.PENDING_PAYMENT, -1), "Noch einmal versuchen:"),
        ((Status.PENDING_PAYMENT, 0), "Die Zeit zum Bezahlen ist inzwischen abgelaufen."),
        ((Status.PAID, 0), "Inzwischen ist Ihre Bestellung bezahlt"),
        ((Status.FULFILLED, 0), "Inzwischen ist Ihre Bestellung bezahlt"),
        ((Status.EXPIRED, 0), "Die Bestellung wurde inzwischen geschlossen"),
        ((Status.CANCELLED, -1), "Die Bestellung wurde inzwischen geschlossen"),
    ],
)
def test_a_late_mail_says_what_holds_when_it_is_sent(
    shopper: Caller, now: datetime, server: MailServer, moment: tuple[Status, int], says: str
) -> None:
    status, seconds_after_deadline = moment
    order = order_in(status, caller=shopper, now=now)
    mail = written(order, now=now, template=Template.PAYMENT_FAILED)

    deliver(mail, server, order.payment_deadline + timedelta(seconds=seconds_after_deadline))

    assert says in str(server.accepted[0].body)


def test_an_order_that_costs_nothing_is_confirmed_without_asking_for_money(
    shopper: Caller, now: datetime, server: MailServer
) -> None:
    waits = written(order_in(Status.PENDING_PAYMENT, caller=shopper, now=now), now=now)
    free = written(given_away(caller=shopper, now=now), now=now)

    deliver(waits, server, now)
    deliver(free, server, now)

    asking, thanking = (str(message.body) for message in server.accepted)
    for words in ("bezahlt", "Zur Zahlung", "Bitte zahlen Sie bis"):
        assert words in asking
        assert words not in thanking
    assert "Gesamtbetrag: 0,00" in thanking


def test_a_sending_costs_six_statements(
    order: OrderView,
    now: datetime,
    server: MailServer,
    statements: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    mail = written(order, now=now)

    with statements() as counted:
        services.deliver(mail_id=mail.pk, connection=server, now=now)

    # The savepoints are the test's own transaction around the service's.
    assert len([sql for sql in counted if "SAVEPOINT" not in sql]) == 6


def test_a_mail_about_an_order_that_is_gone_waits_for_a_person(
    order: OrderView, now: datetime, server: MailServer
) -> None:
    mail = written(order, now=now)
    Mail.objects.filter(pk=mail.pk).update(order_id=new_id())

    assert deliver(mail, server, now) is Delivery.POSTPONED

    assert "OrderNotFound" in mail.last_error


def test_a_person_may_ask_again(order: OrderView, now: datetime, server: MailServer) -> None:
    mail = written(order, now=now)
    deliver(mail, server, now)

    services.resend(mail_id=mail.pk, now=now + HOUR)
    deliver(mail, server, now + HOUR)

    assert (mail.state, mail.resends, mail.attempts) == ("sent", 1, 1)
    assert [message.extra_headers["Message-ID"] for message in server.accepted] == [
        f"<{mail.pk}.0@example.com>",
        f"<{mail.pk}.1@example.com>",
    ]


def test_a_mail_on_its_way_cannot_be_asked_for(order: OrderView, now: datetime) -> None:
    mail = written(order, now=now)

    with pytest.raises(IllegalTransition):
        services.resend(mail_id=mail.pk, now=now)
    with pytest.raises(MailNotFound):
        services.resend(mail_id=new_id(), now=now)

    mail.refresh_from_db()
    assert mail.resends == 0


def test_the_database_refuses_a_second_row(order: OrderView, now: datetime) -> None:
    mail = written(order, now=now)

    with pytest.raises(IntegrityError, match="notifications_mail_once_per_event"):
        Mail.objects.filter(pk=mail.pk).get().__class__.objects.create(
            **{
                field.attname: getattr(mail, field.attname)
                for field in Mail._meta.concrete_fields
                if field.attname != "id"
            }
        )


def test_what_waits_is_counted(order: OrderView, now: datetime, server: MailServer) -> None:
    deliver(written(order, now=now), server, now)
    written(order, now=now + HOUR)
    server.refuses_with = recipient_refused(550)
    deliver(written(order, now=now), server, now)

    found = waiting(now=now + 2 * HOUR)

    assert found.by_state == {"pending": 1, "sending": 0, "unconfirmed": 0, "dead": 1}
    assert found.oldest_pending_seconds == 3600


def test_the_same_notice_twice_is_one_row(order: OrderView, now: datetime) -> None:
    wanted = notice(order)

    with open_unit_of_work():
        assert services.write(notice=wanted, now=now) is True
        assert services.write(notice=wanted, now=now) is False
        other = notice(order, template=Template.PAYMENT_RECEIPT, event_id=wanted.event_id)
        assert services.write(notice=other, now=now) is True

    assert Mail.objects.filter(event_id=wanted.event_id).count() == 2
