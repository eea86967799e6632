"""The clock of idempotency."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings

from shop.kernel.clock import utc_now
from shop.kernel.idempotency import services


@shared_task(name="shop.kernel.idempotency.tasks.forget_old_keys")
def forget_old_keys(**_: object) -> None:
    """Delete keys that are older than repeats can be."""
    services.forget(before=utc_now() - timedelta(hours=settings.IDEMPOTENCY_KEPT_HOURS))
