"""Production starts with everything it needs, and stops with a sentence about what is missing or weak."""

import json
import os
import subprocess
import sys

import pytest

COMPLETE = {
    "SECRET_KEY": "k" * 50,
    "DATABASE_URL": "postgres://shop@database/shop",
    "REDIS_URL": "redis://redis:6379/0",
    "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "JWT_SIGNING_KEY": "j" * 32,
    "ALLOWED_HOSTS": "shop.example.com",
    "PUBLIC_URL": "https://shop.example.com",
    "PAYMENT_RETURN_ORIGINS": "https://shop.example.com",
    "DEFAULT_GATEWAY": "real",
    "EMAIL_URL": "smtp://mail:25",
    "WEBHOOK_SECRET_KEYS": "w" * 32,
}
# A gateway of a provider stands in the wiring beside the sandbox.
READ = """
import json
from settings import wiring
wiring.GATEWAYS["real"] = "integrations.gateways.real.RealGateway"
from settings import production
print(json.dumps({name: getattr(production, name) for name in ("DEBUG", "GATEWAYS", "REST_FRAMEWORK")}))
"""


def read(**changes: str) -> subprocess.CompletedProcess[str]:
    """Read the settings in a process of their own, as a server does when it starts."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", READ],
        env={**kept, **COMPLETE, **changes},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_with_everything_set_it_starts_without_the_sandbox() -> None:
    found = json.loads(read().stdout)

    assert found["DEBUG"] is False
    assert list(found["GATEWAYS"]) == ["real"]


def test_shoppers_are_told_apart_behind_the_proxy_that_ends_tls() -> None:
    assert json.loads(read().stdout)["REST_FRAMEWORK"]["NUM_PROXIES"] == 1
    assert json.loads(read(NUM_PROXIES="2").stdout)["REST_FRAMEWORK"]["NUM_PROXIES"] == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"SECRET_KEY": "", "EMAIL_URL": ""}, "Set these environment variables: SECRET_KEY, EMAIL_URL."),
        ({"DEFAULT_GATEWAY": "sandbox"}, "DEFAULT_GATEWAY=sandbox is not a gateway for production."),
        ({"JWT_SIGNING_KEY": "j" * 31}, "JWT_SIGNING_KEY has 31 bytes; HS256 needs 32 or more."),
        ({"ORDER_LATE_MONEY": "keep"}, "ORDER_LATE_MONEY is one of revive, refund and review."),
    ],
)
def test_what_is_missing_or_weak_stops_the_start(changes: dict[str, str], sentence: str) -> None:
    stopped = read(**changes)

    assert stopped.returncode != 0
    assert stopped.stderr.strip().endswith(sentence)
