"""What a replay costs the purchases beside it: `python -m bench.replay`.

Two phases by turns, several times, since other programs may run on the machine: shoppers alone, and shoppers beside a
replay at its own rate. So many purchases a second are begun in both, whatever became of those before. What is compared
is how long an order waits for its money to be known: from the gateway's page to the order being paid, which takes the
callback, its settlement, the relay, Kafka and the consumer.

The log holds a month in which every event was handled, except that analytics have heard none of it: that is what the
replay delivers. Everything else is there to be looked at and left alone.
"""

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from bench import month, report, shoppers
from bench.stack import Stack, running
from integrations.embedded.state import PROJECT_ROOT, running_environment

ALLOWED_RATIO = 1.5
SHOPPERS_AT_ONCE = 32
PAID_SECONDS = 60.0
FIRST_DELIVERY_SECONDS = 60.0
REPLAY = ["--consumer", "analytics", "--type", "analytics.events.v1"]
_PAID = """
SELECT o.id::text, extract(epoch FROM e.at)::float8
FROM orders_order o JOIN orders_entry e ON e.order_id = o.id AND e.type = 'paid'
WHERE o.id = ANY(%s::uuid[])
"""
_REPLAYED = "SELECT id::text, delivered FROM kafka_replay ORDER BY id DESC LIMIT 1"
# The month's mails were sent once; one that is touched again is not as it was.
_MAILS_AGAIN = """
SELECT count(*) FROM notifications_mail WHERE order_number = 'N' AND (state <> 'sent' OR attempts <> 1 OR resends <> 0)
"""


def main() -> None:
    """Run the phases, print them and the ratio of their medians, and end with 1 when it is above 1.5."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="shop-bench-") as folder, running(Path(folder)) as stack:
        told = _fill(stack, options)
        phases = _measured(stack, options)
    results = {"machine": report.machine(), "options": vars(options), "month": told, "phases": phases}
    results["medians"] = _medians(phases)
    print(_table(results))
    if options.keep:
        written = report.RESULTS / f"{options.keep}.json"
        written.write_text(json.dumps(results, indent=1) + "\n")
        print(f"written: {written}")
    raise SystemExit(0 if _ratio(results["medians"]) <= ALLOWED_RATIO else 1)


def _fill(stack: Stack, options: argparse.Namespace) -> dict[str, int]:
    from settings import wiring  # noqa: PLC0415  it puts settings into the environment stacks inherit

    until = datetime.now(UTC) - timedelta(hours=1)
    with stack.connect() as connection:
        told = month.fill(
            connection, orders=options.orders, until=until, consumers=wiring.CONSUMERS, unheard_by={"analytics"}
        )
        connection.execute("VACUUM ANALYZE")
    return dict(told)


def _measured(stack: Stack, options: argparse.Namespace) -> list[dict[str, Any]]:
    phases = []
    for number in tqdm(range(-1, 2 * options.rounds), desc="phases", leave=False, disable=None):
        beside = number % 2 == 1
        with _replaying(stack, options.rate) if beside else nullcontext():
            before, began = _replayed(stack), time.monotonic()
            phase = _phase(stack, options)
            replayed = (_replayed(stack) - before) / (time.monotonic() - began)
        # The first one, before the count, warms up.
        if number >= 0:
            phases.append({"replay": beside, "replayed_per_second": replayed, **phase})
    return phases


@contextmanager
def _replaying(stack: Stack, rate: int) -> Iterator[None]:
    """Begin the replay, or go on with it, and stop it as an operator does."""
    environment = os.environ | (running_environment(stack.state_dir) or {})
    manage = [sys.executable, "manage.py", "replay_events"]
    if begun := _last_replay(stack):
        wanted = ["--resume", begun[0]]
    else:
        plan = subprocess.check_output([*manage, *REPLAY], cwd=PROJECT_ROOT, env=environment, text=True)
        expected = plan.split("To deliver to analytics: ")[1].split()[0]
        wanted = [*REPLAY, "--execute", "--expect", expected, "--reason", "bench"]
    before = _replayed(stack)
    process = subprocess.Popen(
        [*manage, *wanted, "--rate", str(rate)],
        cwd=PROJECT_ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + FIRST_DELIVERY_SECONDS
        while _replayed(stack) == before:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("bench: the replay delivers nothing; take more orders for longer phases")
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _last_replay(stack: Stack) -> tuple[str, int] | None:
    with stack.connect() as connection:
        found: tuple[str, int] | None = connection.execute(_REPLAYED).fetchone()
    return found


def _replayed(stack: Stack) -> int:
    found = _last_replay(stack)
    return found[1] if found else 0


def _phase(stack: Stack, options: argparse.Namespace) -> dict[str, Any]:
    """Begin so many purchases a second for so many seconds, and wait until their orders are paid."""
    tokens = shoppers.open_guests(stack.web_port, options.purchases_per_second * options.seconds)
    skus = shoppers.skus_on_sale(stack.web_port, tokens[0])
    bought, failed = _buy(stack, options, tokens=tokens, skus=skus)
    paid_at = _paid(stack, [one.order_id for one in bought])
    with stack.connect() as connection:
        (repeated,) = connection.execute(_MAILS_AGAIN).fetchone()
    return {
        "page_to_paid": report.percentiles(
            [paid_at[one.order_id] - one.ended_at for one in bought if one.order_id in paid_at]
        ),
        "shopper": report.percentiles([one.ended_at - one.began_at for one in bought]),
        "paid": len(paid_at),
        "failed": failed,
        "mails_again": repeated,
        "load": round(report.machine()["load_before"], 1),
    }


def _buy(
    stack: Stack, options: argparse.Namespace, *, tokens: list[str], skus: list[str]
) -> tuple[list[shoppers.Purchase], int]:
    mine, bought, failed = threading.local(), list[shoppers.Purchase](), list[str]()

    def one(token: str) -> None:
        browser = mine.browser = getattr(mine, "browser", None) or shoppers.Browser(stack.web_port)
        try:
            bought.append(shoppers.buy(browser, token, random.choice(skus)))
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            mine.browser = None
            failed.append(str(error))

    begins_at = time.time()
    with ThreadPoolExecutor(SHOPPERS_AT_ONCE) as crowd:
        for number, token in enumerate(tokens):
            time.sleep(max(0.0, begins_at + number / options.purchases_per_second - time.time()))
            crowd.submit(one, token)
    return bought, len(failed)


def _paid(stack: Stack, order_ids: list[str]) -> dict[str, float]:
    deadline = time.monotonic() + PAID_SECONDS
    with stack.connect() as connection:
        while True:
            paid = dict(connection.execute(_PAID, [order_ids]).fetchall())
            if len(paid) == len(order_ids) or time.monotonic() > deadline:
                return paid
            time.sleep(0.1)


def _medians(phases: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    names = [f"p{percent}" for percent in report.PERCENTS]
    return {
        name: {p: median(phase["page_to_paid"][p] for phase in phases if phase["replay"] is beside) for p in names}
        for name, beside in (("alone", False), ("beside a replay", True))
    }


def _ratio(medians: dict[str, dict[str, float]]) -> float:
    return medians["beside a replay"]["p99"] / medians["alone"]["p99"]


def _table(results: dict[str, Any]) -> str:
    described = results["machine"]
    lines = [
        f"{described['cpu']}, {described['cores']} cores, {described['measured_at']}",
        f"in the log: {sum(results['month'].values()):,} events of a month",
        "",
        "from the gateway's page to the order being paid, ms",
        f"{'':<16}     p50     p95     p99    paid  failed  load  replayed/s  mails again",
    ]
    for phase in results["phases"]:
        name = "beside a replay" if phase["replay"] else "alone"
        lines.append(
            f"{name:<16}{_cells(phase['page_to_paid'])} {phase['paid']:7d} {phase['failed']:7d} {phase['load']:5.1f}"
            f" {phase['replayed_per_second']:11.0f} {phase['mails_again']:12d}"
        )
    lines += [f"median {name:<9}{_cells(seconds)}" for name, seconds in results["medians"].items()]
    lines.append(
        f"p99 beside a replay is {_ratio(results['medians']):.2f} x that of shoppers alone (at most {ALLOWED_RATIO})"
    )
    return "\n".join(lines)


def _cells(seconds: dict[str, float]) -> str:
    return "".join(f"{value * 1000:8.1f}" for value in seconds.values())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.replay", description=__doc__)
    parser.add_argument("--orders", type=int, default=5_000, help="in the month that is replayed; six deliveries each")
    parser.add_argument("--rounds", type=int, default=4, help="phases of each kind")
    parser.add_argument("--seconds", type=int, default=20, help="of each phase")
    parser.add_argument("--purchases-per-second", type=int, default=10)
    parser.add_argument("--rate", type=int, default=200, help="of the replay, events a second")
    parser.add_argument("--keep", metavar="NAME", help="write bench/results/NAME.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
