"""What notifications do for merchants' systems: tell them events, sign what is told, send it until it is taken."""

from notifications.services.webhooks.deliveries import forget_old, redeliver
from notifications.services.webhooks.endpoints import (
    PING,
    create_endpoint,
    disable_endpoint,
    enable_endpoint,
    ping_endpoint,
    remove_endpoint,
    rotate_secret,
    secret_made_at,
)
from notifications.services.webhooks.filters import public_types
from notifications.services.webhooks.outcomes import record
from notifications.services.webhooks.sending import Claimed, Outcome, claim, send
from notifications.services.webhooks.writing import tell

__all__ = [
    "PING",
    "Claimed",
    "Outcome",
    "claim",
    "create_endpoint",
    "disable_endpoint",
    "enable_endpoint",
    "forget_old",
    "ping_endpoint",
    "public_types",
    "record",
    "redeliver",
    "remove_endpoint",
    "rotate_secret",
    "secret_made_at",
    "send",
    "tell",
]
