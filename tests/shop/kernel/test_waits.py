from datetime import timedelta

from shop.kernel.waits import spread

MINUTE = timedelta(minutes=1)


def test_up_to_a_fifth_is_added_and_never_the_same() -> None:
    waits = [spread(MINUTE) for _ in range(200)]

    assert all(MINUTE <= wait <= MINUTE * 1.2 for wait in waits)
    assert len(set(waits)) > 100


def test_no_wait_stays_none() -> None:
    assert spread(timedelta(0)) == timedelta(0)
