"""Fill a development shop with goods, rates, people and a key; doing it again changes nothing."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

import checkout.services
import shop.catalog.services
from shop.catalog.dto import ProductFilter
from shop.catalog.queries import find_products
from shop.kernel.auth.services import ensure_api_key, seed_users
from shop.kernel.clock import utc_now
from shop.kernel.outbox.services import keep_partitions

KEY_FILE = "internal-api-key"
SCOPES = ("orders:read", "orders:fulfil", "payments:read", "payments:refund", "stock:write", "webhooks:manage")


class Command(BaseCommand):
    """`make run` calls this at every start."""

    help = (
        "Fill a development shop with goods, rates, people and an internal API key. Running it again changes nothing."
    )
    # `migrate` has made them a moment before; importing every view again would double the time of a start.
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Add what is missing; CommandError where real money may move."""
        if settings.SANDBOX_GATEWAY_ALLOWED is not True:
            raise CommandError("Demo people with known passwords have no place in production: nothing was added.")
        now = utc_now()
        keep_partitions(now=now)
        articles = 0 if _sells_something() else shop.catalog.services.seed().new
        checkout.services.seed_rates()
        people = seed_users()
        key = "kept" if _key_is_kept(now=now, path=settings.STATE_DIR / KEY_FILE) else "issued"
        self.stdout.write(f"Seeded: {articles} articles and {people} people are new; the internal API key was {key}.")


def _sells_something() -> bool:
    """Return whether there are goods already: what a developer has changed about them stays as it is."""
    anything = ProductFilter(currency=settings.DEFAULT_CURRENCY)
    return bool(find_products(wanted=anything, limit=1))


def _key_is_kept(*, now: datetime, path: Path) -> bool:
    current = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else ""
    key = ensure_api_key(current=current, name="development", scopes=SCOPES, now=now)
    if key == current:
        return True
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(f"{key}\n")
    draft.replace(path)
    return False
