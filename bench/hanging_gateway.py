"""What a gateway that hangs does to everybody who is not paying: `GET /cart` beside shoppers who try to pay.

Two phases by turns, several times, since other programs may run on the machine: the gateway is well, the gateway
answers after 30 seconds. The load is the same in both, and does not wait for answers: so many carts a second are read,
so many purchases a second are begun, and none is paid in either phase, so that no settlement runs beside one of them
only. A reading's time counts from when it was due, so that one that had to wait for its turn does not look quick.
"""

import argparse
import http.client
import json
import multiprocessing
import random
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from bench import report, shoppers
from bench.shoppers import ADDRESS, Browser
from bench.stack import Stack, running
from integrations.embedded.state import running_environment
from integrations.sandbox_gateway.config import DEMO_API_SECRET

SLOW_SECONDS = 30
READERS = 4
# Shoppers wait for a time-out of ten seconds at worst.
PURCHASES_UNDER_WAY = 128
WELL_IN_A_ROW = 10
WELL_WITHIN_SECONDS = 120.0
ALLOWED_RISE = 0.20


def main() -> None:
    """Run the phases, print them and their medians, and end with 1 when p95 rose by 20 % or more."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="shop-bench-") as folder, running(Path(folder)) as stack:
        phases = _measured(stack, options)
    results = {"machine": report.machine(), "options": vars(options), "phases": phases, "medians": _medians(phases)}
    print(_table(results))
    if options.keep:
        written = report.RESULTS / f"{options.keep}.json"
        written.write_text(json.dumps(results, indent=1) + "\n")
        print(f"written: {written}")
    raise SystemExit(0 if _rises(results["medians"])["p95"] < ALLOWED_RISE else 1)


def _measured(stack: Stack, options: argparse.Namespace) -> list[dict[str, Any]]:
    phases = []
    for number in tqdm(range(-1, 2 * options.rounds), desc="phases", leave=False, disable=None):
        hanging = number % 2 == 1
        _until_well(stack)
        with _hanging(stack) if hanging else nullcontext():
            phase = _phase(stack, options)
        # The first one, before the count, warms up.
        if number >= 0:
            phases.append({"gateway": "hangs" if hanging else "well", **phase})
    return phases


def _phase(stack: Stack, options: argparse.Namespace) -> dict[str, Any]:
    """Read carts in a process of its own while purchases are begun here, for so many seconds."""
    # Guests of its own: a token lives for ten minutes.
    tokens = shoppers.open_guests(stack.web_port, READERS + options.purchases_per_second * options.seconds)
    skus = shoppers.skus_on_sale(stack.web_port, tokens[0])
    readers = [tokens.pop() for _ in range(READERS)]
    for token in readers:
        Browser(stack.web_port).call("POST", "/cart/me/items", token, {"sku": skus[0], "quantity": 1})
    begins_at = time.time() + 1.0
    job = (stack.web_port, readers, options.reads_per_second, options.seconds, begins_at)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as aside:
        reading = aside.submit(read_carts, *job)
        payments = _try_to_buy(stack, options, tokens=tokens, skus=skus, begins_at=begins_at)
        seconds, failed = reading.result()
    return {
        "seconds": report.percentiles(seconds),
        "reads": len(seconds),
        "failed_reads": failed,
        "payments": dict(payments),
        "load": round(report.machine()["load_before"], 1),
    }


def read_carts(
    web_port: int, tokens: list[str], per_second: int, seconds: int, begins_at: float
) -> tuple[list[float], int]:
    """Read so many carts a second, each reader a thread of its own; return what each took since it was due."""
    with ThreadPoolExecutor(len(tokens)) as threads:
        pause = len(tokens) / per_second
        jobs = [
            threads.submit(_read, web_port, token, pause, begins_at + place / per_second, begins_at + seconds)
            for place, token in enumerate(tokens)
        ]
        done = [job.result() for job in jobs]
    return [one for times, _ in done for one in times], sum(failed for _, failed in done)


def _read(web_port: int, token: str, pause: float, due: float, until: float) -> tuple[list[float], int]:
    browser, times, failed = Browser(web_port), list[float](), 0
    while due < until:
        time.sleep(max(0.0, due - time.time()))
        try:
            browser.call("GET", "/cart/me", token)
        except (OSError, RuntimeError, http.client.HTTPException):
            browser, failed = Browser(web_port), failed + 1
        times.append(time.time() - due)
        due += pause
    return times, failed


def _try_to_buy(
    stack: Stack, options: argparse.Namespace, *, tokens: list[str], skus: list[str], begins_at: float
) -> Counter[str]:
    """Begin so many purchases a second, whatever became of those before; return how the payments were answered."""
    mine, answers = threading.local(), Counter[str]()

    def one(token: str) -> None:
        browser = mine.browser = getattr(mine, "browser", None) or Browser(stack.web_port)
        try:
            answers[str(_pay(browser, token, random.choice(skus)))] += 1
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            mine.browser = None
            answers[type(error).__name__] += 1

    with ThreadPoolExecutor(PURCHASES_UNDER_WAY) as crowd:
        for number in range(options.purchases_per_second * options.seconds):
            due = begins_at + number / options.purchases_per_second
            time.sleep(max(0.0, due - time.time()))
            crowd.submit(one, tokens.pop())
    return answers


def _pay(browser: Browser, token: str, sku: str) -> int:
    """Order one thing, ask to pay for it, look at the payment, and return the status of the answer."""
    browser.call("POST", "/cart/me/items", token, {"sku": sku, "quantity": 1})
    wish = {"email": "ada.bench@example.com", "shipping_address": ADDRESS, "shipping_method": "standard"}
    checkout = browser.call("POST", "/checkout", token, wish)
    agreed = {"checkout_id": checkout["id"], "quote_hash": checkout["quote_hash"]}
    order = browser.call("POST", "/orders", token, agreed)
    asked = {"order_id": order["id"], "return_url": "https://shop.example.com/thanks"}
    status, payment = browser.ask("POST", "/payments", token, asked)
    browser.call("GET", f"/payments/{payment.get('id') or payment['payment_id']}", token)
    return status


def _until_well(stack: Stack) -> None:
    """Return once so many payments in a row were begun: every process has found out that the gateway is back."""
    in_a_row, deadline = 0, time.monotonic() + WELL_WITHIN_SECONDS
    while in_a_row < WELL_IN_A_ROW:
        if time.monotonic() > deadline:
            raise SystemExit("bench: the shop did not notice that the gateway is back")
        (token,) = shoppers.open_guests(stack.web_port, 1)
        sku = shoppers.skus_on_sale(stack.web_port, token)[0]
        # A connection of its own may lead to another process.
        in_a_row = in_a_row + 1 if _pay(Browser(stack.web_port), token, sku) == 201 else 0


@contextmanager
def _hanging(stack: Stack) -> Iterator[None]:
    _switch(stack, "PUT", {"slow_seconds": SLOW_SECONDS})
    try:
        yield
    finally:
        _switch(stack, "DELETE", None)


def _switch(stack: Stack, method: str, switches: dict[str, int] | None) -> None:
    port = (running_environment(stack.state_dir) or {})["GATEWAY_PORT"]
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/faults",
        method=method,
        data=json.dumps(switches).encode() if switches else None,
        headers={"Authorization": f"Bearer {DEMO_API_SECRET}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=10):
        pass


def _medians(phases: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    names = [f"p{percent}" for percent in report.PERCENTS]
    return {
        gateway: {
            name: median(phase["seconds"][name] for phase in phases if phase["gateway"] == gateway) for name in names
        }
        for gateway in ("well", "hangs")
    }


def _rises(medians: dict[str, dict[str, float]]) -> dict[str, float]:
    return {name: medians["hangs"][name] / well - 1 for name, well in medians["well"].items()}


def _table(results: dict[str, Any]) -> str:
    described = results["machine"]
    lines = [
        f"{described['cpu']}, {described['cores']} cores, {described['measured_at']}",
        "",
        "GET /cart, ms       p50     p95     p99    reads  failed  load  payments by answer",
    ]
    lines += [
        f"{phase['gateway']:<12} {_cells(phase['seconds'])} {phase['reads']:8d} {phase['failed_reads']:7d}"
        f" {phase['load']:5.1f}  {phase['payments']}"
        for phase in results["phases"]
    ]
    for gateway, seconds in results["medians"].items():
        lines.append(f"median {gateway:<5} {_cells(seconds)}")
    rises = "".join(f"{rise * 100:+7.1f}%" for rise in _rises(results["medians"]).values())
    lines.append(f"rise         {rises}   (p95 may rise by less than {ALLOWED_RISE:.0%})")
    return "\n".join(lines)


def _cells(seconds: dict[str, float]) -> str:
    return "".join(f"{value * 1000:8.1f}" for value in seconds.values())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.hanging_gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="phases of each kind")
    parser.add_argument("--seconds", type=int, default=60, help="of each phase; the circuit opens within the first 30")
    parser.add_argument("--reads-per-second", type=int, default=80)
    parser.add_argument("--purchases-per-second", type=int, default=4)
    parser.add_argument("--keep", metavar="NAME", help="write bench/results/NAME.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
