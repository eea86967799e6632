"""Workers that meet over one mail."""

import threading
from datetime import datetime

import pytest
from django.db import connection

from notifications import services
from notifications.dto import Delivery
from shop.kernel.auth.dto import Caller
from shop.kernel.outbox.models import LoggedEvent
from tests.notifications.factories import MailServer, written
from tests.orders.factories import placed
from tests.races import be_patient


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_one_mail_once(shopper: Caller, now: datetime) -> None:
    mail = written(placed(caller=shopper, now=now), now=now)
    told_before = LoggedEvent.objects.filter(topic="analytics.events", key=mail.user_id).count()
    server, together = MailServer(), threading.Barrier(8)
    # All have read the row before one claims it.
    server.when_opened = lambda: together.wait(timeout=60)
    outcomes: list[Delivery] = []

    def work() -> None:
        try:
            be_patient()
            outcomes.append(services.deliver(mail_id=mail.pk, connection=server, now=now))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=90)

    assert sorted(outcomes) == ["not_due"] * 7 + ["sent"]
    assert len(server.accepted) == 1
    assert LoggedEvent.objects.filter(topic="analytics.events", key=mail.user_id).count() == told_before + 1
