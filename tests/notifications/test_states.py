"""The table of moves, whole."""

from itertools import product

import pytest

from notifications.states import State, check_move, check_resend
from shop.kernel.errors import IllegalTransition

LEGAL = {
    ("pending", "sending"),
    ("pending", "pending"),
    ("pending", "dead"),
    ("sending", "sent"),
    ("sending", "pending"),
    ("sending", "unconfirmed"),
    ("sending", "dead"),
    ("sent", "pending"),
    ("unconfirmed", "sent"),
    ("unconfirmed", "pending"),
    ("unconfirmed", "dismissed"),
    ("dead", "pending"),
    ("dead", "dismissed"),
    ("dismissed", "sent"),
    ("dismissed", "pending"),
}


@pytest.mark.parametrize(("current", "wanted"), list(product(State, State)))
def test_only_moves_of_the_table_are_made(current: State, wanted: State) -> None:
    if (current, wanted) in LEGAL:
        check_move(current=current, wanted=wanted)
    else:
        with pytest.raises(IllegalTransition):
            check_move(current=current, wanted=wanted)


@pytest.mark.parametrize("state", State)
def test_a_mail_on_its_way_is_not_sent_again(state: State) -> None:
    if state in {"pending", "sending"}:
        with pytest.raises(IllegalTransition):
            check_resend(current=state)
    else:
        check_resend(current=state)
