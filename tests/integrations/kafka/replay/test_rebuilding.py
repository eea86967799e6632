"""A rebuild of the daily counts: the same figures as before, exactly, whatever happens meanwhile."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError
from django.db import connection
from django.db.models import F

from integrations.analytics import services
from integrations.analytics.models import DailyCount, DraftCount
from integrations.analytics.rebuilding import DailyCounts, Difference
from integrations.kafka import drafts, housekeeping
from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import of_log
from integrations.kafka.errors import CannotResume
from integrations.kafka.groups import group
from integrations.kafka.housekeeping import forget_old_inbox_rows
from integrations.kafka.models import Inbox, Replay
from integrations.kafka.replay import rebuilding
from integrations.kafka.replay.audit import Mode, ReplayRequest, begin
from integrations.kafka.replay.pace import Pace, Stopped
from integrations.kafka.replay.running import carry_out
from shop.kernel.clock import utc_now
from shop.kernel.events import UserAction
from shop.kernel.ids import new_id
from shop.kernel.outbox import log as event_log
from shop.kernel.outbox.log import Selection
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import open_unit_of_work
from tests.integrations.kafka.replay.commands import ended, replaying, run
from tests.races import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("one_day")]

TYPE = "analytics.events.v1"
REBUILD = ["--mode", "rebuild", "--consumer", "analytics", "--type", TYPE]
Figures = set[tuple[object, ...]]


def action(name: str, **properties: str | int) -> UserAction:
    return UserAction(occurred_at=utc_now(), user_id=new_id(), guest=False, name=name, properties=dict(properties))


def tell(count: int) -> None:
    """Tell so many actions, of three kinds by turns."""
    with open_unit_of_work():
        for n in range(count):
            publish(
                [
                    action("Product Added", price=500 + n, quantity=2, currency="EUR"),
                    action("Order Completed", amount=1_000 + n, currency="JPY"),
                    action("Notification Sent"),
                ][n % 3]
            )


def handle() -> None:
    """Let the analytics consumer handle everything that was told."""
    for chunk in event_log.chunks(Selection(types=(TYPE,)), size=100):
        deliver(group=group("analytics"), events=[of_log(told) for told in chunk], now=utc_now())


def told_count() -> int:
    return sum(len(chunk) for chunk in event_log.chunks(Selection(types=(TYPE,)), size=500))


def figures() -> Figures:
    return set(DailyCount.objects.values_list("day", "name", "currency", "count", "amount"))


@pytest.fixture
def until() -> str:
    return f"{utc_now() + timedelta(days=1):%Y-%m-%d}T00:00:00Z"


@pytest.fixture
def counted() -> Figures:
    """The figures of sixty actions, and of a view, which no log holds."""
    tell(60)
    handle()
    with open_unit_of_work():
        services.count(action=action("Product Viewed"))
    return figures()


def rebuilt(until: str, *, expect: int) -> str:
    return run(
        "replay_events",
        *REBUILD,
        "--until",
        until,
        "--execute",
        "--expect",
        str(expect),
        "--reason",
        "charts",
        "--rate",
        "5000",
    )


def test_figures_that_are_right_stay_as_they_are(counted: Figures, until: str) -> None:
    assert "Counted 60 events anew; 0 figures were wrong" in rebuilt(until, expect=60)

    assert len(counted) == 4
    assert figures() == counted


def test_figures_that_are_wrong_become_right_and_views_are_left_alone(counted: Figures, until: str) -> None:
    DailyCount.objects.filter(name="Product Added").update(count=F("count") + 7, amount=3)
    DailyCount.objects.filter(name="Order Completed").delete()
    DailyCount.objects.create(day=utc_now().date(), name="Order Expired", count=2)

    assert "3 figures were wrong and are right now" in rebuilt(until, expect=60)

    assert figures() == counted


def test_twice_comes_to_the_same(counted: Figures, until: str) -> None:
    DailyCount.objects.update(count=F("count") * 2)
    DailyCount.objects.filter(name="Product Viewed").update(count=1)

    rebuilt(until, expect=60)
    rebuilt(until, expect=60)

    assert figures() == counted
    assert list(Replay.objects.order_by("id").values_list("mended", flat=True)) == [3, 0]


def test_nothing_is_left_of_the_draft(counted: Figures, until: str) -> None:
    rebuilt(until, expect=60)

    assert not DraftCount.objects.exists()
    assert set(Inbox.objects.values_list("consumer", flat=True)) == {"analytics"}


def test_what_the_consumer_has_not_handled_is_not_counted_before_it_has(counted: Figures, until: str) -> None:
    tell(3)
    rebuilt(until, expect=60)
    assert figures() == counted

    handle()

    assert {row[1]: row[3] for row in figures()} == {
        "Product Added": 21, "Order Completed": 21, "Notification Sent": 21, "Product Viewed": 1,
    }  # fmt: skip


def begun(until: str, *, expected: int) -> Replay:
    selection = Selection(
        types=(TYPE,), since=datetime.fromisoformat(until) - timedelta(days=1), until=datetime.fromisoformat(until)
    )
    wanted = ReplayRequest(
        mode=Mode.REBUILD, selection=selection, consumers=["analytics"], who="test", reason="test", expected=expected
    )
    return begin(wanted)


def test_live_events_are_counted_meanwhile_and_none_is_lost_or_doubled(counted: Figures, until: str) -> None:
    DailyCount.objects.filter(name="Product Added").update(count=F("count") + 7)
    stop = threading.Event()

    def shop_on() -> None:
        while not stop.is_set():
            live()

    def count_anew() -> None:
        try:
            for number in range(1_000):
                carry_out(
                    audit=begun(until, expected=60),
                    pace=Pace(per_second=2_000, stop=threading.Event(), say=print),
                    progress=lambda _: None,
                )
                # The shop may be late.
                if number >= 9 and told_count() > 63:
                    break
        finally:
            stop.set()

    at_once(shop_on, count_anew)

    told = told_count()
    assert told > 63
    assert {row[1]: row[3] for row in figures()} == {
        "Product Added": told // 3, "Order Completed": told // 3, "Notification Sent": told // 3, "Product Viewed": 1,
    }  # fmt: skip


def beside(work: Callable[[], None]) -> None:
    """Do it over another connection, and wait until it is committed."""

    def run_and_hang_up() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run_and_hang_up)
    thread.start()
    thread.join()


def live() -> None:
    tell(3)
    handle()


def one_more_of_each(figures: Figures) -> dict[object, object]:
    return {row[1]: row[3] + (row[1] != "Product Viewed") for row in figures}  # type: ignore[operator]  # a row is loose


def test_what_is_counted_when_the_draft_seems_complete_is_not_taken_away(
    counted: Figures, until: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = drafts.not_drafted

    def then_more_comes(draft: drafts.Draft, *, after: UUID | None, limit: int) -> list[UUID]:
        found = look(draft, after=after, limit=limit)
        if not found and after is not None:
            monkeypatch.undo()
            beside(live)
        return found

    monkeypatch.setattr(drafts, "not_drafted", then_more_comes)

    assert "Counted 63 events anew; 0 figures were wrong" in rebuilt(until, expect=60)

    assert {row[1]: row[3] for row in figures()} == one_more_of_each(counted)


def test_what_is_counted_while_the_two_are_compared_is_not_taken_away(
    counted: Figures, until: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = DailyCounts.difference

    def while_more_comes(made: DailyCounts, **about: Any) -> Difference:
        beside(live)
        return compare(made, **about)

    monkeypatch.setattr(DailyCounts, "difference", while_more_comes)

    assert "Counted 60 events anew; 0 figures were wrong" in rebuilt(until, expect=60)

    assert {row[1]: row[3] for row in figures()} == one_more_of_each(counted)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_ended_in_the_middle_it_goes_on_and_comes_to_the_same(
    counted: Figures, until: str, ending: signal.Signals, tmp_path: Path
) -> None:
    DailyCount.objects.filter(name="Product Added").update(count=F("count") + 7)
    wrong = figures()
    with replaying(tmp_path, *REBUILD, "--until", until, "--expect", "60") as slow:
        said = ended(slow, ending)

    audit = Replay.objects.get()
    assert 4 <= audit.delivered < 60
    assert figures() == wrong
    if ending == signal.SIGTERM:
        assert f"To go on: replay_events --resume {audit.id}" in said
        assert audit.outcome == "stopped"

    assert "1 figures were wrong" in run("replay_events", "--resume", str(audit.id), "--rate", "5000")

    assert figures() == counted
    audit.refresh_from_db()
    assert (audit.delivered, audit.outcome) == (60, "done")
    assert not DraftCount.objects.exists()


def test_one_that_runs_is_not_run_by_a_second_process(counted: Figures, until: str, tmp_path: Path) -> None:
    with (
        replaying(tmp_path, *REBUILD, "--until", until, "--expect", "60"),
        pytest.raises(CommandError, match="is running in another process"),
    ):
        run("replay_events", "--resume", str(Replay.objects.get().id))


def test_two_at_once_do_not_mend_the_same_figures_twice(
    counted: Figures, until: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    DailyCount.objects.filter(name="Product Added").update(count=F("count") + 7)
    compare, other = DailyCounts.difference, begun(until, expected=60)
    pace = Pace(per_second=5_000, stop=threading.Event(), say=print)

    def while_another_runs(made: DailyCounts, **about: Any) -> Difference:
        monkeypatch.undo()
        with suppress(CannotResume):
            at_once(partial(carry_out, audit=other, pace=pace, progress=lambda _: None))
        return compare(made, **about)

    monkeypatch.setattr(DailyCounts, "difference", while_another_runs)

    assert "1 figures were wrong" in rebuilt(until, expect=60)

    assert figures() == counted
    assert "0 figures were wrong" in run("replay_events", "--resume", str(other.id), "--rate", "5000")
    assert figures() == counted


def test_a_log_that_has_lost_a_day_meanwhile_makes_nothing_anew(
    counted: Figures, until: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    DailyCount.objects.filter(name="Product Added").update(count=F("count") + 7)
    wrong, audit = figures(), begun(until, expected=60)
    # What dropping the partition of these days would leave.
    monkeypatch.setattr(rebuilding, "kept_since", lambda: datetime.fromisoformat(until))

    with pytest.raises(CommandError, match=r"The log begins on .* by now"):
        run("replay_events", "--resume", str(audit.id), "--rate", "5000")

    assert figures() == wrong


def test_the_draft_of_a_rebuild_nobody_went_on_with_goes_with_the_log(
    counted: Figures, until: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, audit = threading.Event(), begun(until, expected=60)
    with pytest.raises(Stopped):
        carry_out(audit=audit, pace=Pace(per_second=20, stop=stop, say=print), progress=lambda _: stop.set())
    drafted = Inbox.objects.exclude(consumer="analytics")
    assert drafted.count() == 2
    later = utc_now() + timedelta(days=200)
    # The log has gone meanwhile: nothing keeps the inbox any longer.
    monkeypatch.setattr(housekeeping, "kept_since", lambda: later)

    forget_old_inbox_rows(now=later)

    assert not drafted.exists()


def test_a_dry_run_counts_and_changes_nothing(counted: Figures, until: str) -> None:
    printed = run("replay_events", *REBUILD, "--until", until)

    assert f"To make anew for analytics, from {TYPE}: 60 events" in printed
    assert "Dry run" in printed
    assert not Replay.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--consumer", "orders"], r"orders is not replay_safe for payment.success.v1, payment.failed.v1, refund"),
        (["--consumer", "notifications", "--allow-effect", "mail"], r"notifications is not replay_safe for order"),
        (
            ["--consumer", "analytics"],
            r"analytics is not replay_safe for order.created.v1.*Choose with --type: analytics",
        ),
        (["--consumer", "analytics", "--type", "order.refund_due.v1"], "hears none of these types"),
        (["--consumer", "analytics", "--consumer", "orders"], "A rebuild is of one consumer"),
        (["--consumer", "analytics", "--type", TYPE, "--key", str(new_id())], "not --key"),
        (["--consumer", "analytics", "--type", TYPE, "--since", "2026-11-25T10:00:00Z"], "midnights"),
        (["--consumer", "analytics", "--type", TYPE, "--since", "2020-01-01T00:00:00Z"], "The log begins on"),
        (["--consumer", "analytics", "--type", TYPE, "--dead"], "Choose one of"),
    ],
)
def test_what_cannot_be_made_anew_is_refused_by_name(arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run("replay_events", "--mode", "rebuild", *arguments)
