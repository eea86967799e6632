from datetime import timedelta

import pytest

from shop.kernel.auth import services
from shop.kernel.auth.models import RefreshFamily
from shop.kernel.auth.tasks import forget_ended_sessions
from shop.kernel.clock import utc_now


@pytest.mark.django_db
def test_the_clock_forgets_sessions_nobody_can_renew() -> None:
    services.open_guest(now=utc_now() - timedelta(days=31))
    services.open_guest(now=utc_now())

    forget_ended_sessions(sent_by_a_newer_release=True)

    assert RefreshFamily.objects.count() == 1
