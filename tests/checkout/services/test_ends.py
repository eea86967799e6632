from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from uuid import UUID

import pytest

from cart.queries import cart_of
from checkout import services
from checkout.dto import FrozenCheckout
from checkout.errors import CheckoutExpired, CheckoutNotFound, CheckoutStale, QuoteMismatch
from checkout.models import Checkout
from checkout.services import Ended
from checkout.states import Status
from shop.inventory.models import Reservation
from shop.inventory.queries import conservation_report
from shop.kernel.auth.dto import Caller
from shop.kernel.ids import new_id
from shop.kernel.transactions import TransactionMisuse, open_unit_of_work
from tests.cart.factories import NOW, filled, on_sale
from tests.checkout.factories import LATER, REQUEST, checkout_in, held, reservation_state, started, status_of, to

pytestmark = pytest.mark.django_db

Recording = Callable[[], AbstractContextManager[list[str]]]


def claim(checkout_id: UUID, caller: Caller, *, quote_hash: str | None = None) -> FrozenCheckout:
    with open_unit_of_work():
        return services.claim_for_order(checkout_id=checkout_id, user_id=caller.id, quote_hash=quote_hash, now=NOW)


def test_ordering_hands_the_offer_over_as_it_was_frozen_and_empties_the_cart(shopper: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)

    offer = claim(view.offer.checkout_id, shopper, quote_hash=view.offer.quote_hash)

    assert offer == view.offer
    assert status_of(offer.checkout_id) == Status.ORDERED
    assert cart_of(user_id=shopper.id).lines == ()
    assert reservation_state(offer.checkout_id) == "reserved"


def test_ordering_belongs_into_the_orders_transaction(shopper: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)

    with pytest.raises(TransactionMisuse):
        services.claim_for_order(checkout_id=view.offer.checkout_id, user_id=shopper.id, quote_hash=None, now=NOW)

    assert status_of(view.offer.checkout_id) == Status.OPEN


def test_an_unknown_checkout_is_not_found(shopper: Caller) -> None:
    with pytest.raises(CheckoutNotFound):
        claim(new_id(), shopper)


def test_anothers_checkout_is_not_found_whatever_its_state(shopper: Caller, stranger: Caller) -> None:
    view = checkout_in(Status.ORDERED, shopper)

    with pytest.raises(CheckoutNotFound):
        claim(view.offer.checkout_id, stranger)
    with pytest.raises(CheckoutNotFound):
        services.release(caller=stranger, checkout_id=view.offer.checkout_id, now=NOW)


def test_anothers_open_checkout_stays_open(shopper: Caller, stranger: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)

    with pytest.raises(CheckoutNotFound):
        claim(view.offer.checkout_id, stranger)
    with pytest.raises(CheckoutNotFound):
        services.release(caller=stranger, checkout_id=view.offer.checkout_id, now=NOW)

    assert status_of(view.offer.checkout_id) == Status.OPEN


def test_a_cart_that_has_changed_since_makes_the_checkout_stale(shopper: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)
    filled(shopper, MUG=1)

    with pytest.raises(CheckoutStale):
        claim(view.offer.checkout_id, shopper)

    assert status_of(view.offer.checkout_id) == Status.OPEN
    assert cart_of(user_id=shopper.id).item_count == 3
    assert services.release_stale(checkout_id=view.offer.checkout_id) is Ended.DONE
    assert held("MUG") == 0
    assert conservation_report() == []


def test_a_replaced_checkout_is_stale(shopper: Caller) -> None:
    first = checkout_in(Status.OPEN, shopper)
    services.start(caller=shopper, request=REQUEST, now=NOW)

    with pytest.raises(CheckoutStale):
        claim(first.offer.checkout_id, shopper)


def test_time_that_is_over_counts_before_the_clock_has_seen_it(shopper: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)

    with open_unit_of_work(), pytest.raises(CheckoutExpired):
        services.claim_for_order(checkout_id=view.offer.checkout_id, user_id=shopper.id, quote_hash=None, now=LATER)

    assert status_of(view.offer.checkout_id) == Status.OPEN
    assert cart_of(user_id=shopper.id).item_count == 2


def test_another_quote_is_refused_with_both_totals(shopper: Caller) -> None:
    first = checkout_in(Status.OPEN, shopper)
    second = services.start(caller=shopper, request=to("FR"), now=NOW)

    with pytest.raises(QuoteMismatch) as refused:
        claim(second.offer.checkout_id, shopper, quote_hash=first.offer.quote_hash)

    assert refused.value.data == {
        "seen_total": {"amount": 2_490, "currency": "EUR"},
        "total": {"amount": 2_790, "currency": "EUR"},
    }
    assert status_of(second.offer.checkout_id) == Status.OPEN


def test_a_quote_nobody_was_ever_shown_has_no_total(shopper: Caller, stranger: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)
    others = started(stranger, MUG=7)

    with pytest.raises(QuoteMismatch) as refused:
        claim(view.offer.checkout_id, shopper, quote_hash=others.offer.quote_hash)

    assert refused.value.data["seen_total"] is None


@pytest.mark.parametrize("lines", [1, 30])
def test_ordering_costs_two_statements(shopper: Caller, statements: Recording, lines: int) -> None:
    for place in range(lines):
        on_sale(f"SKU-{place}")
    view = started(shopper, **{f"SKU-{place}": 1 for place in range(lines)})

    with open_unit_of_work(), statements() as counted:
        services.claim_for_order(
            checkout_id=view.offer.checkout_id, user_id=shopper.id, quote_hash=view.offer.quote_hash, now=NOW
        )

    assert len(counted) == 2


def test_releasing_gives_the_stock_back(shopper: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)

    assert services.release(caller=shopper, checkout_id=view.offer.checkout_id, now=NOW) is Ended.DONE

    assert held("MUG") == 0
    assert reservation_state(view.offer.checkout_id) == "released"
    assert cart_of(user_id=shopper.id).item_count == 2


def test_releasing_when_the_time_is_over_is_expiring(shopper: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)

    services.release(caller=shopper, checkout_id=view.offer.checkout_id, now=LATER)

    assert status_of(view.offer.checkout_id) == Status.EXPIRED
    assert held("MUG") == 0


def test_the_clock_expires_what_is_due_and_gives_its_stock_back(shopper: Caller, stranger: Caller) -> None:
    due = checkout_in(Status.OPEN, shopper)
    filled(stranger, MUG=3)
    not_due = services.start(caller=stranger, request=REQUEST, now=NOW + timedelta(seconds=1))

    assert services.expire_due(now=LATER, limit=10) == 1

    assert status_of(due.offer.checkout_id) == Status.EXPIRED
    assert status_of(not_due.offer.checkout_id) == Status.OPEN
    assert held("MUG") == 3
    assert conservation_report() == []


def test_nothing_expires_a_moment_too_early(shopper: Caller) -> None:
    view = checkout_in(Status.OPEN, shopper)

    assert services.expire_due(now=LATER - timedelta(microseconds=1), limit=10) == 0
    assert services.expire(checkout_id=view.offer.checkout_id, now=LATER - timedelta(microseconds=1)) is Ended.ALREADY

    assert status_of(view.offer.checkout_id) == Status.OPEN


def test_the_clock_takes_the_oldest_first_and_no_more_than_it_may(shopper: Caller, stranger: Caller) -> None:
    on_sale("MUG")
    services.seed_rates()
    filled(shopper, MUG=1)
    filled(stranger, MUG=1)
    young = services.start(caller=shopper, request=REQUEST, now=NOW + timedelta(seconds=1))
    old = services.start(caller=stranger, request=REQUEST, now=NOW)

    assert services.expire_due(now=LATER + timedelta(hours=1), limit=1) == 1

    assert status_of(old.offer.checkout_id) == Status.EXPIRED
    assert status_of(young.offer.checkout_id) == Status.OPEN


def test_one_checkout_that_cannot_be_expired_does_not_keep_the_others(shopper: Caller, stranger: Caller) -> None:
    broken = checkout_in(Status.OPEN, shopper)
    filled(stranger, MUG=3)
    sound = services.start(caller=stranger, request=REQUEST, now=NOW)
    Checkout.objects.filter(id=broken.offer.checkout_id).update(expires_at=NOW)
    Reservation.objects.filter(id=broken.offer.checkout_id).update(state="committed")

    assert services.expire_due(now=LATER, limit=10) == 1

    assert status_of(broken.offer.checkout_id) == Status.OPEN
    assert status_of(sound.offer.checkout_id) == Status.EXPIRED
