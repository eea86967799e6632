"""How long is waited before something that failed is tried again."""

import random
from datetime import timedelta

_AT_MOST = 0.2


def spread(wait: timedelta) -> timedelta:
    """Return the wait and up to a fifth more: what failed together should not come back together."""
    return wait + wait * random.uniform(0, _AT_MOST)  # noqa: S311  no secret
