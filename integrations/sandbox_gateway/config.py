"""The gateway's environment, read in one place."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEMO_API_SECRET = "sandbox-secret-key"  # noqa: S105  a demo value, public on purpose
# whsec_ and base64 of the 32 bytes "sandbox-gateway-webhook-secret!!".
DEMO_WEBHOOK_SECRET = "whsec_c2FuZGJveC1nYXRld2F5LXdlYmhvb2stc2VjcmV0ISE="  # noqa: S105  a demo value too
MAX_PORT = 65_535
MAX_SECONDS = 86_400
PROJECT_ROOT = Path(__file__).resolve().parents[2]


class BadConfiguration(Exception):
    """The environment names something the gateway cannot work with."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the environment decides."""

    port: int
    public_url: str
    folder: Path
    api_secret: str
    webhook_secret: str
    callback_url: str
    processing_seconds: float
    merchant: str
    ready_file: Path | None


def read_config(*, environ: Mapping[str, str]) -> Config:
    """Return the configuration an environment names; raises BadConfiguration with a sentence to show."""
    port = _port(environ=environ, name="GATEWAY_PORT", default="8001")
    web_port = _port(environ=environ, name="WEB_PORT", default="8000")
    callback_url = f"http://127.0.0.1:{web_port}/payment-callback/sandbox"
    state = Path(environ.get("SHOP_STATE_DIR") or PROJECT_ROOT / ".state")
    ready = environ.get("SHOP_READY_FILE")
    return Config(
        port=port,
        public_url=(environ.get("SANDBOX_PUBLIC_URL") or f"http://127.0.0.1:{port}").rstrip("/"),
        folder=state.absolute() / "gateway",
        api_secret=environ.get("SANDBOX_GATEWAY_SECRET") or DEMO_API_SECRET,
        webhook_secret=_signing_secret(text=environ.get("SANDBOX_WEBHOOK_SECRET") or DEMO_WEBHOOK_SECRET),
        callback_url=environ.get("SANDBOX_CALLBACK_URL") or callback_url,
        processing_seconds=_number(environ=environ, name="SANDBOX_PROCESSING_SECONDS", default="3"),
        merchant=environ.get("SANDBOX_MERCHANT") or "Demo Shop",
        ready_file=Path(ready).absolute() if ready else None,
    )


def _port(*, environ: Mapping[str, str], name: str, default: str) -> int:
    port = _number(environ=environ, name=name, default=default)
    if not (port.is_integer() and 1 <= port <= MAX_PORT):
        raise BadConfiguration(f"{name} must be a port between 1 and {MAX_PORT}")
    return int(port)


def _number(*, environ: Mapping[str, str], name: str, default: str) -> float:
    try:
        number = float(environ.get(name) or default)
    except ValueError as error:
        raise BadConfiguration(f"{name} must be a number") from error
    if not 0 <= number <= MAX_SECONDS:
        raise BadConfiguration(f"{name} must be a number between 0 and {MAX_SECONDS}")
    return number


def _signing_secret(*, text: str) -> str:
    # While a secret is being rotated the variable holds the new one first; only that one signs.
    secrets = text.split()
    try:
        key = base64.b64decode(secrets[0].removeprefix("whsec_"), validate=True)
    except (IndexError, binascii.Error, ValueError) as error:
        raise BadConfiguration("SANDBOX_WEBHOOK_SECRET must be whsec_ and base64") from error
    if not key:
        raise BadConfiguration("SANDBOX_WEBHOOK_SECRET must not be empty")
    return secrets[0]
