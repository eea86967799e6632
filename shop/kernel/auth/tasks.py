"""The clock of sessions."""

from celery import shared_task

from shop.kernel.auth import services
from shop.kernel.clock import utc_now
from shop.kernel.clockwatch.services import may_forget
from shop.kernel.clockwatch.uptime import uptime


@shared_task(name="shop.kernel.auth.tasks.forget_ended_sessions")
def forget_ended_sessions(**_: object) -> None:
    """Delete sessions that nobody can renew any more, by a clock that can be believed."""
    now = utc_now()
    if may_forget(now=now, uptime=uptime()):
        services.forget_ended_sessions(now=now)
