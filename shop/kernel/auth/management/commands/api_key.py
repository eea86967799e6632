"""Issue, list and revoke the API keys of internal callers."""

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from shop.kernel.auth import queries, services
from shop.kernel.auth.errors import UnknownApiKey
from shop.kernel.clock import rfc3339, utc_now


class Command(BaseCommand):
    """`api_key issue NAME --scope orders:read`, `api_key list`, `api_key revoke PREFIX`."""

    help = "Issue, list and revoke the API keys of internal callers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take one of three verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        issue = verbs.add_parser("issue", help="issue a key and print it, once")
        issue.add_argument("name", type=_name, help="whose key it is, such as warehouse; to rotate, the same again")
        issue.add_argument(
            "--scope",
            type=_scope,
            action="append",
            required=True,
            help="what it opens, such as orders:read; repeatable",
        )
        issue.add_argument("--expires-days", type=_days, help="how long it is valid (default: until it is revoked)")
        verbs.add_parser("list", help="list all keys, without their secrets")
        revoke = verbs.add_parser("revoke", help="revoke a key at once")
        revoke.add_argument("prefix", help="the twelve signs after shop_, as `api_key list` shows them")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        """Do what the verb says."""
        match verb:
            case "issue":
                self._issue(name=options["name"], scopes=options["scope"], days=options["expires_days"])
            case "revoke":
                self._revoke(prefix=options["prefix"])
            case _:
                self._list()

    def _issue(self, *, name: str, scopes: Sequence[str], days: int | None) -> None:
        now = utc_now()
        expires_at = now + timedelta(days=days) if days else None
        self.stdout.write(services.issue_api_key(name=name, scopes=scopes, expires_at=expires_at, now=now))
        self.stderr.write("This key is not shown again. Send it in the header X-API-Key.")

    def _revoke(self, *, prefix: str) -> None:
        try:
            was_valid = services.revoke_api_key(prefix=prefix, now=utc_now())
        except UnknownApiKey as unknown:
            raise CommandError(unknown.detail) from unknown
        self.stdout.write(f"{prefix} is revoked." if was_valid else f"{prefix} was revoked before.")

    def _list(self) -> None:
        now = utc_now()
        self.stdout.write(f"{'prefix':<14}{'state':<9}{'expires':<26}{'last used':<26}{'name':<22}scopes")
        for key in queries.api_keys():
            state = "valid" if key.usable(now=now) else "revoked" if key.revoked_at else "expired"
            expires = rfc3339(key.expires_at) if key.expires_at else "never"
            used = rfc3339(key.last_used_at) if key.last_used_at else "never"
            self.stdout.write(f"{key.prefix:<14}{state:<9}{expires:<26}{used:<26}{key.name:<22}{' '.join(key.scopes)}")


def _name(text: str) -> str:
    if not re.fullmatch(r"[\w .-]{1,100}", text):
        raise ArgumentTypeError("a name has 1 to 100 letters, digits, spaces, dots or hyphens")
    return text


def _scope(text: str) -> str:
    if not re.fullmatch(r"[a-z_]+:[a-z_]+", text):
        raise ArgumentTypeError("a scope looks like orders:read")
    return text


def _days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) < 1:
        raise ArgumentTypeError("a whole number of days from 1 to 9999")
    return int(text)
