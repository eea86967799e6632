"""What a gateway says and how it signs it: callbacks made by hand, so that they can be repeated, aged and spoiled."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from integrations.sandbox_gateway.config import DEMO_WEBHOOK_SECRET
from shop.kernel.ids import new_id

Headers = dict[str, str]


def event_about(session: dict[str, Any], **more: Any) -> bytes:
    """Return the body of the callback that tells a session is paid; `more` are members beside the usual ones."""
    event = {
        "id": f"evt_{new_id().hex}",
        "type": "session.paid",
        "created_at": datetime.now(UTC).isoformat(),
        "mode": "test",
        "data": session,
    }
    return json.dumps({**event, **more}).encode()


def signed(body: bytes, *, secret: str = DEMO_WEBHOOK_SECRET, at: datetime | None = None) -> Headers:
    """Return the headers of Standard Webhooks for a body of any bytes, also of those a library would not sign."""
    event_id = f"evt_{new_id().hex}"
    stamp = str(int((at or datetime.now(UTC)).timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
