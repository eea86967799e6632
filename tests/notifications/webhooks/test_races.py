"""Senders, people and consumers who meet over one endpoint: nobody waits for somebody who waits for them."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection

from notifications.models import WebhookAttempt, WebhookDelivery
from notifications.services import webhooks
from shop.kernel.clock import utc_now
from shop.kernel.errors import Refusal
from tests.notifications.webhooks import factories
from tests.notifications.webhooks.factories import FakeSender, attempt, delivery
from tests.races import be_patient

ROUNDS = 25


class Crowd:
    """Threads that keep at something, and what troubled them."""

    def __init__(self, *acts: Callable[[], object]) -> None:
        self._acts = acts
        self._together = threading.Barrier(len(acts))
        self.troubles: list[BaseException] = []

    def go(self) -> None:
        """Let everybody begin at once, and wait for all of them."""
        threads = [threading.Thread(target=self._keep_at, args=(act,)) for act in self._acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(180)

    def _keep_at(self, act: Callable[[], object]) -> None:
        try:
            be_patient()
            self._together.wait(60)
            for _ in range(ROUNDS):
                # Disabled at this moment, or on its way: that is an answer, and no trouble.
                with suppress(Refusal, WebhookDelivery.DoesNotExist):
                    act()
        except BaseException as error:  # noqa: BLE001  a deadlock, a time-out: told by the thread that asserts
            self.troubles.append(error)
        finally:
            connection.close()


@pytest.mark.django_db(transaction=True)
def test_everybody_at_once_over_one_endpoint(sender: FakeSender) -> None:
    endpoint_id = factories.endpoint(now=utc_now()).endpoint_id
    rows = [delivery(now=utc_now()) for _ in range(3)]

    def again() -> None:
        for row in rows:
            webhooks.redeliver(delivery_id=row.pk, now=utc_now())

    def off_and_on() -> None:
        webhooks.disable_endpoint(endpoint_id=endpoint_id, now=utc_now())
        webhooks.enable_endpoint(endpoint_id=endpoint_id)

    crowd = Crowd(
        lambda: attempt(now=utc_now()),
        lambda: attempt(now=utc_now()),
        again,
        off_and_on,
        lambda: webhooks.rotate_secret(endpoint_id=endpoint_id, now=utc_now()),
        lambda: delivery(now=utc_now()),
    )

    crowd.go()
    later = utc_now() + timedelta(days=1)
    while attempt(now=later):
        pass

    assert crowd.troubles == []
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert WebhookAttempt.objects.count() == len(sender.posted)
