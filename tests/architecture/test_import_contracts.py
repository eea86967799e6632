"""Every import contract holds, and each one fails on a violation planted for it."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["settings", "integrations", "notifications", "payments", "orders", "checkout", "cart", "shop"]
CONTRACTS = [
    contract["id"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
# Contract -> (file that gets the forbidden line, the line).
VIOLATIONS = {
    "layers": ("cart/services.py", "import orders.dto"),
    "framework-free": ("orders/events.py", "import django"),
    "services": ("orders/services.py", "import rest_framework"),
    "kafka-client": ("notifications/services.py", "import confluent_kafka"),
    "outsiders": ("integrations/embedded/state.py", "import django"),
    "rooms-inventory": ("cart/services.py", "import shop.inventory.models"),
    "rooms-catalog": ("cart/services.py", "import shop.catalog.models"),
    "rooms-cart": ("checkout/services.py", "import cart.models"),
    "rooms-checkout": ("orders/services.py", "import checkout.models"),
    "rooms-orders": ("payments/handlers.py", "import orders.models"),
    "rooms-payments": ("notifications/services.py", "import payments.models"),
    "rooms-notifications": ("integrations/kafka/client.py", "import notifications.models"),
    "rooms-auth": ("cart/services.py", "import shop.kernel.auth.models"),
    "rooms-clockwatch": ("cart/services.py", "import shop.kernel.clockwatch.models"),
    "rooms-idempotency": ("cart/services.py", "import shop.kernel.idempotency.models"),
    "rooms-outbox": ("cart/services.py", "import shop.kernel.outbox.models"),
}


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_all_contracts_hold() -> None:
    checked = lint(ROOT)

    assert checked.returncode == 0, checked.stdout


def test_every_contract_has_a_planted_violation() -> None:
    assert sorted(VIOLATIONS) == sorted(CONTRACTS)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's sources, to be spoilt."""
    folder = tmp_path_factory.mktemp("planted")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=lambda _, names: [n for n in names if "." in n and n[-3:] != ".py"]
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_planted_violation_breaks_the_contract(contract: str, copy: Path) -> None:
    name, line = VIOLATIONS[contract]
    spoilt = copy / name
    if not spoilt.exists():  # the room has become a package
        spoilt = spoilt.with_suffix("") / "__init__.py"
    before = spoilt.read_text()
    spoilt.write_text(f"{before}\n{line}\n")

    checked = lint(copy, "--contract", contract)

    spoilt.write_text(before)
    assert checked.returncode == 1
    assert "BROKEN" in checked.stdout
