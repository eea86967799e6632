"""A process that tells many events under few keys: `crowd UNITS EACH RATE SEED`, EACH in a unit of work.

A unit that fails because its connection was cut is told again: the log says what became of it.
"""

import random
import sys
import time
from uuid import UUID

import django

django.setup()

from django.db import Error, connection

from bench.events.told import payment_succeeded
from shop.kernel.ids import new_id
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import open_unit_of_work

KEYS = 500


def main() -> None:
    """Tell everything, at the rate that was asked for or slower."""
    units, each, rate, seed = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    chance = random.Random(seed)
    keys = [new_id() for _ in range(KEYS)]
    due = time.monotonic()
    for _ in range(units):
        due = max(due + 1 / rate, time.monotonic() - 1)
        time.sleep(max(0.0, due - time.monotonic()))
        _tell_for_certain(chance.sample(keys, each))


def _tell_for_certain(keys: list[UUID]) -> None:
    while True:
        try:
            with open_unit_of_work():
                for key in keys:
                    publish(payment_succeeded(key=key))
        except Error:
            connection.close()
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    main()
