"""Ids that grow with time, and order numbers that survive a telephone."""

from concurrent.futures import ThreadPoolExecutor
from time import sleep
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shop.kernel.ids import as_uuid, ids_made_by, new_id, new_order_number, normal_order_number

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NUMBERS = some.builds(new_order_number)


def test_ids_are_uuids_of_version_seven() -> None:
    made = new_id()

    assert (made.version, made.variant) == (7, RFC_4122)


def test_a_simulation_makes_the_ids_of_its_own_context_only() -> None:
    made = UUID(int=7)

    with ids_made_by(lambda: made), ThreadPoolExecutor(1) as pool:
        assert new_id() == made
        assert pool.submit(new_id).result() != made

    assert new_id() != made


def test_a_later_id_is_greater() -> None:
    earlier = new_id()
    sleep(0.002)  # ids of the same millisecond may come in any order

    assert new_id() > earlier


def test_ids_do_not_repeat() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_text_becomes_an_id_or_nothing() -> None:
    known = new_id()

    assert as_uuid(str(known)) == known
    assert as_uuid("me") is None
    assert as_uuid("") is None


def test_a_number_is_read_in_groups() -> None:
    number = new_order_number()

    assert [len(group) for group in number.split("-")] == [4, 4, 2]
    assert set(number) <= {*ALPHABET, "-"}


@given(number=NUMBERS)
def test_a_number_is_found_however_it_is_typed(number: str) -> None:
    typed = number.lower().replace("-", " ").replace("0", "o").replace("1", "l")

    assert normal_order_number(number) == number
    assert normal_order_number(typed) == number


@given(number=NUMBERS, place=some.integers(0, 9), sign=some.sampled_from(ALPHABET))
def test_one_wrong_sign_shows(number: str, place: int, sign: str) -> None:
    signs = list(number.replace("-", ""))
    wrong = signs[place] != sign
    signs[place] = sign

    assert (normal_order_number("".join(signs)) is None) == wrong


@given(number=NUMBERS, place=some.integers(0, 7))
def test_two_swapped_neighbours_show(number: str, place: int) -> None:
    signs = list(number.replace("-", ""))
    one, other = signs[place], signs[place + 1]
    signs[place], signs[place + 1] = other, one

    # Luhn's algorithm cannot tell the lowest digit beside the highest from their exchange.
    blind = one == other or {one, other} == {ALPHABET[0], ALPHABET[-1]}

    assert (normal_order_number("".join(signs)) is None) != blind


@pytest.mark.parametrize("text", ["", "R7KD-2MNP", "R7KD-2MNP-X!", "R7KD-2MNP-XWW", "ÄÖÜß-2MNP-XW"])
def test_what_is_no_number_is_nothing(text: str) -> None:
    assert normal_order_number(text) is None
