"""Consumers: events a second, and what one poisoned key costs all others.

The handler writes one row an event, beside the inbox. A poisoned key's handler fails every time; every twentieth event
is of that key, and the parked ones are tried again every 5 s. Phases with and without it alternate.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench import report
from bench.cpu import seconds_of
from bench.events.place import Place, ask, eventually, prepared
from shop.kernel.ids import new_id

MOST = 1.2
TABLES = """
CREATE TABLE bench_effect (event_id uuid, key uuid);
CREATE TABLE bench_poison (key uuid PRIMARY KEY);
"""


def main() -> None:
    """Measure both, print them, and end with 1 when a poisoned key costs the others more than a fifth."""
    options = _options()
    with prepared(kafka=options.kafka) as place:
        with place.connect() as connection:
            connection.execute(TABLES)
        results = {
            "machine": report.machine(),
            "kafka": options.kafka,
            "throughput": throughput(place, events=options.events),
            "poison": poison(place, rounds=options.rounds, rate=options.rate, seconds=options.seconds),
        }
    print(_table(results))
    if options.keep:
        path = report.RESULTS / f"{options.keep}.json"
        path.write_text(json.dumps(results, indent=1) + "\n")
        print(f"written: {path}")
    raise SystemExit(results["poison"]["ratio"] > MOST)


def throughput(place: Place, *, events: int) -> dict[str, float]:
    """Let one consumer handle events that are all on the broker already."""
    notes = place.folder / "throughput"
    with (
        place.running("-m", "bench.events.listener", str(notes), LOG_LEVEL="CRITICAL") as listener,
        _sender(place) as sender,
    ):
        cpu, began = seconds_of(listener.pid), time.time()
        sent = ask(sender, {"events": events, "rate": 0})["sent"]
        eventually(lambda: len(_handled(notes)) >= events, what="all events to be handled", seconds=300)
        cpu = seconds_of(listener.pid) - cpu
        handled = _handled(notes)
    first = min(handled.values())
    lasted = max(handled.values()) - first
    assert sent.keys() == handled.keys()
    return {"events": events, "per_second": events / lasted, "cpu_us": cpu / events * 1e6, "behind": first - began}


def poison(place: Place, *, rounds: int, rate: float, seconds: float) -> dict[str, Any]:
    """Send events at a fixed rate by turns with a poisoned key and without; compare the others' p99."""
    notes = place.folder / "poison"
    waits: dict[str, list[dict[str, float]]] = {"healthy": [], "poisoned": []}
    with place.running("-m", "bench.events.listener", str(notes), LOG_LEVEL="CRITICAL") as _, _sender(place) as sender:
        ask(sender, {"events": int(rate), "rate": rate})
        for number in tqdm(range(2 * rounds), leave=False, disable=None):
            # ABBA: whatever drifts, drifts for both.
            phase = "poisoned" if number % 4 in {1, 2} else "healthy"
            key = str(new_id()) if phase == "poisoned" else ""
            if key:
                with place.connect() as connection:
                    connection.execute("INSERT INTO bench_poison VALUES (%s)", [key])
            sent = ask(sender, {"events": int(rate * seconds), "rate": rate, "poison": key})["sent"]
            sent.pop(key, None)
            eventually(lambda sent=sent: sent.keys() <= _handled(notes).keys(), what="the others to be handled")
            handled = _handled(notes)
            waits[phase].append(report.percentiles(handled[one] - at for one, at in sent.items()))
            with place.connect() as connection:
                parked = connection.execute("SELECT count(*) FROM kafka_parked WHERE key = %s", [key]).fetchone()[0]
                # What nobody mended goes on to be tried beside the next phase.
                connection.execute("DELETE FROM kafka_parked")
            assert bool(parked) == bool(key)
    medians = {
        phase: {name: statistics.median(one[name] for one in found) for name in found[0]}
        for phase, found in waits.items()
    }
    ratio = medians["poisoned"]["p99"] / medians["healthy"]["p99"]
    return {"rate": rate, "seconds": seconds, "rounds": waits, "medians": medians, "ratio": ratio}


def _sender(place: Place) -> Any:
    return place.start("-m", "bench.events.sender")


def _handled(notes: Path) -> dict[str, float]:
    whole = (line.split() for line in notes.read_text().splitlines(keepends=True) if line.endswith("\n"))
    return {key: float(at) for key, at in whole}


def _table(results: dict[str, Any]) -> str:
    machine, one, medians = results["machine"], results["throughput"], results["poison"]["medians"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, load before: {machine['load_before']:.1f}",
        f"{machine['measured_at']}, Kafka: {results['kafka']}",
        f"one consumer: {one['per_second']:,.0f} events/s, {one['cpu_us']:.0f} us of its CPU an event",
        f"milliseconds from sending to the committed effect at {results['poison']['rate']:.0f} events/s",
    ]
    for phase, waited in medians.items():
        cells = "".join(f"   {name} {seconds * 1000:7.1f}" for name, seconds in waited.items())
        lines.append(f"  {phase:<10}{cells}")
    lines.append(f"p99 of the other keys beside a poisoned one: {results['poison']['ratio']:.2f} times the baseline")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.consumers", description=__doc__)
    parser.add_argument("--kafka", choices=("embedded", "real"), default="embedded")
    parser.add_argument("--events", type=int, default=30_000, help="to be handled as fast as it goes")
    parser.add_argument("--rate", type=float, default=300, help="events a second beside the poison")
    parser.add_argument("--rounds", type=int, default=4, help="phases of each kind")
    parser.add_argument("--seconds", type=float, default=10, help="of each phase")
    parser.add_argument("--keep", metavar="NAME", help="write bench/results/NAME.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
