"""What signs: derived, verified by Standard Webhooks' own library, rotated without a gap."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from standardwebhooks import Webhook, WebhookVerificationError

from notifications.dto import EndpointView
from notifications.errors import WebhookSecretLost
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.services import webhooks
from notifications.services.webhooks.secrets import new_seed, secret_of
from tests.notifications.webhooks.factories import FakeSender, attempt, delivery, endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    """The library that verifies knows no other time."""
    return datetime.now(UTC)


def verified(secret: str | None, posted: tuple[str, dict[str, str], bytes]) -> Any:
    _, headers, body = posted
    return Webhook(secret or "").verify(body, headers)


def test_the_library_verifies_what_is_sent(sender: FakeSender, now: datetime) -> None:
    made = endpoint(now=now)
    row = delivery(now=now)

    attempt(now=now)

    assert verified(made.secret, sender.posted[0])["id"] == sender.posted[0][1]["webhook-id"] == str(row.event_id)


def test_the_library_refuses_another_secret_body_or_time(sender: FakeSender, now: datetime) -> None:
    made, other = endpoint(now=now), endpoint(now=now, url="https://other.example.com/")
    delivery(now=now)
    attempt(now=now)
    url, headers, body = next(posted for posted in sender.posted if posted[0] == made.url)

    for secret, changed, said in (
        (other.secret, headers, body),
        (made.secret, headers, body + b" "),
        (made.secret, headers | {"webhook-id": "another"}, body),
        (made.secret, headers | {"webhook-timestamp": str(int(now.timestamp()) - 301)}, body),
    ):
        with pytest.raises(WebhookVerificationError):
            verified(secret, (url, changed, said))


def test_while_a_secret_is_rotated_both_sign_and_afterwards_only_the_new_one(
    sender: FakeSender, now: datetime, settings: Settings
) -> None:
    settings.WEBHOOK_SECRET_OVERLAP_HOURS = 24
    old = endpoint(now=now)
    new = webhooks.rotate_secret(endpoint_id=old.endpoint_id, now=now)
    delivery(now=now)

    attempt(now=now)

    assert new.previous_secret_until == now + timedelta(hours=24)
    assert old.secret != new.secret
    for secret in (old.secret, new.secret):
        assert verified(secret, sender.posted[0])["type"] == "order.paid"

    WebhookEndpoint.objects.update(previous_until=now)
    delivery(now=now)
    attempt(now=now)

    assert verified(new.secret, sender.posted[1])["type"] == "order.paid"
    with pytest.raises(WebhookVerificationError):
        verified(old.secret, sender.posted[1])


def test_a_secret_that_leaked_is_worth_nothing_after_two_rotations(sender: FakeSender, now: datetime) -> None:
    leaked = endpoint(now=now)
    webhooks.rotate_secret(endpoint_id=leaked.endpoint_id, now=now)
    newest = webhooks.rotate_secret(endpoint_id=leaked.endpoint_id, now=now)
    delivery(now=now)

    attempt(now=now)

    assert verified(newest.secret, sender.posted[0])
    with pytest.raises(WebhookVerificationError):
        verified(leaked.secret, sender.posted[0])


def test_no_secret_is_in_the_database(sender: FakeSender, now: datetime) -> None:
    made = endpoint(now=now)
    delivery(now=now)
    attempt(now=now)

    row = WebhookEndpoint.objects.values().get()
    attempts = list(WebhookDelivery.objects.get().log.values())

    assert made.secret
    assert made.secret.removeprefix("whsec_") not in f"{row} {attempts}"
    assert attempts[0]["request_headers"]["webhook-signature"] == "***"


def test_a_new_key_makes_new_secrets_and_the_old_one_keeps_its_own(settings: Settings) -> None:
    seed = new_seed()
    secret = secret_of(seed=seed)

    settings.WEBHOOK_SECRET_KEYS = ["n" * 32, "k" * 32]

    assert secret_of(seed=seed) == secret
    assert new_seed().partition(".")[0] != seed.partition(".")[0]
    settings.WEBHOOK_SECRET_KEYS = ["n" * 32]
    with pytest.raises(WebhookSecretLost):
        secret_of(seed=seed)


def test_without_its_key_nothing_is_sent_and_the_delivery_says_so(
    endpoint: EndpointView, sender: FakeSender, now: datetime, settings: Settings
) -> None:
    row = delivery(now=now)
    settings.WEBHOOK_SECRET_KEYS = ["n" * 32]

    attempt(now=now)

    row.refresh_from_db()
    assert (row.state, sender.posted) == ("pending", [])
    assert "rotate the secret" in row.last_error
