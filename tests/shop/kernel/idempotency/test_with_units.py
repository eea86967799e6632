"""A keyed request and its effect: both happen, or neither does, and never twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.utils import timezone
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from shop.kernel.clockwatch.models import Watch
from shop.kernel.http.views import ShopView
from shop.kernel.idempotency import services
from shop.kernel.idempotency.http import idempotent
from shop.kernel.idempotency.models import Key
from shop.kernel.ids import new_id
from shop.kernel.transactions import forbid_unit_of_work, unit_of_work

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """What a process meets that is killed: nothing of ours catches it."""


@unit_of_work
def add() -> int:
    Watch.objects.create(what=str(new_id()), state="steady", seen_at=timezone.now(), boot_id="", up_seconds=0)
    return Watch.objects.count()


class AddView(ShopView):
    afterwards: Callable[[], None] = staticmethod(lambda: None)

    @idempotent
    def post(self, request: Request) -> HttpResponse:
        number = add()
        self.afterwards()
        return Response({"number": number}, status=201)


def post(caller: Caller, *, afterwards: Callable[[], None] = lambda: None) -> HttpResponse:
    request = APIRequestFactory().post("/adds", {}, format="json", headers={"Idempotency-Key": "one"})
    force_authenticate(request, user=caller)  # type: ignore[arg-type]  # the stubs know Django's users only
    response: HttpResponse = AddView.as_view(afterwards=staticmethod(afterwards))(request)
    return response.render() if isinstance(response, Response) else response


def the_lease_ends() -> None:
    Key.objects.update(lease_expires_at=utc_now() - timedelta(seconds=1))


def somebody_takes_over() -> None:
    the_lease_ends()
    (key,) = Key.objects.all()
    taken = services.claim(
        request=services.Request(key.user_id, key.method, key.path, key.key, bytes(key.body_digest)), now=utc_now()
    )
    assert isinstance(taken, services.Claim)


def dies(*_: object, **__: object) -> None:
    raise Killed


def test_killed_before_its_answer_was_kept_it_has_done_nothing_and_the_next_does_it_once(
    shopper: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(services, "keep", dies)
        # Who is killed gives nothing back either.
        meanwhile.setattr(services, "give_back", lambda **_: None)
        with pytest.raises(Killed):
            post(shopper)

    assert Watch.objects.count() == 0
    assert post(shopper).status_code == 409
    the_lease_ends()
    again, replayed = post(shopper), post(shopper)
    assert (again.status_code, replayed.content) == (201, again.content)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert Watch.objects.count() == 1


def test_who_was_too_slow_undoes_what_it_did_and_says_that_another_is_at_it(shopper: Caller) -> None:
    slow = post(shopper, afterwards=somebody_takes_over_elsewhere)

    assert (slow.status_code, b"request_in_flight" in slow.content) == (409, True)
    assert slow.headers["Retry-After"] == "1"
    assert Watch.objects.count() == 0
    assert Key.objects.get().state == "in_flight"


def somebody_takes_over_elsewhere() -> None:
    """Take over on a connection of its own, as another process does."""

    def take() -> None:
        try:
            somebody_takes_over()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        other.submit(take).result()


def test_an_effect_whose_answer_cannot_be_kept_does_not_happen(
    shopper: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: Any) -> bool:
        raise OperationalError("the database is away")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(services, "keep", away)
        refused = post(shopper)

    assert refused.status_code == 503
    assert Watch.objects.count() == 0
    assert post(shopper).status_code == 201
    assert Watch.objects.count() == 1


def test_a_defect_after_the_effect_undoes_it(shopper: Caller) -> None:
    def defect() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        post(shopper, afterwards=defect)

    assert Watch.objects.count() == 0
    assert Key.objects.count() == 0


def test_a_request_that_asks_the_network_has_committed_before(shopper: Caller) -> None:
    states: list[bool] = []

    def ask() -> None:
        forbid_unit_of_work("Asking a gateway")
        states.append(connection.in_atomic_block)

    post(shopper, afterwards=ask)

    assert states == [False]
    assert Key.objects.get().state == "done"


def test_a_commit_whose_confirmation_was_lost_leaves_its_answer(
    shopper: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = services.keep

    def kept_but(**kwargs: Any) -> bool:
        keep(**kwargs)
        connection.connection.commit()
        raise OperationalError("the confirmation was lost")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(services, "keep", kept_but)
        post(shopper)

    assert Watch.objects.count() == 1
    assert post(shopper).headers["Idempotent-Replayed"] == "true"
    assert Watch.objects.count() == 1


def test_the_lease_is_a_setting(shopper: Caller, settings: Settings) -> None:
    settings.IDEMPOTENCY_LEASE_SECONDS = 7
    began = utc_now()

    post(shopper)

    lease = (Key.objects.get().lease_expires_at - began).total_seconds()
    assert 7 <= lease < 60
