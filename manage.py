#!/usr/bin/env python
"""Django's command line for this shop; without a choice it works with the development settings."""

import os
import sys

from django.core.management import execute_from_command_line
from django.db import InterfaceError, OperationalError

# What a shell expects of whoever ends by Ctrl-C.
INTERRUPTED = 130


def carry_out() -> None:
    """Run the command to its last word: what is still buffered, too, may find nobody who reads it."""
    try:
        execute_from_command_line(sys.argv)
    finally:
        sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.dev")
    try:
        carry_out()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read it has had enough; Python would complain once more when it closes its own end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (OperationalError, InterfaceError) as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"The database is away, or did not do it: {error}")
    except UnicodeEncodeError:
        if not any("\udc80" <= letter <= "\udcff" for word in sys.argv for letter in word):
            raise
        sys.exit("A word of this command is not UTF-8.")
