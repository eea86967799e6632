"""The one table of moves, and what a gateway's words mean."""

from itertools import product

import pytest

from payments.dto import SessionState
from payments.states import OPEN, TRANSITIONS, AttemptStatus, check_move, meaning, moves_to
from shop.kernel.errors import IllegalTransition

S = AttemptStatus
SAID = sorted({meaning(state, overdue=late) for state in SessionState for late in (True, False)})
LEGAL = {
    (S.CREATED, S.PENDING),
    (S.CREATED, S.UNKNOWN),
    (S.CREATED, S.FAILED),
    (S.UNKNOWN, S.PENDING),
    (S.UNKNOWN, S.SUCCEEDED),
    (S.UNKNOWN, S.FAILED),
    (S.UNKNOWN, S.EXPIRED),
    (S.PENDING, S.PROCESSING),
    (S.PENDING, S.SUCCEEDED),
    (S.PENDING, S.FAILED),
    (S.PENDING, S.CANCELLED),
    (S.PENDING, S.EXPIRED),
    (S.PROCESSING, S.SUCCEEDED),
    (S.PROCESSING, S.FAILED),
    (S.FAILED, S.SUCCEEDED),
    (S.CANCELLED, S.SUCCEEDED),
    (S.EXPIRED, S.SUCCEEDED),
}


@pytest.mark.parametrize(("current", "wanted"), list(product(S, S)))
def test_exactly_the_moves_of_the_table_are_legal(current: AttemptStatus, wanted: AttemptStatus) -> None:
    if (current, wanted) in LEGAL:
        check_move(current, wanted)
        return

    with pytest.raises(IllegalTransition) as refused:
        check_move(current, wanted)

    assert refused.value.data == {"current": current, "wanted": wanted}


@pytest.mark.parametrize(("current", "word"), list(product(S, SAID)))
def test_every_path_to_a_gateways_word_is_made_of_legal_moves(current: AttemptStatus, word: AttemptStatus) -> None:
    path = moves_to(current, word)

    for before, after in zip((current, *path), path, strict=False):
        check_move(before, after)


@pytest.mark.parametrize("current", sorted(OPEN | {S.FAILED, S.CANCELLED, S.EXPIRED}))
def test_money_wins_from_everywhere(current: AttemptStatus) -> None:
    assert moves_to(current, S.SUCCEEDED)[-1] is S.SUCCEEDED


@pytest.mark.parametrize("word", [word for word in S if word is not S.SUCCEEDED])
@pytest.mark.parametrize("closed", [S.FAILED, S.CANCELLED, S.EXPIRED, S.SUCCEEDED])
def test_nothing_but_money_moves_what_is_closed(closed: AttemptStatus, word: AttemptStatus) -> None:
    assert moves_to(closed, word) == ()


def test_a_session_nobody_knew_of_was_pending_before_it_was_cancelled() -> None:
    assert moves_to(S.UNKNOWN, S.CANCELLED) == (S.PENDING, S.CANCELLED)
    assert moves_to(S.CREATED, S.SUCCEEDED) == (S.PENDING, S.SUCCEEDED)


def test_money_under_way_that_never_arrives_has_failed() -> None:
    assert moves_to(S.PROCESSING, S.EXPIRED) == (S.FAILED,)
    assert moves_to(S.PROCESSING, S.PENDING) == ()


def test_success_is_final() -> None:
    assert TRANSITIONS[S.SUCCEEDED] == frozenset()


@pytest.mark.parametrize(
    ("state", "overdue", "status"),
    [
        (SessionState.OPEN, False, S.PENDING),
        (SessionState.PROCESSING, False, S.PROCESSING),
        (SessionState.PAID, True, S.SUCCEEDED),
        (SessionState.FAILED, False, S.FAILED),
        (SessionState.CANCELLED, True, S.CANCELLED),
        (SessionState.EXPIRED, False, S.EXPIRED),
        (SessionState.CLOSED, False, S.CANCELLED),
        (SessionState.CLOSED, True, S.EXPIRED),
    ],
)
def test_what_a_gateways_state_means(state: SessionState, overdue: bool, status: AttemptStatus) -> None:
    assert meaning(state, overdue=overdue) is status
