"""A mail server over a real socket that stops answering at one place or another."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
from django.core.mail import get_connection
from pytest_django.fixtures import Settings

from notifications import services
from notifications.dto import Delivery
from orders.dto import OrderView
from tests.notifications.factories import written

pytestmark = pytest.mark.django_db


@contextmanager
def smtp_server(settings: Settings, *, silent_after: bytes) -> Iterator[list[bytes]]:
    """Run a mail server that hangs up instead of answering one command; yield what it was told."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = listening.getsockname()
        settings.EMAIL_TIMEOUT = 60

        def serve() -> None:
            peer, _ = listening.accept()
            with peer, peer.makefile("rwb") as talk:
                talk.write(b"220 here\r\n")
                talk.flush()
                is_message = False
                for line in talk:
                    heard.append(line)
                    if silent_after in line:
                        return
                    if is_message and line != b".\r\n":
                        continue
                    is_message = line.upper().startswith(b"DATA")
                    talk.write(b"354 go on\r\n" if is_message else b"250 fine\r\n")
                    talk.flush()

        thread = threading.Thread(target=serve)
        thread.start()
        yield heard
        thread.join(timeout=60)


def test_a_server_that_falls_silent_after_the_mail_is_not_given_it_again(
    order: OrderView, now: datetime, settings: Settings
) -> None:
    mail = written(order, now=now)

    with smtp_server(settings, silent_after=b"</html>") as heard:
        delivery = services.deliver(mail_id=mail.pk, connection=get_connection(), now=now)

    assert delivery is Delivery.UNCONFIRMED
    assert any(line.startswith(b"Message-ID: <") for line in heard)
    mail.refresh_from_db()
    assert (mail.state, mail.next_attempt_at) == ("unconfirmed", None)


def test_a_server_that_hangs_up_before_the_mail_is_asked_again(
    order: OrderView, now: datetime, settings: Settings
) -> None:
    mail = written(order, now=now)

    with smtp_server(settings, silent_after=b"rcpt TO"):
        delivery = services.deliver(mail_id=mail.pk, connection=get_connection(), now=now)

    assert delivery is Delivery.POSTPONED
    mail.refresh_from_db()
    assert mail.state == "pending"


def test_a_server_that_takes_the_mail_is_given_it_whole(order: OrderView, now: datetime, settings: Settings) -> None:
    mail = written(order, now=now)

    with smtp_server(settings, silent_after=b"quit") as heard:
        connection = get_connection()
        delivery = services.deliver(mail_id=mail.pk, connection=connection, now=now)
        connection.close()

    assert delivery is Delivery.SENT
    assert b"</html>\r\n" in heard
    assert f"Subject: Ihre Bestellung {order.number} bei Kupfer & Klee\r\n".encode() in heard
