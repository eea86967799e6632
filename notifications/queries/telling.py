"""The part of an order's story that notifications tell: mails and webhooks, and what of them is still to come."""

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from notifications.models import Mail, WebhookAttempt, WebhookDelivery
from notifications.states import DeliveryState, State
from shop.kernel.stories import Moment, Story, clock_text

_A_PERSONS_TURN = {
    State.DEAD: "is dead: Send again in Admin > Mails",
    State.UNCONFIRMED: "may have arrived: look in the mail server's log, then Send again in Admin > Mails",
}


def story(*, order_id: UUID, now: datetime) -> Story:  # noqa: ARG001  every story's signature
    """Tell what the shopper and merchants' systems were told of the order."""
    mails = list(Mail.objects.filter(order_id=order_id).order_by("id"))
    told = WebhookDelivery.objects.filter(subject=order_id).select_related("endpoint").defer("body").order_by("id")
    deliveries = list(told)
    return Story(
        moments=(
            *(moment for mail in mails for moment in _mail(mail)),
            *(moment for delivery in deliveries for moment in _delivery(delivery)),
        ),
        next=(
            *(line for mail in mails for line in _mail_next(mail)),
            *(line for delivery in deliveries for line in _delivery_next(delivery)),
        ),
    )


def _mail(mail: Mail) -> Iterator[Moment]:
    yield Moment(mail.created_at, "mail", f"{mail.template} written to {mail.recipient}")
    if mail.sent_at:
        again = f", asked for again {mail.resends} times" if mail.resends else ""
        yield Moment(mail.sent_at, "mail", f"{mail.template} sent{again}")


def _mail_next(mail: Mail) -> Iterator[str]:
    name = f"The mail {mail.template}"
    if mail.next_attempt_at:
        tried = f", after {mail.attempts} attempts: {mail.last_error}" if mail.last_error else ""
        yield f"{name} is sent from {clock_text(mail.next_attempt_at)} on{tried}."
    elif turn := _A_PERSONS_TURN.get(State(mail.state)):
        yield f"{name} {turn} ({mail.last_error})."


def _delivery(delivery: WebhookDelivery) -> Iterator[Moment]:
    host = _host(delivery)
    yield Moment(delivery.created_at, "webhook", f"{delivery.type} written for {host}")
    for attempt in WebhookAttempt.objects.filter(delivery=delivery).order_by("id"):
        yield Moment(attempt.at, "webhook", f"{delivery.type} to {host}: {attempt.status or attempt.error}")


def _delivery_next(delivery: WebhookDelivery) -> Iterator[str]:
    name = f"The webhook {delivery.type} to {_host(delivery)}"
    if delivery.next_attempt_at:
        yield f"{name} is sent from {clock_text(delivery.next_attempt_at)} on ({delivery.attempts} attempts so far)."
    elif delivery.state == DeliveryState.DEAD:
        yield f"{name} is dead ({delivery.last_error}): Deliver again in Admin > Webhooks sent."


def _host(delivery: WebhookDelivery) -> str:
    """Return where it goes, without what an address may hold of secrets."""
    return urlsplit(delivery.endpoint.url).hostname or "nowhere"
