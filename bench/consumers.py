"""Consumers: events a second, and what one poisoned key costs all others.

The handler writes one row an event, beside the inbox. A poisoned key's handler fails every time; every twentieth event
is of that key, and the parked ones are tried again every 5 s. Phases with and without it alternate.
"""

import json

from bench import report
from bench.events import listener_tables
from bench.events.place import prepared

MOST = 1.2


def main() -> None:
    """Measure both, print them, and end with 1 when a poisoned key costs the others more than a fifth."""
    options = _options()
    with prepared(kafka=options.kafka) as place, place.connect() as connection:
        connection.execute(listener_tables.TABLES)
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
