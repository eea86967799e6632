"""Chaos on events: relays, consumers and broker are killed and stopped, connections cut, transactions held open.

Meanwhile events are told under a thousand keys, and an independent reader reads the whole wire. In the end it counts:
lost, inverted (first occurrences, by key), repeats on the wire, effects doubled and missing. Ends with 1 when one of
them is more than was promised. The seed is printed: the same one does the same to the same processes, if not at the
same instants.
"""

import argparse
import json
import random
import sys
import time
from contextlib import ExitStack
from typing import Any

from tqdm import tqdm

from bench import report
from bench.consumers import TABLES
from bench.events.crew import Crew
from bench.events.place import Place, ask, eventually, prepared
from integrations.embedded.child import Child

TELLERS = 2
EACH = 10
CONSUMERS = 2
SETTLE_SECONDS = 600.0
# Kills are what is counted; as many other troubles lie between them.
KILLS = ("kill -9 of a relay", "kill -9 of a consumer")


def main() -> None:
    """Let chaos reign, count, print, keep."""
    options = _options()
    print(f"seed {options.seed}", flush=True)
    with prepared(kafka=options.kafka, brokers=options.brokers, disk_megabytes=options.disk) as place:
        with place.connect() as connection:
            connection.execute(TABLES)
        brokers = len(place.cluster.brokers) if place.cluster else 1
        results = {
            "machine": report.machine(),
            "kafka": options.kafka,
            "brokers": brokers,
            "seed": options.seed,
            **_reign(place, options),
        }
    print(_table(results))
    if options.keep:
        path = report.RESULTS / f"{options.keep}.json"
        path.write_text(json.dumps(results, indent=1) + "\n")
        print(f"written: {path}")
    raise SystemExit(not _is_kept(results, most_repeats=options.most_repeats))


def _reign(place: Place, options: argparse.Namespace) -> dict[str, Any]:
    chance = random.Random(options.seed)
    crew = Crew(place, relays=options.relays, consumers=CONSUMERS)
    with ExitStack() as running:
        wire = place.start("-m", "bench.events.wire")
        running.callback(wire.wait)
        running.callback(wire.kill)
        crew.start()
        running.callback(crew.stop)
        began = time.monotonic()
        tellers = [_teller(running, place, options, number) for number in range(TELLERS)]
        _trouble(place, crew, tellers, chance, options)
        lasted = time.monotonic() - began
        crew.go_on()
        _settle(place, crew, wire)
        return _counted(place, wire) | {"did": dict(crew.done), "seconds": lasted, "relays": options.relays}


def _teller(running: ExitStack, place: Place, options: argparse.Namespace, number: int) -> Child:
    units = options.events // EACH // TELLERS
    arguments = [str(units), str(EACH), str(options.rate / EACH / TELLERS), str(options.seed + number)]
    teller = Child(
        name=f"teller-{number}",
        command=["bench.events.crowd", *arguments],
        log_file=place.folder / "chaos" / f"teller-{number}.log",
        environment=place.environment,
        is_python=True,
    )
    teller.start()
    running.callback(teller.kill)
    return teller


def _trouble(
    place: Place, crew: Crew, tellers: list[Child], chance: random.Random, options: argparse.Namespace
) -> None:
    """Do one thing after the other, evenly over the telling, until all kills are done and everything is told."""
    troubles = crew.troubles()
    # In any order, but each of them as often as the others.
    others = [name for name in troubles if name not in KILLS]
    chance.shuffle(others)
    names = [name for n in range(options.kills) for name in (KILLS[n % 2], others[n % len(others)])]
    for number, name in enumerate(tqdm(names, desc="troubles", leave=False, disable=None), 1):
        due = options.events * number / (len(names) + 1)
        while _told(place) < due and any(teller.is_running for teller in tellers):
            crew.tend()
            time.sleep(0.1)
        crew.tend()
        troubles[name](chance)
        crew.done[name] += 1
        crew.tend()
    while any(teller.is_running for teller in tellers):
        crew.tend()
        time.sleep(0.1)


def _told(place: Place) -> int:
    # Close enough, and free of charge: positions are drawn one after the other.
    with place.connect() as connection:
        return connection.execute(
            "SELECT COALESCE(pg_sequence_last_value('outbox_pending_position_seq'), 0)"
        ).fetchone()[0]


def _settle(place: Place, crew: Crew, wire: Any) -> None:
    """Wait until nothing is left to be done."""

    def settled() -> bool:
        crew.tend()
        time.sleep(0.5)
        with place.connect() as connection:
            told, waiting, parked, effects = connection.execute(
                "SELECT (SELECT count(*) FROM event_log), (SELECT count(*) FROM outbox_pending),"
                " (SELECT count(*) FROM kafka_parked), (SELECT count(*) FROM bench_effect)"
            ).fetchone()
        return not waiting and not parked and effects >= told and ask(wire, {})["distinct"] >= told

    try:
        eventually(settled, what="everything to come to rest", seconds=SETTLE_SECONDS)
    except SystemExit as error:
        # The counts say what is missing.
        print(error, file=sys.stderr)


def _counted(place: Place, wire: Any) -> dict[str, Any]:
    seen = ask(wire, {})
    with place.connect() as connection:
        told, failed, effects, distinct = connection.execute(
            "SELECT (SELECT count(*) FROM event_log), (SELECT count(*) FROM outbox_pending),"
            " count(*), count(DISTINCT event_id) FROM bench_effect"
        ).fetchone()
    return {
        "told": told,
        "left in the queue": failed,
        "lost on the wire": told - seen["distinct"],
        "first occurrences inverted": seen["inverted"],
        "repeats on the wire": seen["records"] - seen["distinct"],
        "effects missing": told - distinct,
        "effects doubled": effects - distinct,
    }


def _is_kept(results: dict[str, Any], *, most_repeats: float) -> bool:
    nothing = ("lost on the wire", "first occurrences inverted", "effects missing", "effects doubled")
    few = results["repeats on the wire"] <= most_repeats * results["told"]
    return few and not any(results[name] for name in nothing)


def _table(results: dict[str, Any]) -> str:
    machine = results["machine"]
    kills = sum(results["did"].get(name, 0) for name in KILLS)
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['measured_at']}",
        f"Kafka: {results['kafka']}, brokers: {results['brokers']}",
        f"{results['told']:,} events, {results['relays']} relays, {kills} kills, {results['seconds']:.0f} s",
        f"seed {results['seed']}",
    ]
    lines += [f"  {count:5d}  {name}" for name, count in results["did"].items()]
    for name in (
        "lost on the wire", "first occurrences inverted", "repeats on the wire", "effects missing", "effects doubled"
    ):  # fmt: skip
        share = f"  ({results[name] / results['told']:.2%})" if name == "repeats on the wire" else ""
        lines.append(f"{name:<30}{results[name]:>8,}{share}")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos_events", description=__doc__)
    parser.add_argument("--kafka", choices=("embedded", "real"), default="real")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=1_500, help="events told a second, at most")
    parser.add_argument("--kills", type=int, default=100, help="of relays and consumers, by turns")
    parser.add_argument("--relays", type=int, default=4)
    parser.add_argument("--brokers", type=int, default=1, help="of a real Kafka; each record is kept by three at most")
    parser.add_argument("--disk", type=int, default=0, metavar="MB", help="of a real broker, to be filled (root only)")
    parser.add_argument("--most-repeats", type=float, default=0.01, metavar="SHARE", help="on the wire")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--keep", metavar="NAME", help="write bench/results/NAME.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
