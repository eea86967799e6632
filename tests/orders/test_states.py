"""The full matrix of moves, legal and illegal."""

from itertools import product

import pytest

from orders.states import TRANSITIONS, Status, check_cancel, check_move
from shop.kernel.errors import IllegalTransition

LEGAL = {
    (Status.PENDING_PAYMENT, Status.PAID),
    (Status.PENDING_PAYMENT, Status.EXPIRED),
    (Status.PENDING_PAYMENT, Status.CANCELLED),
    (Status.PAID, Status.FULFILLED),
    (Status.PAID, Status.CANCELLED),
    (Status.EXPIRED, Status.PAID),
}


@pytest.mark.parametrize(("current", "wanted"), list(product(Status, Status)))
def test_every_move_of_the_table_is_legal_and_no_other(current: Status, wanted: Status) -> None:
    if (current, wanted) in LEGAL:
        check_move(current=current, wanted=wanted)
        return

    with pytest.raises(IllegalTransition) as refused:
        check_move(current=current, wanted=wanted)

    assert refused.value.data == {"current": current, "wanted": wanted}


@pytest.mark.parametrize("current", list(Status))
@pytest.mark.parametrize("by_staff", [False, True])
def test_shoppers_cancel_what_is_unpaid_and_staff_what_is_not_sent(*, current: Status, by_staff: bool) -> None:
    allowed = {Status.PENDING_PAYMENT, Status.PAID} if by_staff else {Status.PENDING_PAYMENT}
    if current in allowed:
        check_cancel(current=current, by_staff=by_staff)
        return

    with pytest.raises(IllegalTransition):
        check_cancel(current=current, by_staff=by_staff)


def test_every_status_stands_in_the_table() -> None:
    assert set(TRANSITIONS) == set(Status)
