import pytest
from django.db.models import F

from shop.inventory.dto import Discrepancy
from shop.inventory.models import Stock
from shop.inventory.queries import available, conservation_report
from shop.inventory.states import ReservationState
from tests.shop.inventory.factories import reservation_in, reserved, stocked

pytestmark = pytest.mark.django_db


def test_available_is_what_nobody_holds() -> None:
    stocked(MUG=5, TEA=7)
    reserved(MUG=5)

    assert available(skus=["MUG", "TEA", "NO-SUCH"]) == {"MUG": 0, "TEA": 7}


def test_stock_is_conserved_whatever_happens_to_reservations() -> None:
    stocked(MUG=50)
    for state in ReservationState:
        reservation_in(state, MUG=2)

    assert conservation_report() == []


def test_the_report_names_what_does_not_add_up() -> None:
    stocked(MUG=5, TEA=5)
    reserved(MUG=2, TEA=2)
    Stock.objects.filter(sku="MUG").update(held=F("held") + 1)
    Stock.objects.filter(sku="TEA").delete()

    assert conservation_report() == [
        Discrepancy(sku="MUG", held=3, promised=2),
        Discrepancy(sku="TEA", held=0, promised=2),
    ]
