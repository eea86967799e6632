from datetime import timedelta

import pytest
from django.conf import settings

from shop.kernel.clock import utc_now
from shop.kernel.idempotency import services
from shop.kernel.idempotency.models import Key
from shop.kernel.idempotency.services import Request
from shop.kernel.idempotency.tasks import forget_old_keys
from shop.kernel.ids import new_id


@pytest.mark.django_db
def test_the_clock_forgets_what_is_older_than_repeats_can_be() -> None:
    for hours in (settings.IDEMPOTENCY_KEPT_HOURS + 1, settings.IDEMPOTENCY_KEPT_HOURS - 1):
        request = Request(user_id=new_id(), method="POST", path="/orders", key=str(hours), body_digest=b"")
        services.claim(request=request, now=utc_now() - timedelta(hours=hours))

    forget_old_keys(sent_by_a_newer_release=True)

    assert Key.objects.get().key == str(settings.IDEMPOTENCY_KEPT_HOURS - 1)
