"""`make clean`: remove the state folder and what had to live outside it. Needs nothing but the standard library."""

import shutil
import sys
from contextlib import ExitStack

from integrations.embedded import places
from integrations.embedded.errors import EmbeddedError
from integrations.embedded.state import apache_kafka_dir, default_state_dir, locked_state
from integrations.embedded.terminal import Terminal


def main() -> int:
    """Remove all data; refuse in one line while the stack runs."""
    state_dir = default_state_dir()
    if not state_dir.exists():
        Terminal().say(f"nothing to remove: {state_dir} does not exist")
        return 0
    try:
        with ExitStack() as locks:
            folder = locks.enter_context(locked_state(state_dir=state_dir))
            if (kafka := apache_kafka_dir(state_dir=folder)).exists():
                locks.enter_context(locked_state(state_dir=kafka))
            if elsewhere := places.existing_home_elsewhere(state_dir=folder):
                shutil.rmtree(elsewhere)
            shutil.rmtree(places.figures_folder(state_dir=folder), ignore_errors=True)
            shutil.rmtree(folder)
    except EmbeddedError as error:
        Terminal(stream=sys.stderr).say(f"shop: {error}; nothing was removed")
        return 1
    Terminal().say(f"removed {state_dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
