"""Alarm clocks."""

from typing import Any

from celery import shared_task
from django.conf import settings

from checkout import services
from shop.kernel.clock import utc_now
from shop.kernel.clockwatch.services import may_enforce
from shop.kernel.clockwatch.uptime import uptime

MOST_AT_ONCE = 500


@shared_task(name="checkout.tasks.expire_checkouts")
def expire_checkouts(**_: Any) -> None:
    """Expire checkouts whose time is over; what is left over waits for the next wake-up."""
    now = utc_now()
    window = settings.CHECKOUT_LIFETIME_SECONDS
    if may_enforce(what="checkouts", window_seconds=window, now=now, uptime=uptime()):
        services.expire_due(now=now, limit=MOST_AT_ONCE)
