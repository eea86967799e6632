"""The one table of a refund's moves, and what a gateway's words about refunds mean."""

from itertools import product

import pytest

from payments.dto import RefundState
from payments.states import HOLDING, RefundStatus, check_refund_move, refund_moves_to
from shop.kernel.errors import IllegalTransition

S = RefundStatus
LEGAL = {
    (S.REQUESTED, S.SUBMITTED),
    (S.SUBMITTED, S.UNKNOWN),
    (S.SUBMITTED, S.SUCCEEDED),
    (S.SUBMITTED, S.REJECTED),
    (S.UNKNOWN, S.SUBMITTED),
    (S.UNKNOWN, S.SUCCEEDED),
    (S.UNKNOWN, S.REJECTED),
    (S.SUCCEEDED, S.REVERSED),
}
PENDING, SUCCEEDED, REJECTED, REVERSED = RefundState


@pytest.mark.parametrize(("current", "wanted"), list(product(S, S)))
def test_exactly_the_moves_of_the_table_are_legal(current: RefundStatus, wanted: RefundStatus) -> None:
    if (current, wanted) in LEGAL:
        check_refund_move(current, wanted)
        return

    with pytest.raises(IllegalTransition) as refused:
        check_refund_move(current, wanted)

    assert refused.value.data == {"current": current, "wanted": wanted}


@pytest.mark.parametrize(
    ("current", "word", "path"),
    [
        (S.REQUESTED, PENDING, (S.SUBMITTED,)),
        (S.REQUESTED, SUCCEEDED, (S.SUBMITTED, S.SUCCEEDED)),
        (S.REQUESTED, REJECTED, (S.SUBMITTED, S.REJECTED)),
        (S.REQUESTED, REVERSED, (S.SUBMITTED, S.SUCCEEDED, S.REVERSED)),
        (S.SUBMITTED, PENDING, ()),
        (S.SUBMITTED, SUCCEEDED, (S.SUCCEEDED,)),
        (S.SUBMITTED, REJECTED, (S.REJECTED,)),
        (S.SUBMITTED, REVERSED, (S.SUCCEEDED, S.REVERSED)),
        (S.UNKNOWN, PENDING, (S.SUBMITTED,)),
        (S.UNKNOWN, SUCCEEDED, (S.SUCCEEDED,)),
        (S.UNKNOWN, REJECTED, (S.REJECTED,)),
        (S.UNKNOWN, REVERSED, (S.SUCCEEDED, S.REVERSED)),
        (S.SUCCEEDED, PENDING, ()),
        (S.SUCCEEDED, SUCCEEDED, ()),
        (S.SUCCEEDED, REJECTED, (S.REVERSED,)),
        (S.SUCCEEDED, REVERSED, (S.REVERSED,)),
        *[(ended, word, ()) for ended in (S.REJECTED, S.REVERSED) for word in RefundState],
    ],
)
def test_the_way_to_a_gateways_word(current: RefundStatus, word: RefundState, path: tuple[RefundStatus, ...]) -> None:
    assert refund_moves_to(current, word) == path


@pytest.mark.parametrize(("current", "word"), list(product(S, RefundState)))
def test_every_way_is_made_of_legal_moves(current: RefundStatus, word: RefundState) -> None:
    path = refund_moves_to(current, word)

    for before, after in zip((current, *path), path, strict=False):
        check_refund_move(before, after)


def test_only_what_is_rejected_or_came_back_lets_the_money_go() -> None:
    assert frozenset(S) - HOLDING == {S.REJECTED, S.REVERSED}
