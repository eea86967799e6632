"""What notifications refuses."""

from shop.kernel.errors import Conflict, Invalid, NotFound


class MailNotFound(NotFound):
    """There is no such mail."""

    def __init__(self) -> None:
        super().__init__("There is no such mail.")


class WebhookNotFound(NotFound):
    """There is no such endpoint or delivery."""

    def __init__(self, *, entity: str) -> None:
        super().__init__(f"There is no such {entity}.")


class WebhookUrlNotAllowed(Invalid):
    """The shop calls no such address: its form, its port, or where its name leads."""

    code = "webhook_url_not_allowed"

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)


class UnknownEventType(Invalid):
    """No event has this type, or a type that begins so."""

    code = "unknown_event_type"

    def __init__(self, *, event: str, known: tuple[str, ...]) -> None:
        super().__init__(f"No event is called {event}.", event=event, known=known)


class WebhookEndpointExists(Conflict):
    """An endpoint with this address is there already: it would be told everything twice."""

    code = "webhook_endpoint_exists"

    def __init__(self) -> None:
        super().__init__("There is an endpoint with this address already.")


class WebhookEndpointDisabled(Conflict):
    """A disabled endpoint is told nothing; staff enable it in the admin."""

    code = "webhook_endpoint_disabled"

    def __init__(self, *, because: str) -> None:
        super().__init__(f"This endpoint is disabled: {because}.", because=because)


class WebhookBodyForgotten(Conflict):
    """What was sent is older than such things are kept; the order itself can be read."""

    code = "webhook_body_forgotten"

    def __init__(self) -> None:
        super().__init__("What this delivery said is not kept any more.")


class WebhookSecretLost(Conflict):
    """The key a secret was derived from is not among WEBHOOK_SECRET_KEYS any more: give the endpoint a new secret."""

    code = "webhook_secret_lost"

    def __init__(self) -> None:
        super().__init__("The key behind this endpoint's secret is gone; rotate the secret.")
