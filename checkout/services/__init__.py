"""Verbs of the checkout: start it, order it, give it up, let it expire."""

from checkout.services.ends import Ended, claim_for_order, expire, expire_due, release, release_stale
from checkout.services.seeding import seed_rates
from checkout.services.start import start

__all__ = [
    "Ended",
    "claim_for_order",
    "expire",
    "expire_due",
    "release",
    "release_stale",
    "seed_rates",
    "start",
]
