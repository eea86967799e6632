"""The relay: events a second, CPU an event, commit to acknowledgement, the cost of waking it, and its ceilings."""

import argparse
import json
import os
import signal
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tqdm import tqdm

from bench import report
from bench.cpu import seconds_by_group, seconds_of
from bench.events import backlog, peers, shown
from bench.events.place import Place, answer, ask, eventually, metric, prepared, tell
from integrations.embedded.ports import any_free

WRITERS = 2
RATE = 600
LATENCY_SECONDS = 20
# Of each writer, one after the other: a Java broker compiles what it does often.
WARM_UP_SECONDS = 5
# A drain that takes longer is stuck.
DRAIN_SECONDS = 300.0
CEILING_EVENTS = 100_000
EMPTY = "SELECT NOT EXISTS (SELECT FROM outbox_pending)"


def main() -> None:
    """Measure everything, print it, keep it."""
    options = _options()
    with prepared(kafka=options.kafka) as place:
        results: dict[str, Any] = {"machine": report.machine(), "kafka": options.kafka}
        print(shown.head(results["machine"], kafka=options.kafka))
        for name, measure in _parts(place, options).items():
            if name in (options.only or [name]):
                results[name] = measure()
                print(shown.part(name, results[name]), flush=True)
    if options.keep:
        print("\n".join(f"written: {path}" for path in report.keep(results, name=options.keep, plot=shown.plot)))


def _parts(place: Place, options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    return {
        "latency": lambda: latency(place, seconds=options.seconds),
        "wake_up": lambda: wake_up(place, rounds=options.rounds),
        "drains": lambda: [drain(place, relays=relays, events=options.backlog) for relays in options.relays],
        "ceilings": lambda: ceilings(place),
        "peers": lambda: peers.measured(place, events=options.peer_backlog),
    }


def drain(place: Place, *, relays: int, events: int) -> dict[str, float]:
    """Let so many relays send a backlog that appears at one instant, until Kafka has acknowledged all of it."""
    with ExitStack() as running, place.connect() as connection:
        backlog.clear(connection)
        ports = [any_free() for _ in range(relays)]
        for port in ports:
            running.enter_context(place.running("manage.py", "relay_outbox", METRICS_PORT=str(port)))
        began = backlog.fill(connection, events=events)
        before = seconds_by_group(os.getpid())
        _until_published(ports, events)
        lasted = time.monotonic() - began
        eventually(
            lambda: connection.execute(EMPTY).fetchone()[0],
            what="the queue to be empty",
        )
        after = seconds_by_group(os.getpid())
    used = {group: after[group] - before[group] for group in ("relay", "postgres", "kafka")}
    return {
        "relays": relays,
        "events": events,
        "seconds": lasted,
        "per_second": events / lasted,
        **{f"cpu_us_{group}": seconds / events * 1e6 for group, seconds in used.items()},
    }


def _until_published(ports: list[int], events: int) -> None:
    def published() -> float:
        time.sleep(0.1)
        return sum(metric(port, "shop_relay_published_total{") for port in ports)

    with tqdm(total=events, desc="drained", unit=" events", leave=False, disable=None) as bar:

        def done() -> bool:
            so_far = published()
            bar.update(int(so_far) - bar.n)
            return so_far >= events

        eventually(done, what="the queue to be drained", seconds=DRAIN_SECONDS)


def latency(place: Place, *, seconds: float) -> dict[str, Any]:
    """Tell 600 events a second and return how long after each commit the broker had acknowledged it."""
    notes = place.folder / "acknowledged.json"
    with ExitStack() as running:
        with place.running("-m", "bench.events.witness", str(notes)) as relay:
            writers = [_writer(running, place) for _ in range(WRITERS)]
            for writer in writers:
                ask(writer, {"rate": RATE / WRITERS, "seconds": WARM_UP_SECONDS, "keys": False})
            cpu = seconds_of(relay.pid)
            for writer in writers:
                tell(writer, {"rate": RATE / WRITERS, "seconds": seconds})
            told = [answer(writer) for writer in writers]
            cpu = seconds_of(relay.pid) - cpu
            with place.connect() as connection:
                eventually(lambda: connection.execute(EMPTY).fetchone()[0], what="the queue to be empty")
        acknowledged = json.loads(notes.read_text())
    committed = {key: at for one in told for key, at in one["committed"]}
    waited = [acknowledged[key] - at for key, at in committed.items()]
    return {
        "events": len(waited),
        "per_second": sum(one["per_second"] for one in told),
        "seconds": report.percentiles(waited),
        "longest_seconds": max(waited),
        "relay_cores": cpu / seconds,
    }


def wake_up(place: Place, *, rounds: int) -> dict[str, Any]:
    """Let writers commit as fast as they can, by turns with notices and without; no relay runs."""
    with ExitStack() as running:
        ways = {
            "with": [_writer(running, place) for _ in range(WRITERS)],
            "without": [_writer(running, place, REDIS_URL="") for _ in range(WRITERS)],
        }
        seen: dict[str, list[dict[str, Any]]] = {"with": [], "without": []}
        for number in range(rounds):
            # ABBA: whatever drifts, drifts for both.
            for way in sorted(ways, reverse=bool(number % 2)):
                for writer in ways[way]:
                    tell(writer, {"rate": 0, "seconds": 2, "keys": False})
                seen[way] += [_sum([answer(writer) for writer in ways[way]])]
        with place.connect() as connection:
            backlog.clear(connection)
    rates = {way: statistics.median(one["per_second"] for one in found[1:]) for way, found in seen.items()}
    cpu = {way: statistics.median(one["cpu_us"] for one in found[1:]) for way, found in seen.items()}
    return {"commits_per_second": rates, "writer_cpu_us": cpu, "cost": 1 - rates["with"] / rates["without"]}


def _sum(told: list[dict[str, Any]]) -> dict[str, float]:
    commits = sum(one["commits"] for one in told)
    return {
        "per_second": sum(one["per_second"] for one in told),
        "cpu_us": sum(one["cpu_us"] * one["commits"] for one in told) / commits,
    }


def ceilings(place: Place) -> dict[str, Any]:
    """Measure the producer without a database, and reading and deleting without Kafka."""
    with place.connect() as connection:
        backlog.clear(connection)
        backlog.fill(connection, events=CEILING_EVENTS)
    ways = {"producer": ["producer", str(CEILING_EVENTS)], "delete": ["delete"]}
    found = {way: answer(place.start("-m", "bench.events.ceilings", *arguments)) for way, arguments in ways.items()}
    with place.connect() as connection:
        backlog.clear(connection)
    return found


def _writer(running: ExitStack, place: Place, **environment: str) -> Any:
    writer = place.start("-m", "bench.events.writer", **environment)
    running.callback(writer.wait)
    running.callback(writer.send_signal, signal.SIGTERM)
    # Imports and the first connection are no part of a measurement.
    ask(writer, {"rate": 0, "seconds": 0.2, "keys": False})
    return writer


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description=__doc__)
    parser.add_argument("--kafka", choices=("embedded", "real"), default="embedded")
    parser.add_argument("--backlog", type=int, default=100_000, help="events that wait at once")
    parser.add_argument("--relays", type=int, nargs="+", default=[1, 2], help="how many at once, in turn")
    parser.add_argument("--seconds", type=float, default=LATENCY_SECONDS, help="of telling 600 events a second")
    parser.add_argument("--rounds", type=int, default=7, help="of writers with and without notices")
    parser.add_argument("--peer-backlog", type=int, default=5_000, help="events that other projects' relays send")
    parser.add_argument("--only", nargs="+", choices=("latency", "wake_up", "drains", "ceilings", "peers"))
    parser.add_argument("--keep", metavar="NAME", help="write bench/results/NAME.json and NAME.png")
    return parser.parse_args()


if __name__ == "__main__":
    main()
