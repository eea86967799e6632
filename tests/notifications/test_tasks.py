"""The alarm clocks: a wake-up for new mails, a clock for all that are due."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.core import mail as outgoing
from django.core.cache import cache
from django.core.mail.backends.base import BaseEmailBackend
from pytest_django.fixtures import Settings

from notifications import services
from notifications.dto import Delivery
from notifications.models import Mail
from notifications.states import State
from notifications.tasks import mails as tasks
from orders.dto import OrderView
from shop.kernel.clock import utc_now
from tests.notifications.factories import MailServer, written

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MailServer:
    server = MailServer()
    monkeypatch.setattr(tasks, "get_connection", lambda: server)
    return server


def states() -> list[str]:
    return list(Mail.objects.order_by("id").values_list("state", flat=True))


def test_a_wake_up_sends_new_mails_and_may_carry_words_of_a_newer_release(order: OrderView) -> None:
    written(order, now=utc_now())

    tasks.send_new_mails(from_a_newer_release=True)

    assert states() == ["sent"]
    assert len(outgoing.outbox) == 1


def test_a_run_ends_with_the_mails_that_were_written_meanwhile(order: OrderView, server: MailServer) -> None:
    written(order, now=utc_now())

    def write_another(_: object) -> None:
        server.when_given = lambda _: None
        written(order, now=utc_now())

    server.when_given = write_another

    tasks.send_new_mails()

    assert states() == ["sent", "sent"]
    assert server.connections == 1


def test_the_clock_sends_what_is_due_over_one_connection(order: OrderView, server: MailServer) -> None:
    for _ in range(3):
        written(order, now=utc_now())
    written(order, now=utc_now() + timedelta(hours=1))

    tasks.send_mails()

    assert states() == ["sent", "sent", "sent", "pending"]
    assert server.connections == 1


def test_one_broken_mail_does_not_stop_the_others(order: OrderView, server: MailServer) -> None:
    broken = written(order, now=utc_now() - timedelta(hours=1))
    Mail.objects.filter(pk=broken.pk).update(currency="???")
    written(order, now=utc_now())

    tasks.send_mails()

    assert states() == ["pending", "sent"]


def test_one_mail_that_is_refused_does_not_stop_the_others(order: OrderView, server: MailServer) -> None:
    refused, _ = written(order, now=utc_now()), written(order, now=utc_now())

    def refuse_the_first(message: object) -> None:
        if str(refused.pk) in str(getattr(message, "extra_headers", "")):
            raise OSError("broken pipe")

    server.when_given = refuse_the_first

    tasks.send_mails()

    assert states() == ["pending", "sent"]
    assert server.connections == 2


def test_a_row_that_fails_in_an_unforeseen_way_does_not_stop_the_others(
    order: OrderView, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, _ = written(order, now=utc_now()), written(order, now=utc_now())
    real = services.deliver

    def deliver(*, mail_id: UUID, connection: BaseEmailBackend, now: datetime) -> Delivery:
        if mail_id == odd.pk:
            raise RuntimeError("the database went away")
        return real(mail_id=mail_id, connection=connection, now=now)

    monkeypatch.setattr(services, "deliver", deliver)

    tasks.send_mails()

    assert states() == ["pending", "sent"]


def test_while_the_server_is_away_only_the_clock_asks_and_once(order: OrderView, server: MailServer) -> None:
    server.away_with = TimeoutError()
    for _ in range(3):
        written(order, now=utc_now())

    tasks.send_mails()
    tasks.send_new_mails()

    assert list(Mail.objects.order_by("id").values_list("attempts", flat=True)) == [1, 0, 0]

    server.away_with = None
    tasks.send_mails()
    written(order, now=utc_now())
    tasks.send_new_mails()

    assert states() == ["pending", "sent", "sent", "sent"]


def test_one_clock_at_a_time_and_a_dead_ones_turn_ends(order: OrderView, server: MailServer) -> None:
    written(order, now=utc_now())
    server.when_given = lambda _: tasks.send_mails()

    tasks.send_mails()

    assert len(server.accepted) == 1
    assert cache.get("notifications.send_mails") is None


def test_the_clock_sets_aside_what_a_killed_worker_left(order: OrderView, server: MailServer) -> None:
    mail = written(order, now=utc_now())
    Mail.objects.filter(pk=mail.pk).update(state=State.SENDING, next_attempt_at=utc_now() - timedelta(seconds=1))

    tasks.send_mails()

    assert states() == ["unconfirmed"]
    assert server.accepted == []


def test_mails_become_files_where_no_server_is_named(
    order: OrderView, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mails")
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = "integrations.mail_files.EmailBackend", str(folder)
    mail = written(order, now=utc_now())

    tasks.send_mails()

    [file] = folder.iterdir()
    assert file.name == f"{mail.pk}.0@example.com.eml"
    assert b"To: Ada@Example.com" in file.read_bytes()
