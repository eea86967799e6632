"""What signs. Nothing secret is stored: a secret is derived from a random seed in the row and a key of the settings.

A stolen copy of the database signs nothing, and neither does a stolen key. The form is Standard Webhooks' own,
`whsec_` and base64, so that its libraries verify.
"""

import hmac
import secrets
from base64 import b64encode
from datetime import datetime
from hashlib import sha256

from django.conf import settings
from standardwebhooks import Webhook

from notifications.errors import WebhookSecretLost

_SEED_BYTES = 24
_NAME_LENGTH = 8


def new_seed() -> str:
    """Return a fresh seed: the name of the newest key, and random signs."""
    return f"{_name_of(settings.WEBHOOK_SECRET_KEYS[0])}.{secrets.token_urlsafe(_SEED_BYTES)}"


def secret_of(*, seed: str) -> str:
    """Return the secret of a seed, as the merchant gets it; WebhookSecretLost when its key is gone."""
    name = seed.partition(".")[0]
    for key in settings.WEBHOOK_SECRET_KEYS:
        if _name_of(key) == name:
            return f"whsec_{b64encode(hmac.digest(key.encode(), seed.encode(), 'sha256')).decode()}"
    raise WebhookSecretLost


def signatures(*, seeds: tuple[str, ...], message_id: str, at: datetime, body: str) -> str:
    """Return the header's value: one signature for each secret, parted by spaces."""
    return " ".join(Webhook(secret_of(seed=seed)).sign(message_id, at, body) for seed in seeds)


def _name_of(key: str) -> str:
    # Its digest names a key without telling anything of it: keys are long and random.
    return sha256(f"webhooks:{key}".encode()).hexdigest()[:_NAME_LENGTH]
