import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client

from shop.inventory.models import Reservation, Stock
from shop.kernel.auth.models import User
from tests.shop.inventory.factories import reserved, stock_of, stocked

pytestmark = pytest.mark.django_db
Counting = Callable[[], AbstractContextManager[list[str]]]
SET = "/admin/inventory/stock/MUG/set-on-hand/"


def messages(answer: HttpResponse) -> list[str]:
    return [message.message for message in get_messages(answer.wsgi_request)]  # type: ignore[attr-defined]  # a test client's answer


def count(client: Client, on_hand: object) -> HttpResponse:
    return client.post(SET, {"on_hand": on_hand, "_form_submitted": "True"})  # type: ignore[return-value]  # a test client's answer


def test_stock_is_found_by_sku(support: Client) -> None:
    stocked(MUG=5, TEA=3)

    page = support.get("/admin/inventory/stock/?q=mug").content.decode()

    assert "MUG" in page
    assert "TEA" not in page


def test_units_are_counted_through_the_service(support: Client) -> None:
    stocked(MUG=5)
    reserved(MUG=2)

    answer = count(support, 9)

    assert answer["HX-Redirect"] == "/admin/inventory/stock/MUG/change/"
    assert stock_of("MUG") == (9, 2)
    assert LogEntry.objects.get().change_message == "On hand set to 9."


def test_the_dialog_carries_its_own_guard_against_forgery() -> None:
    stocked(MUG=5)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.create_superuser("support@example.com", "secret"))
    form = {"on_hand": "9", "_form_submitted": "True"}

    dialog = browser.get(SET).content.decode()
    forged = browser.post(SET, form)
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', dialog)
    sent = browser.post(SET, {**form, "csrfmiddlewaretoken": token})

    assert "Units on hand" in dialog
    assert (forged.status_code, sent.status_code, stock_of("MUG")) == (403, 200, (9, 0))


def test_counting_below_what_is_held_changes_nothing(support: Client) -> None:
    stocked(MUG=5)
    reserved(MUG=2)

    answer = count(support, 1)

    assert messages(answer) == ["2 units of MUG are held for shoppers; on hand cannot be 1."]
    assert stock_of("MUG") == (5, 2)
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("on_hand", ["", "-1", "many", "1000000001"])
def test_what_is_no_count_is_asked_for_again(support: Client, on_hand: str) -> None:
    stocked(MUG=5)

    answer = count(support, on_hand)

    assert answer.status_code == 200
    assert "HX-Redirect" not in answer
    assert stock_of("MUG") == (5, 0)


def test_nothing_is_edited_by_hand(support: Client) -> None:
    stocked(MUG=5)
    reservation_id = reserved(MUG=2)

    for path in ("stock/MUG", f"reservation/{reservation_id}"):
        assert support.get(f"/admin/inventory/{path}/change/").status_code == 200
        assert support.post(f"/admin/inventory/{path}/change/", {"on_hand": 9, "held": 0}).status_code == 403
        assert support.post(f"/admin/inventory/{path}/delete/", {"post": "yes"}).status_code == 403
    assert support.get("/admin/inventory/stock/add/").status_code == 403
    assert stock_of("MUG") == (5, 2)
    assert Reservation.objects.get().state == "reserved"


def test_those_who_may_only_look_cannot_count(client: Client) -> None:
    stocked(MUG=5)
    client.force_login(User.objects.create(email="looker@example.com", is_staff=True))

    assert count(client, 9).status_code == 403
    assert stock_of("MUG") == (5, 0)


def test_a_reservation_shows_its_lines(support: Client) -> None:
    stocked(MUG=5, TEA=9)
    reservation_id = reserved(MUG=2, TEA=3)

    page = support.get(f"/admin/inventory/reservation/?q={reservation_id}")
    detail = support.get(f"/admin/inventory/reservation/{reservation_id}/change/").content.decode()

    assert [found.pk for found in page.context["cl"].result_list] == [reservation_id]
    assert "2 x MUG" in detail
    assert "3 x TEA" in detail


def test_a_reservation_is_not_found_by_what_is_no_id(support: Client) -> None:
    stocked(MUG=5)
    reservation_id = reserved(MUG=2)

    assert str(reservation_id) not in support.get("/admin/inventory/reservation/?q=MUG").content.decode()


def test_the_check_says_that_all_is_well(support: Client) -> None:
    stocked(MUG=5)
    reserved(MUG=2)

    assert messages(support.get("/admin/inventory/stock/check/")) == ["Every held unit has its reservation."]  # type: ignore[arg-type]  # a test client's answer


def test_the_check_names_what_differs(support: Client) -> None:
    stocked(MUG=5)
    reserved(MUG=2)
    Stock.objects.update(held=3)

    assert messages(support.get("/admin/inventory/stock/check/")) == [  # type: ignore[arg-type]  # a test client's answer
        "MUG: 3 units are held, reservations promise 2."
    ]


@pytest.mark.parametrize("path", ["stock", "reservation"])
def test_lists_take_the_same_statements_with_1_and_with_3_rows(
    support: Client, statements: Counting, path: str
) -> None:
    stocked(MUG=9)
    reserved(MUG=1)
    with statements() as with_one:
        support.get(f"/admin/inventory/{path}/")
    stocked(TEA=9, POT=9)
    reserved(TEA=1, POT=1)
    reserved(TEA=1)

    with statements() as with_three:
        support.get(f"/admin/inventory/{path}/")

    assert len(with_one) == len(with_three)
