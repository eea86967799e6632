"""Sending that goes wrong: again after a failure, never again after a doubt."""

import smtplib
from datetime import datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from notifications import services
from notifications.dto import Delivery
from notifications.models import Mail
from orders.dto import OrderView
from tests.notifications.factories import MailServer, deliver, recipient_refused, told_of, written

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def test_a_refusal_for_now_is_tried_again_later_until_the_mail_is_dead(
    order: OrderView, now: datetime, server: MailServer
) -> None:
    server.refuses_with = recipient_refused(450)
    mail = written(order, now=now)

    assert deliver(mail, server, now) is Delivery.POSTPONED
    assert mail.next_attempt_at is not None
    assert timedelta(seconds=5) <= mail.next_attempt_at - now <= timedelta(seconds=6)
    assert deliver(mail, server, now + timedelta(seconds=4)) is Delivery.NOT_DUE
    assert deliver(mail, server, now + HOUR) is Delivery.POSTPONED
    assert deliver(mail, server, now + 2 * HOUR) is Delivery.DEAD

    assert (mail.state, mail.attempts) == ("dead", 3)
    assert "450" in mail.last_error
    assert told_of(mail) == []


def test_tries_of_one_sending_have_one_message_id(order: OrderView, now: datetime, server: MailServer) -> None:
    seen: list[str] = []
    server.when_given = lambda message: seen.append(message.extra_headers["Message-ID"])
    server.refuses_with = recipient_refused(450)
    mail = written(order, now=now)

    deliver(mail, server, now)
    server.refuses_with = None
    deliver(mail, server, now + HOUR)

    assert mail.state == "sent"
    assert seen == [f"<{mail.pk}.0@example.com>"] * 2


@pytest.mark.parametrize("error", [recipient_refused(550), smtplib.SMTPDataError(554, b"spam")])
def test_a_refusal_for_good_ends_the_mail_at_once(
    order: OrderView, now: datetime, server: MailServer, error: Exception
) -> None:
    server.refuses_with = error
    mail = written(order, now=now)

    assert deliver(mail, server, now) is Delivery.DEAD

    assert (mail.state, mail.attempts) == ("dead", 1)


@pytest.mark.parametrize(
    "error",
    [smtplib.SMTPSenderRefused(550, b"who?", "shop@example.com"), OSError("disk full"), ValueError("a bad header")],
)
def test_what_can_be_mended_here_is_tried_again(
    order: OrderView, now: datetime, server: MailServer, error: Exception
) -> None:
    server.refuses_with = error
    mail = written(order, now=now)

    assert deliver(mail, server, now) is Delivery.POSTPONED

    assert mail.state == "pending"


def test_a_server_that_is_away_never_ends_a_mail(order: OrderView, now: datetime, server: MailServer) -> None:
    server.away_with = ConnectionRefusedError()
    mail = written(order, now=now)

    for hours in range(5):
        assert deliver(mail, server, now + hours * HOUR) is Delivery.SERVER_AWAY
    server.away_with = None

    assert deliver(mail, server, now + 5 * HOUR) is Delivery.SENT
    assert len(server.accepted) == 1


def test_a_broken_template_is_this_mails_trouble_only(
    order: OrderView, now: datetime, server: MailServer, settings: Settings
) -> None:
    settings.FRONTEND_ORDER_URL = "https://shop.example.com/{nobody_knows}"
    mail = written(order, now=now)

    assert deliver(mail, server, now) is Delivery.POSTPONED

    assert (mail.state, mail.attempts) == ("pending", 1)
    assert "KeyError" in mail.last_error
    assert server.connections == 0


def test_a_killed_worker_leaves_a_doubt_and_no_second_mail(order: OrderView, now: datetime, server: MailServer) -> None:
    def killed(_: object) -> None:
        raise SystemExit

    server.when_given = killed
    mail = written(order, now=now)
    with pytest.raises(SystemExit):
        deliver(mail, server, now)
    server.when_given = lambda _: None

    assert services.give_up_lost(now=now + timedelta(minutes=9), limit=10) == 0
    assert services.give_up_lost(now=now + timedelta(minutes=10), limit=10) == 1
    assert deliver(mail, server, now + HOUR) is Delivery.NOT_DUE

    assert (mail.state, mail.next_attempt_at) == ("unconfirmed", None)
    assert server.accepted == []


def test_a_slow_worker_that_comes_back_knows_better(order: OrderView, now: datetime, server: MailServer) -> None:
    server.when_given = lambda _: services.give_up_lost(now=now + HOUR, limit=10)
    mail = written(order, now=now)

    assert deliver(mail, server, now) is Delivery.SENT

    assert mail.state == "sent"
    assert len(told_of(mail)) == 1


def test_a_worker_that_comes_back_after_a_person_asked_again_leaves_that_alone(
    order: OrderView, now: datetime, server: MailServer
) -> None:
    mail = written(order, now=now)

    def asked_meanwhile(_: object) -> None:
        services.give_up_lost(now=now + HOUR, limit=10)
        services.resend(mail_id=mail.pk, now=now + HOUR)

    server.when_given = asked_meanwhile
    deliver(mail, server, now)

    assert (mail.state, mail.resends) == ("pending", 1)
    assert told_of(mail) == []


@pytest.mark.parametrize(
    "trouble",
    [
        {"away_with": TimeoutError()},
        {"refuses_with": recipient_refused(450)},
        {"refuses_with": recipient_refused(550)},
        {"refuses_with": smtplib.SMTPDataError(554, b"spam")},
    ],
)
def test_who_comes_back_with_bad_news_moves_only_what_nobody_moved_since(
    order: OrderView, now: datetime, server: MailServer, trouble: dict[str, Exception]
) -> None:
    mail = written(order, now=now)

    def sent_meanwhile(*_: object) -> None:
        Mail.objects.filter(pk=mail.pk).update(state="sent", sent_at=now, next_attempt_at=None, last_error="")

    for name, error in trouble.items():
        setattr(server, name, error)
    if server.away_with:
        server.when_opened = sent_meanwhile
    else:
        server.when_given = sent_meanwhile

    deliver(mail, server, now)

    assert (mail.state, mail.last_error) == ("sent", "")


def test_a_doubt_about_a_mail_that_was_moved_since_is_dropped(
    order: OrderView, now: datetime, server: MailServer
) -> None:
    mail = written(order, now=now)

    def sent_meanwhile_and_silent(_: object) -> None:
        Mail.objects.filter(pk=mail.pk).update(state="sent", sent_at=now, next_attempt_at=None)
        smtplib.SMTP().data("no connection, so no answer")

    server.when_given = sent_meanwhile_and_silent

    assert deliver(mail, server, now) is Delivery.UNCONFIRMED

    assert mail.state == "sent"
