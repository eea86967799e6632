"""Claims, leases and forgetting."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from shop.kernel.idempotency import services
from shop.kernel.idempotency.errors import IdempotencyKeyReused, RequestInFlight
from shop.kernel.idempotency.models import Key
from shop.kernel.idempotency.services import Answer, Claim, Request
from shop.kernel.ids import new_id

pytestmark = pytest.mark.django_db

LEASE = timedelta(seconds=90)
ANSWER = Answer(status=201, headers={"ETag": '"1"'}, body=b"{}")


@pytest.fixture
def request_() -> Request:
    return Request(user_id=new_id(), method="POST", path="/orders", key="one", body_digest=b"x" * 32)


def claimed(request: Request, *, now: datetime) -> Claim:
    claim = services.claim(request=request, now=now)
    assert isinstance(claim, Claim)
    return claim


def test_a_claim_holds_for_the_lease(request_: Request, now: datetime) -> None:
    claimed(request_, now=now)

    with pytest.raises(RequestInFlight):
        services.claim(request=request_, now=now + LEASE - timedelta(microseconds=1))
    assert isinstance(services.claim(request=request_, now=now + LEASE), Claim)


def test_another_body_takes_nothing_over(request_: Request, now: datetime) -> None:
    claimed(request_, now=now)

    with pytest.raises(IdempotencyKeyReused):
        services.claim(request=replace(request_, body_digest=b"y" * 32), now=now + 2 * LEASE)


def test_who_lost_the_lease_cannot_store_an_answer(request_: Request, now: datetime) -> None:
    slow = claimed(request_, now=now)
    quick = claimed(request_, now=now + LEASE)

    assert services.keep(claim=slow, answer=replace(ANSWER, body=b"late")) is False
    assert services.keep(claim=quick, answer=ANSWER) is True
    assert services.claim(request=request_, now=now) == ANSWER


def test_who_lost_the_lease_cannot_free_the_key(request_: Request, now: datetime) -> None:
    slow = claimed(request_, now=now)
    claimed(request_, now=now + LEASE)

    services.give_back(claim=slow)

    with pytest.raises(RequestInFlight):
        services.claim(request=request_, now=now + LEASE)


def test_a_done_request_is_never_taken_over(request_: Request, now: datetime) -> None:
    services.keep(claim=claimed(request_, now=now), answer=ANSWER)

    assert services.claim(request=request_, now=now + 10 * LEASE) == ANSWER


def test_a_freed_key_is_free(request_: Request, now: datetime) -> None:
    services.give_back(claim=claimed(request_, now=now))

    assert isinstance(services.claim(request=request_, now=now), Claim)


def test_a_key_freed_between_two_looks_is_asked_for_again(request_: Request, now: datetime) -> None:
    claimed(request_, now=now)

    def freed_after_the_first(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        outcome = execute(sql, *rest)
        if sql.lstrip().startswith("INSERT"):
            Key.objects.all().delete()
        return outcome

    with connection.execute_wrapper(freed_after_the_first), pytest.raises(RequestInFlight):
        services.claim(request=request_, now=now)


def test_the_database_keeps_no_done_row_without_an_answer(request_: Request, now: datetime) -> None:
    claimed(request_, now=now)

    with pytest.raises(IntegrityError, match="idempotency_key_answer"), transaction.atomic():
        Key.objects.update(state=Key.State.DONE)


def test_old_keys_are_forgotten_in_batches(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "FORGOTTEN_AT_ONCE", 2)
    for age_hours in (100, 90, 80, 73, 71, 1):
        request = Request(user_id=new_id(), method="POST", path="/orders", key="one", body_digest=b"")
        claimed(request, now=now - timedelta(hours=age_hours))

    forgotten = services.forget(before=now - timedelta(hours=72))

    assert forgotten == 4
    assert Key.objects.count() == 2
