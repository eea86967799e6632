"""`python -m integrations.demo`: exit status 0 when all went through: two purchases, and the first one given back."""

import sys
from pathlib import Path

import urllib3

from integrations.demo.frontend import Frontend, UnexpectedAnswer
from integrations.demo.screen import WaitedInVain
from integrations.demo.stack import StackDied, require_environment, running_stack
from integrations.embedded.state import default_state_dir


def main() -> int:
    """Play it all against the running stack, or one of its own, and say in one line what went wrong."""
    try:
        with running_stack() as environment:
            require_environment(environment)
            # These read Django's settings, which need the stack's addresses.
            from integrations.demo import purchase  # noqa: PLC0415  see above
            from integrations.demo.traces import Traces  # noqa: PLC0415  see above

            base_url = f"http://127.0.0.1:{environment['WEB_PORT']}"
            traces = Traces(mails=Path(default_state_dir()) / "mails")
            first = purchase.paid_at_once(Frontend(base_url), traces)
            purchase.declined_then_paid(Frontend(base_url), traces)
            purchase.given_back(Frontend(base_url), first, traces)
    except (UnexpectedAnswer, WaitedInVain, StackDied, urllib3.exceptions.HTTPError) as error:
        print(f"shop: the demo stopped: {error}", file=sys.stderr)
        return 1
    print("\nBoth purchases went through, and the first one's money went back.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
