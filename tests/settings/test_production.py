"""Production starts with everything it needs, and stops with a sentence about what is missing or weak."""

import json
import os
import subprocess
import sys

import pytest

from tests.docs.markdown import ROOT

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
STRIPE = {"STRIPE_SECRET_KEY": "sk_live_1", "STRIPE_WEBHOOK_SECRETS": "whsec_1,whsec_2"}
MOLLIE = {"MOLLIE_API_KEY": "live_1", "MOLLIE_WEBHOOK_SECRETS": "m" * 32}
# A gateway of a provider stands in the wiring beside the sandbox.
READ = """
import json
from settings import wiring
wiring.GATEWAYS["real"] = "integrations.gateways.real.RealGateway"
from settings import production
print(json.dumps({name: getattr(production, name) for name in ("DEBUG", "GATEWAYS", "REST_FRAMEWORK")}))
"""


LOAD = """
from django.conf import settings
from payments.services.gateways import gateway_named
print(gateway_named(settings.DEFAULT_GATEWAY).name)
from integrations.gateways.sandbox import SandboxGateway
try:
    SandboxGateway()
except Exception as error:
    print(type(error).__name__)
"""


def read(**changes: str) -> subprocess.CompletedProcess[str]:
    """Read the settings in a process of their own, as a server does when it starts."""
    return _run("-c", READ, **changes)


def manage(*command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py as in production."""
    return _run(str(ROOT / "manage.py"), *command, DJANGO_SETTINGS_MODULE="settings.production", **changes)


def _run(*command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**kept, **COMPLETE, **changes},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_with_everything_set_it_starts_without_the_sandbox() -> None:
    found = json.loads(read().stdout)

    assert found["DEBUG"] is False
    assert list(found["GATEWAYS"]) == ["real"]


@pytest.mark.parametrize(
    ("given", "offered"),
    [
        (STRIPE, ["stripe", "real"]),
        (MOLLIE, ["mollie", "real"]),
        (STRIPE | MOLLIE, ["stripe", "mollie", "real"]),
        ({"STRIPE_SECRET_KEY": "sk_live_1"}, ["real"]),
        ({"PAYMENT_LIVE_MODE": "false", **STRIPE, "STRIPE_SECRET_KEY": "rk_test_1"}, ["stripe", "real"]),
    ],
)
def test_a_gateway_is_offered_when_the_environment_holds_its_secrets(given: dict[str, str], offered: list[str]) -> None:
    assert list(json.loads(read(**given).stdout)["GATEWAYS"]) == offered


@pytest.mark.parametrize("gateway", ["stripe", "mollie"])
def test_the_shop_starts_with_a_gateway_that_takes_real_money(gateway: str) -> None:
    started = manage("check", "--deploy", DEFAULT_GATEWAY=gateway, **STRIPE, **MOLLIE)

    assert started.returncode == 0, started.stderr


@pytest.mark.parametrize("gateway", ["stripe", "mollie"])
def test_its_adapter_loads_there_and_the_sandboxs_does_not(gateway: str) -> None:
    loaded = manage("shell", "--no-imports", "--command", LOAD, DEFAULT_GATEWAY=gateway, **STRIPE, **MOLLIE)

    assert loaded.stdout.split() == [gateway, "ImproperlyConfigured"], loaded.stderr


def test_shoppers_are_told_apart_behind_the_proxy_that_ends_tls() -> None:
    assert json.loads(read().stdout)["REST_FRAMEWORK"]["NUM_PROXIES"] == 1
    assert json.loads(read(NUM_PROXIES="2").stdout)["REST_FRAMEWORK"]["NUM_PROXIES"] == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"SECRET_KEY": "", "EMAIL_URL": ""}, "Set these environment variables: SECRET_KEY, EMAIL_URL."),
        ({"DEFAULT_GATEWAY": "sandbox"}, "DEFAULT_GATEWAY=sandbox is not a gateway for production."),
        ({"DEFAULT_GATEWAY": "nobody"}, "DEFAULT_GATEWAY=nobody is not a gateway for production."),
        ({"DEFAULT_GATEWAY": "stripe"}, "DEFAULT_GATEWAY=stripe needs STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRETS."),
        (
            {"DEFAULT_GATEWAY": "mollie", "MOLLIE_API_KEY": "live_1"},
            "DEFAULT_GATEWAY=mollie needs MOLLIE_WEBHOOK_SECRETS.",
        ),
        (
            {**MOLLIE, "MOLLIE_WEBHOOK_SECRETS": f"{'m' * 32},short"},
            "Each of MOLLIE_WEBHOOK_SECRETS needs 32 bytes or more.",
        ),
        (
            {**STRIPE, "STRIPE_SECRET_KEY": "sk_test_1"},
            "The key of stripe is for tests, but PAYMENT_LIVE_MODE=True.",
        ),
        (
            {**MOLLIE, "PAYMENT_LIVE_MODE": "false"},
            "The key of mollie is for real money, but PAYMENT_LIVE_MODE=False.",
        ),
        ({"JWT_SIGNING_KEY": "j" * 31}, "JWT_SIGNING_KEY has 31 bytes; HS256 needs 32 or more."),
        (
            {"KAFKA_TOPIC_PARTITIONS": "twelve"},
            "KAFKA_TOPIC_PARTITIONS is set to what it cannot be: invalid literal for int() with base 10: 'twelve'.",
        ),
        ({"OUTBOX_QUEUED": "t"}, "OUTBOX_QUEUED is set to what it cannot be: 't' is neither true nor false."),
        ({"EVENT_LOG_KEPT_DAYS": "-5"}, "EVENT_LOG_KEPT_DAYS is 1 or more, and not -5."),
        ({"WEBHOOK_CALLS_AT_ONCE": "0"}, "WEBHOOK_CALLS_AT_ONCE is 1 or more, and not 0."),
        ({"ORDER_LATE_MONEY": "keep"}, "ORDER_LATE_MONEY is one of revive, refund and review."),
        (
            {"PAYMENT_POLL_DELAYS_SECONDS": ""},
            "PAYMENT_POLL_DELAYS_SECONDS is one pause in seconds or more, such as 60,300.",
        ),
        (
            {"MAIL_RETRY_DELAYS_SECONDS": "5,-30"},
            "MAIL_RETRY_DELAYS_SECONDS is one pause in seconds or more, such as 60,300.",
        ),
    ],
)
def test_what_is_missing_or_weak_stops_the_start(changes: dict[str, str], sentence: str) -> None:
    stopped = read(**changes)

    assert stopped.returncode != 0
    assert stopped.stderr.strip().endswith(sentence)
