from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import time_machine

from shop.kernel.clock import clock_told_by, rfc3339, utc_now


def test_the_time_is_aware_and_utc() -> None:
    with time_machine.travel("2026-11-22T16:40:14.123Z", tick=False):
        assert utc_now() == datetime(2026, 11, 22, 16, 40, 14, 123_000, UTC)

    assert utc_now().utcoffset() == timedelta(0)


def test_instants_are_written_in_utc_with_milliseconds() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert rfc3339(datetime(2026, 11, 23, 1, 40, 14, 123_999, tokyo)) == "2026-11-22T16:40:14.123Z"


def test_a_simulation_says_what_time_it_is_in_its_own_context_only() -> None:
    told = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)

    with clock_told_by(lambda: told), ThreadPoolExecutor(1) as pool:
        assert utc_now() == told
        assert pool.submit(utc_now).result() != told

    assert utc_now() != told
