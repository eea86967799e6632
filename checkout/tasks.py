"""Alarm clocks."""

from typing import Any

from celery import shared_task

from checkout import services
from shop.kernel.clock import utc_now

MOST_AT_ONCE = 500


@shared_task(name="checkout.tasks.expire_checkouts")
def expire_checkouts(**_: Any) -> None:
    """Expire checkouts whose time is over; what is left over waits for the next wake-up."""
    services.expire_due(now=utc_now(), limit=MOST_AT_ONCE)
