"""`manage.py api_key`."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from shop.kernel.auth import queries
from shop.kernel.auth.models import ApiKey
from shop.kernel.clock import utc_now

pytestmark = pytest.mark.django_db


def api_key(*arguments: str) -> str:
    out = StringIO()
    call_command("api_key", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_key_is_printed_once_and_alone() -> None:
    printed = api_key("issue", "warehouse", "--scope", "orders:read", "--scope", "stock:write", "--expires-days", "30")

    key = printed.strip()
    stored = queries.api_key(prefix=key[5:17])
    assert printed == f"{key}\n"
    assert stored is not None
    assert (stored.name, stored.scopes) == ("warehouse", ("orders:read", "stock:write"))
    assert stored.expires_at is not None
    assert abs(stored.expires_at - utc_now() - timedelta(days=30)) < timedelta(minutes=1)
    assert key not in api_key("list")


def test_without_a_term_a_key_is_valid_until_it_is_revoked() -> None:
    api_key("issue", "warehouse", "--scope", "orders:read")

    assert ApiKey.objects.get().expires_at is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["issue", "warehouse"],
        ["issue", "warehouse", "--scope", "everything"],
        ["issue", "warehouse", "--scope", "orders:read", "--expires-days", "0"],
        ["issue", "warehouse", "--scope", "orders:read", "--expires-days", "soon"],
        ["issue", "ware\nhouse", "--scope", "orders:read"],
        ["revoke"],
        [],
    ],
)
def test_a_wrong_order_is_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        api_key(*arguments)

    assert ApiKey.objects.count() == 0


def test_the_list_tells_what_each_key_is_worth() -> None:
    revoked = api_key("issue", "old", "--scope", "orders:read")[5:17]
    expired = api_key("issue", "short", "--scope", "orders:read")[5:17]
    valid = api_key("issue", "new", "--scope", "orders:read")[5:17]
    api_key("revoke", revoked)
    ApiKey.objects.filter(prefix=expired).update(expires_at=utc_now())

    listed = {line.split()[0]: line.split()[1] for line in api_key("list").splitlines()[1:]}

    assert listed == {valid: "valid", expired: "expired", revoked: "revoked"}


def test_revoking_says_what_it_did() -> None:
    prefix = api_key("issue", "warehouse", "--scope", "orders:read")[5:17]

    assert api_key("revoke", prefix) == f"{prefix} is revoked.\n"
    assert api_key("revoke", prefix) == f"{prefix} was revoked before.\n"
    with pytest.raises(CommandError, match="No API key has the prefix 000000000000"):
        api_key("revoke", "000000000000")
