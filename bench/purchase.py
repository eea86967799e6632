"""`make bench`: purchases per second against the production-like server, with everything else running beside it.

A purchase counts when its order is paid: cart, checkout, order, payment, the gateway's page, its callback, and the
event that tells orders. The instant is the one orders wrote down; the commit follows within the consumer's batch.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench import floor, report, shoppers, statements
from bench.cpu import seconds_by_group
from bench.stack import Stack, running
from integrations.embedded.state import PROJECT_ROOT

CONCURRENCIES = (1, 8, 32)
WARM_UP = 40
PAID_SECONDS = 60.0
_PAID = """
SELECT o.id::text, extract(epoch FROM e.at)::float8
FROM orders_order o JOIN orders_entry e ON e.order_id = o.id AND e.type = 'paid'
WHERE o.id = ANY(%s::uuid[]) AND o.status = 'paid'
"""


@dataclass(frozen=True)
class Run:
    """What came of one round of shopping."""

    shoppers: int
    bought: list[shoppers.Purchase]
    failed: list[str]
    paid_at: dict[str, float]
    cpu_seconds: dict[str, float]

    def as_figures(self) -> dict[str, Any]:
        """Return the round in figures: seconds, and purchases per second."""
        paid = [one for one in self.bought if one.order_id in self.paid_at]
        lasted = max(self.paid_at.values()) - min(one.began_at for one in self.bought)
        columns = zip(*(one.steps for one in paid), strict=True)
        latencies = {name: report.percentiles(column) for name, column in zip(shoppers.STEPS, columns, strict=True)}
        latencies["shopper's part"] = report.percentiles([one.ended_at - one.began_at for one in paid])
        latencies["order is paid"] = report.percentiles([self.paid_at[one.order_id] - one.began_at for one in paid])
        return {
            "shoppers": self.shoppers,
            "paid": len(paid),
            "failed": len(self.failed),
            "purchases_per_second": len(paid) / lasted,
            "latency_seconds": latencies,
            "cpu_seconds_per_purchase": {name: used / len(paid) for name, used in self.cpu_seconds.items()},
        }


def main() -> None:
    """Run the bench and the floor, print the table, keep the results."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="shop-bench-") as folder:
        state_dir = Path(options.state_dir or folder)
        with running(state_dir) as stack:
            results = _measured(stack, options)
        results["floor"] = floor.measured_beside(state_dir) if options.floor else {}
    print(report.table(results))
    if options.keep:
        print("\n".join(f"written: {path}" for path in report.keep(results, name=options.keep)))


def _measured(stack: Stack, options: argparse.Namespace) -> dict[str, Any]:
    rounds = [(WARM_UP, 4), *((options.purchases, concurrency) for concurrency in options.shoppers)]
    [first, *tokens] = _guests(stack, 1 + sum(count for count, _ in rounds))
    skus = shoppers.skus_on_sale(stack.web_port, first)
    counted = statements.count(stack, token=first, skus=skus)
    runs = []
    for number, (count, concurrency) in enumerate(rounds):
        chosen, tokens = tokens[:count], tokens[count:]
        run = _round(stack, tokens=chosen, skus=skus, concurrency=concurrency)
        if number:
            runs.append(run.as_figures())
        for complaint in run.failed[:3]:
            print(f"bench: a purchase failed: {complaint}", file=sys.stderr)
    return {"machine": report.machine(), "statements": counted, "rounds": runs}


def _guests(stack: Stack, count: int) -> list[str]:
    tokens: list[str] = []
    for _ in tqdm(range(0, count, 20), desc="guests", unit="x20", leave=False, disable=None):
        tokens += shoppers.open_guests(stack.web_port, min(20, count - len(tokens)))
    return tokens


def _round(stack: Stack, *, tokens: list[str], skus: list[str], concurrency: int) -> Run:
    job = {"web_port": stack.web_port, "tokens": tokens, "skus": skus, "shoppers": concurrency}
    before, began = seconds_by_group(stack.supervisor_pid), time.time()
    driver = subprocess.Popen(
        [sys.executable, "-m", "bench.shoppers"],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    driver.stdin.write(json.dumps(job))
    driver.stdin.close()
    name = f"{concurrency:2d} shoppers"
    with tqdm(total=len(tokens), desc=name, unit=" purchases", leave=False, disable=None) as bar:
        for line in driver.stdout:
            if line == ".\n":
                bar.update()
            else:
                outcome = json.loads(line)
    driver.wait()
    bought = [shoppers.Purchase(row[0], row[1], row[2], tuple(row[3:])) for row in outcome["bought"]]
    paid_at = _paid(stack, [one.order_id for one in bought])
    # The mails are part of a purchase's cost as well; they are the last thing that happens.
    _wait_for_mails(stack, began)
    after = seconds_by_group(stack.supervisor_pid)
    return Run(
        shoppers=concurrency,
        bought=bought,
        failed=outcome["failed"],
        paid_at=paid_at,
        cpu_seconds={name: after[name] - before[name] for name in after},
    )


def _paid(stack: Stack, order_ids: list[str]) -> dict[str, float]:
    """Wait until all orders are paid, and return when each was."""
    deadline = time.monotonic() + PAID_SECONDS
    with stack.connect() as connection:
        while True:
            paid = dict(connection.execute(_PAID, [order_ids]).fetchall())
            if len(paid) == len(order_ids):
                return paid
            if time.monotonic() > deadline:
                print(f"bench: {len(order_ids) - len(paid)} orders were never paid", file=sys.stderr)
                return paid
            time.sleep(0.1)


def _wait_for_mails(stack: Stack, began: float) -> None:
    deadline = time.monotonic() + PAID_SECONDS
    unsent = "SELECT count(*) FROM notifications_mail WHERE state <> 'sent' AND created_at >= to_timestamp(%s::float8)"
    with stack.connect() as connection:
        while connection.execute(unsent, [began]).fetchone() != (0,) and time.monotonic() < deadline:
            time.sleep(0.1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.purchase", description=__doc__)
    parser.add_argument("--shoppers", type=int, nargs="+", default=CONCURRENCIES, help="how many at once, in turn")
    parser.add_argument("--purchases", type=int, default=300, help="in each round")
    parser.add_argument("--no-floor", dest="floor", action="store_false", help="leave the raw SQL out")
    parser.add_argument("--state-dir", help="keep the data there instead of in a temporary folder")
    parser.add_argument("--keep", metavar="NAME", help="write bench/results/NAME.json and NAME.png")
    return parser.parse_args()


if __name__ == "__main__":
    main()
