"""`manage.py seed`: what `make run` begins with."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from shop.catalog.dto import ProductFilter
from shop.catalog.queries import find_products
from shop.kernel.auth import queries, services
from shop.kernel.clock import utc_now

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def key_file(tmp_path: Path, settings: Any) -> Path:
    settings.STATE_DIR = tmp_path / "state"
    return tmp_path / "state" / "internal-api-key"


def seed() -> str:
    out = StringIO()
    call_command("seed", stdout=out)
    return out.getvalue()


def test_an_empty_shop_gets_what_a_purchase_needs(key_file: Path, client: Client) -> None:
    assert "the internal API key was issued" in seed()

    shopper = services.log_in(email="shopper@example.com", password="shopper-demo-1", now=utc_now())
    bearer = {"Authorization": f"Bearer {shopper.tokens.access}"}
    assert len(client.get("/products?limit=100", headers=bearer).json()["results"]) >= 50
    for country in ("DE", "FR", "GB", "US", "JP"):
        methods = client.get(f"/checkout/shipping-methods?country={country}", headers=bearer).json()["results"]
        assert methods, country


def test_the_key_is_the_owners_alone_and_opens_internal_doors(key_file: Path, client: Client) -> None:
    seed()

    assert key_file.stat().st_mode & 0o777 == 0o600
    key = key_file.read_text(encoding="ascii").strip()
    for path in ("orders", "payments"):
        answer = client.get(f"/internal/{path}/0", headers={"X-API-Key": key})
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_seeding_again_changes_nothing(key_file: Path, statements: Any) -> None:
    seed()
    key = key_file.read_text(encoding="ascii")

    with statements() as counted:
        said = seed()

    assert said == "Seeded: 0 articles and 0 people are new; the internal API key was kept.\n"
    assert key_file.read_text(encoding="ascii") == key
    assert len(queries.api_keys()) == 1
    assert len(counted) < 20


@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), lambda file: file.write_bytes(b"\xffnonsense\n")])
def test_a_lost_key_is_replaced(key_file: Path, spoil: Any) -> None:
    seed()
    spoil(key_file)

    seed()

    key = key_file.read_text(encoding="ascii").strip()
    found = queries.api_key(prefix=key[5:17])
    assert found is not None
    assert found.usable(now=utc_now())


def test_a_revoked_key_is_replaced(key_file: Path) -> None:
    seed()
    old = key_file.read_text(encoding="ascii").strip()
    services.revoke_api_key(prefix=old[5:17], now=utc_now())

    seed()

    assert key_file.read_text(encoding="ascii").strip() != old


def test_production_is_left_alone(key_file: Path, settings: Any) -> None:
    settings.SANDBOX_GATEWAY_ALLOWED = False

    with pytest.raises(CommandError, match="nothing was added"):
        seed()

    assert not key_file.exists()
    assert find_products(wanted=ProductFilter(currency="EUR"), limit=1) == []
    assert services.seed_users() == 2
