from datetime import UTC, datetime, timedelta, timezone

import time_machine

from shop.kernel.clock import rfc3339, utc_now


def test_the_time_is_aware_and_utc() -> None:
    with time_machine.travel("2026-11-22T16:40:14.123Z", tick=False):
        assert utc_now() == datetime(2026, 11, 22, 16, 40, 14, 123_000, UTC)

    assert utc_now().utcoffset() == timedelta(0)


def test_instants_are_written_in_utc_with_milliseconds() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert rfc3339(datetime(2026, 11, 23, 1, 40, 14, 123_999, tokyo)) == "2026-11-22T16:40:14.123Z"
