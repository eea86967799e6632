"""The clock of idempotency."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings

from shop.kernel.clock import utc_now
from shop.kernel.clockwatch.services import may_forget
from shop.kernel.clockwatch.uptime import uptime
from shop.kernel.idempotency import services


@shared_task(name="shop.kernel.idempotency.tasks.forget_old_keys")
def forget_old_keys(**_: object) -> None:
    """Delete keys that are older than repeats can be."""
    now = utc_now()
    if may_forget(now=now, uptime=uptime()):
        services.forget(before=now - timedelta(hours=settings.IDEMPOTENCY_KEPT_HOURS))
