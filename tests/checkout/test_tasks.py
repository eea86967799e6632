import pytest

from checkout.models import Checkout
from checkout.states import Status
from checkout.tasks import expire_checkouts
from shop.kernel.auth.dto import Caller
from tests.cart.factories import NOW
from tests.checkout.factories import checkout_in, held, status_of

pytestmark = pytest.mark.django_db


def test_the_clock_expires_checkouts_and_tolerates_unknown_keywords(shopper: Caller, stranger: Caller) -> None:
    due = checkout_in(Status.OPEN, shopper).offer.checkout_id
    Checkout.objects.update(expires_at=NOW.replace(year=2020))
    fresh = checkout_in(Status.OPEN, stranger).offer.checkout_id
    Checkout.objects.filter(id=fresh).update(expires_at=NOW.replace(year=2200))

    expire_checkouts(asked_by="a newer release")

    assert (status_of(due), status_of(fresh)) == (Status.EXPIRED, Status.OPEN)
    assert held("MUG") == 2
