"""What a frontend sees when it repeats a POST."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from shop.kernel.auth.dto import ApiKeyCaller, Caller
from shop.kernel.clock import utc_now
from shop.kernel.errors import Conflict
from shop.kernel.http.views import OpenView, ShopView
from shop.kernel.idempotency import services
from shop.kernel.idempotency.http import idempotent
from shop.kernel.idempotency.models import Key
from shop.kernel.ids import new_id
from tests.races import be_patient

pytestmark = pytest.mark.django_db

DONE: list[Any] = []


def place(body: Any) -> Response:
    return Response({"number": len(DONE), "said": body}, status=201, headers={"Location": f"/orders/{len(DONE)}"})


class OrderView(ShopView):
    answer: Callable[[Any], Response | HttpResponse] = staticmethod(place)

    @idempotent
    def post(self, request: Request) -> HttpResponse:
        DONE.append(request.data)
        return self.answer(request.data)


@pytest.fixture(autouse=True)
def _nothing_done_yet() -> Iterator[None]:
    DONE.clear()
    yield
    DONE.clear()


def post(
    caller: Caller | ApiKeyCaller,
    *,
    key: str | None = "one",
    body: bytes = b'{"sku":"tea","quantity":1}',
    at: str = "/orders",
    answer: Callable[[Any], Response | HttpResponse] = place,
) -> HttpResponse:
    headers = {} if key is None else {"Idempotency-Key": key}
    request = APIRequestFactory().post(at, body, content_type="application/json", headers=headers)
    force_authenticate(request, user=caller)  # type: ignore[arg-type]  # the stubs know Django's users only
    response: HttpResponse = OrderView.as_view(answer=staticmethod(answer))(request)
    return response.render() if isinstance(response, Response) else response


def test_without_the_header_nothing_is_remembered(shopper: Caller, statements: Any) -> None:
    with statements() as counted:
        first, second = post(shopper, key=None), post(shopper, key=None)

    assert [first.status_code, second.status_code] == [201, 201]
    assert len(DONE) == 2
    assert counted == []


def test_a_repeat_is_answered_with_the_very_same_bytes(shopper: Caller) -> None:
    first = post(shopper)
    second = post(shopper)

    assert len(DONE) == 1
    assert (second.status_code, second.content) == (201, first.content)
    for name in ("Content-Type", "Location"):
        assert second.headers[name] == first.headers[name]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"


def test_a_keyed_answer_reads_like_an_unkeyed_one(shopper: Caller) -> None:
    plain = post(shopper, key=None, body=b'{"sku":"Gr\xc3\xbcner Tee"}')
    DONE.clear()
    keyed = post(shopper, body=b'{"sku":"Gr\xc3\xbcner Tee"}')

    assert keyed.content == plain.content
    assert keyed.headers["Content-Type"] == plain.headers["Content-Type"] == "application/json"


def test_a_keyed_request_costs_two_statements_and_a_repeat_two(shopper: Caller, statements: Any) -> None:
    with statements() as first:
        post(shopper)
    with statements() as repeat:
        post(shopper)

    assert (len(first), len(repeat)) == (2, 2)


def test_the_same_json_written_otherwise_is_the_same_request(shopper: Caller) -> None:
    post(shopper, body=b'{"sku":"tea","quantity":1}')
    repeat = post(shopper, body=b'{ "quantity": 1,\n "sku": "t\\u0065a" }')

    assert len(DONE) == 1
    assert repeat.headers["Idempotent-Replayed"] == "true"


def test_the_key_with_another_body_is_refused(shopper: Caller) -> None:
    post(shopper)
    other = post(shopper, body=b'{"sku":"tea","quantity":2}')

    assert other.status_code == 422
    assert b'"code":"idempotency_key_reused"' in other.content
    assert len(DONE) == 1


@pytest.mark.parametrize("body", [b'{"quantity":true}', b'{"quantity":"1"}', b'{"quantity":1.0}', b"[1]", b""])
def test_what_merely_looks_alike_is_another_body(shopper: Caller, body: bytes) -> None:
    post(shopper, body=b'{"quantity":1}')

    assert post(shopper, body=body).status_code == 422


def test_the_key_of_somebody_else_says_nothing(shopper: Caller, stranger: Caller) -> None:
    mine = post(shopper, body=b'{"secret":"mine"}')
    theirs = post(stranger, body=b'{"secret":"theirs"}')

    assert mine.status_code == theirs.status_code == 201
    assert b"mine" not in theirs.content
    assert len(DONE) == 2


def test_an_internal_caller_has_keys_of_its_own() -> None:
    warehouse = ApiKeyCaller(key_id=new_id(), name="warehouse", scopes=frozenset())

    post(warehouse)
    repeat = post(warehouse)

    assert len(DONE) == 1
    assert repeat.headers["Idempotent-Replayed"] == "true"


def test_an_internal_caller_whose_api_key_was_rotated_is_still_the_same_caller() -> None:
    before, after = (ApiKeyCaller(key_id=new_id(), name="warehouse", scopes=frozenset()) for _ in range(2))
    another = ApiKeyCaller(key_id=new_id(), name="bookkeeping", scopes=frozenset())

    post(before)
    repeat, other = post(after), post(another)

    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in other.headers
    assert len(DONE) == 2


def test_the_key_at_another_path_is_another_request(shopper: Caller) -> None:
    post(shopper, at="/orders")
    post(shopper, at="/payments")

    assert len(DONE) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "tab\there", "nul\x00", "del\x7f"])
def test_what_is_no_key_is_refused(shopper: Caller, key: str) -> None:
    response = post(shopper, key=key)

    assert response.status_code == 400
    assert b'"code":"invalid_idempotency_key"' in response.content
    assert DONE == []


@pytest.mark.parametrize("key", ["x", "x" * 255, "with space and ~ and !"])
def test_every_printable_key_is_taken(shopper: Caller, key: str) -> None:
    assert post(shopper, key=key).status_code == 201


@pytest.mark.parametrize("path", ["/cart/" + "x" * 3_000 + "/items", "/cart/%00/items"])
def test_a_path_that_cannot_be_ours_is_not_found(shopper: Caller, path: str) -> None:
    response = post(shopper, at=path)

    assert response.status_code == 404
    assert DONE == []


def test_a_body_that_is_no_json_takes_no_key(shopper: Caller) -> None:
    response = post(shopper, body=b'{"sku":')

    assert response.status_code == 400
    assert Key.objects.count() == 0


def test_numbers_beyond_sixty_four_bits_are_no_surprise(shopper: Caller) -> None:
    assert post(shopper, body=b'{"quantity":%d}' % 10**40).status_code == 201


def refuse(_: Any) -> Response:
    raise Conflict("Not now.")


def break_down(_: Any) -> Response:
    raise ZeroDivisionError


@pytest.mark.parametrize("status", [400, 409, 503])
def test_an_answer_that_is_no_success_is_not_kept(shopper: Caller, status: int) -> None:
    refused = post(shopper, answer=lambda _: Response({"code": "no"}, status=status))
    again = post(shopper)

    assert (refused.status_code, again.status_code) == (status, 201)
    assert len(DONE) == 2


def test_a_refusal_frees_the_key(shopper: Caller) -> None:
    refused = post(shopper, answer=refuse)

    assert refused.status_code == 409
    assert Key.objects.count() == 0
    assert post(shopper).status_code == 201


def test_a_defect_frees_the_key(shopper: Caller) -> None:
    with pytest.raises(ZeroDivisionError):
        post(shopper, answer=break_down)

    assert Key.objects.count() == 0


def test_an_answer_without_body_is_repeated(shopper: Caller) -> None:
    post(shopper, answer=lambda _: Response(status=204))
    repeat = post(shopper)

    assert (repeat.status_code, repeat.content) == (204, b"")
    assert "Content-Type" not in repeat.headers


def test_an_answer_made_by_hand_is_repeated(shopper: Caller) -> None:
    first = post(shopper, answer=lambda _: HttpResponse(b"\xff\x00", content_type="application/pdf"))
    repeat = post(shopper)

    assert repeat.content == first.content == b"\xff\x00"
    assert repeat.headers["Content-Type"] == "application/pdf"


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(shopper: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: object) -> bool:
        raise OperationalError

    monkeypatch.setattr(services, "keep", away)

    assert post(shopper).status_code == 201
    monkeypatch.undo()
    assert post(shopper).status_code == 409


def test_a_refusal_is_told_though_the_key_cannot_be_freed(shopper: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(services, "give_back", away)

    assert b'"detail":"Not now."' in post(shopper, answer=refuse).content


def test_a_request_whose_holder_was_killed_is_done_by_the_next(
    shopper: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "keep", lambda **_: False)
    post(shopper)
    monkeypatch.undo()

    in_time = post(shopper)
    Key.objects.update(lease_expires_at=utc_now() - timedelta(seconds=1))
    taken_over = post(shopper)
    repeat = post(shopper)

    assert in_time.status_code == 409
    assert taken_over.status_code == 201
    assert len(DONE) == 2
    assert repeat.content == taken_over.content


def test_the_header_stands_in_the_schema() -> None:
    class DescribedView(OrderView):
        @extend_schema(operation_id="place", request=None, responses={201: None})
        @idempotent
        def post(self, request: Request) -> HttpResponse:
            return place(request.data)

    generator: Any = SchemaGenerator
    document = generator(patterns=[path("orders", DescribedView.as_view())]).get_schema(public=True)

    operation = document["paths"]["/orders"]["post"]
    assert operation["operationId"] == "place"
    assert [(one["name"], one["in"], one.get("required", False)) for one in operation["parameters"]] == [
        ("Idempotency-Key", "header", False)
    ]


def test_nobody_at_all_has_no_keys() -> None:
    class NobodyView(OpenView):
        @idempotent
        def post(self, request: Request) -> HttpResponse:
            return Response({"request": request.path})

    request = APIRequestFactory().post("/x", {}, format="json", headers={"Idempotency-Key": "one"})

    assert NobodyView.as_view()(request).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_do_it_once(shopper: Caller) -> None:
    together = Barrier(20)

    def one(_: int) -> HttpResponse:
        try:
            be_patient()
            together.wait(timeout=60)
            return post(shopper)
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, range(20)))

    assert len(DONE) == 1
    done = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(done) >= 1
    assert len(done) + len(waiting) == 20
    assert {answer.content for answer in done} == {done[0].content}
    assert sum("Idempotent-Replayed" not in answer.headers for answer in done) == 1


@pytest.mark.django_db(transaction=True)
def test_while_the_first_is_under_way_the_second_is_told_to_wait(shopper: Caller) -> None:
    begun, finish = Event(), Event()

    def slow(body: Any) -> Response:
        begun.set()
        assert finish.wait(timeout=60)
        return place(body)

    def first() -> HttpResponse:
        try:
            return post(shopper, answer=slow)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(first)
        assert begun.wait(timeout=60)
        meanwhile = post(shopper)
        other_body = post(shopper, body=b"{}")
        finish.set()
        done = going.result(timeout=60)

    assert meanwhile.status_code == 409
    assert b'"code":"request_in_flight"' in meanwhile.content
    assert int(meanwhile.headers["Retry-After"]) >= 1
    assert other_body.status_code == 422
    assert post(shopper).content == done.content
    assert len(DONE) == 1


@pytest.mark.parametrize("key", ["4242 4242 4242 4242", "sk_live_51H8abcdefghijkl"])
def test_a_secret_for_a_key_works_and_is_not_stored(shopper: Caller, key: str) -> None:
    first, again = post(shopper, key=key), post(shopper, key=key)

    assert first.content == again.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert key not in Key.objects.get().key
