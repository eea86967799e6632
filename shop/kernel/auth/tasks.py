"""The clock of sessions."""

from celery import shared_task

from shop.kernel.auth import services
from shop.kernel.clock import utc_now


@shared_task(name="shop.kernel.auth.tasks.forget_ended_sessions")
def forget_ended_sessions(**_: object) -> None:
    """Delete sessions that nobody can renew any more."""
    services.forget_ended_sessions(now=utc_now())
