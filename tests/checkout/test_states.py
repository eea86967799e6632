import pytest

from checkout import services
from checkout.errors import CheckoutAlreadyOrdered, CheckoutExpired, CheckoutStale
from checkout.services import Ended
from checkout.states import TRANSITIONS, Status, check_move
from shop.kernel.auth.dto import Caller
from shop.kernel.errors import IllegalTransition, Refusal
from shop.kernel.transactions import open_unit_of_work
from tests.cart.factories import NOW
from tests.checkout.factories import LATER, checkout_in, held, status_of

LEGAL = {(Status.OPEN, Status.ORDERED), (Status.OPEN, Status.RELEASED), (Status.OPEN, Status.EXPIRED)}
MATRIX = [(current, wanted) for current in Status for wanted in Status]


def test_every_status_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(Status)


@pytest.mark.parametrize(("current", "wanted"), MATRIX)
def test_the_table_of_moves_is_the_one_of_the_design(current: Status, wanted: Status) -> None:
    if (current, wanted) in LEGAL:
        check_move(current=current, wanted=wanted)
        return

    with pytest.raises(IllegalTransition) as refused:
        check_move(current=current, wanted=wanted)

    assert refused.value.data == {"current": current.value, "wanted": wanted.value}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("current", "refusal"),
    [
        (Status.OPEN, None),
        (Status.ORDERED, CheckoutAlreadyOrdered),
        (Status.RELEASED, CheckoutStale),
        (Status.EXPIRED, CheckoutExpired),
    ],
)
def test_ordering_moves_an_open_checkout_only(shopper: Caller, current: Status, refusal: type[Refusal] | None) -> None:
    checkout_id = checkout_in(current, shopper).offer.checkout_id

    try:
        with open_unit_of_work():
            services.claim_for_order(checkout_id=checkout_id, user_id=shopper.id, quote_hash=None, now=NOW)
        raised = None
    except Refusal as error:
        raised = type(error)

    assert raised is refusal
    assert status_of(checkout_id) == (current if refusal else Status.ORDERED)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("current", "ended"),
    [(Status.OPEN, Ended.DONE), (Status.RELEASED, Ended.ALREADY), (Status.EXPIRED, Ended.ALREADY)],
)
def test_releasing_moves_an_open_checkout_and_is_patient_with_ended_ones(
    shopper: Caller, current: Status, ended: Ended
) -> None:
    checkout_id = checkout_in(current, shopper).offer.checkout_id

    assert services.release(caller=shopper, checkout_id=checkout_id, now=NOW) is ended

    assert status_of(checkout_id) == (Status.RELEASED if ended is Ended.DONE else current)
    assert held("MUG") == 0


@pytest.mark.django_db
def test_an_ordered_checkout_is_not_released(shopper: Caller) -> None:
    checkout_id = checkout_in(Status.ORDERED, shopper).offer.checkout_id

    with pytest.raises(IllegalTransition) as refused:
        services.release(caller=shopper, checkout_id=checkout_id, now=NOW)

    assert refused.value.data == {"current": "ordered", "wanted": "released"}
    assert status_of(checkout_id) == Status.ORDERED
    assert held("MUG") == 2


@pytest.mark.django_db
@pytest.mark.parametrize("current", Status)
def test_expiring_moves_an_open_checkout_only(shopper: Caller, current: Status) -> None:
    checkout_id = checkout_in(current, shopper).offer.checkout_id

    ended = services.expire(checkout_id=checkout_id, now=LATER)

    assert ended is (Ended.DONE if current is Status.OPEN else Ended.ALREADY)
    assert status_of(checkout_id) == (Status.EXPIRED if current is Status.OPEN else current)


@pytest.mark.django_db
@pytest.mark.parametrize("current", Status)
def test_giving_up_a_stale_checkout_moves_an_open_one_only(shopper: Caller, current: Status) -> None:
    checkout_id = checkout_in(current, shopper).offer.checkout_id

    ended = services.release_stale(checkout_id=checkout_id)

    assert ended is (Ended.DONE if current is Status.OPEN else Ended.ALREADY)
    assert status_of(checkout_id) == (Status.RELEASED if current is Status.OPEN else current)
