"""The life of a mail: its states and the one table of moves."""

from enum import StrEnum

from shop.kernel.errors import IllegalTransition


class State(StrEnum):
    """Where a mail stands."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    UNCONFIRMED = "unconfirmed"
    DEAD = "dead"
    DISMISSED = "dismissed"


# `sent`, `unconfirmed` and `dead` end a mail. The ways from there are a person's: back to `pending`, see
# `check_resend`, or on to `dismissed`, when nobody needs the mail any more.
TRANSITIONS: dict[State, frozenset[State]] = {
    # A mail whose template is broken is never claimed: it waits again, or dies, where it stands.
    State.PENDING: frozenset({State.SENDING, State.PENDING, State.DEAD}),
    State.SENDING: frozenset({State.SENT, State.PENDING, State.UNCONFIRMED, State.DEAD}),
    State.SENT: frozenset({State.PENDING}),
    # A slow worker may still come back and know better.
    State.UNCONFIRMED: frozenset({State.SENT, State.PENDING, State.DISMISSED}),
    State.DEAD: frozenset({State.PENDING, State.DISMISSED}),
    State.DISMISSED: frozenset({State.SENT, State.PENDING}),
}

RESENDABLE = frozenset({State.SENT, State.UNCONFIRMED, State.DEAD, State.DISMISSED})
DISMISSABLE = frozenset({State.UNCONFIRMED, State.DEAD})


def check_move(*, current: State, wanted: State) -> None:
    """Raise IllegalTransition unless the table of moves holds this one."""
    if wanted not in TRANSITIONS[current]:
        raise IllegalTransition(entity="A mail", current=current, wanted=wanted)


def check_resend(*, current: State) -> None:
    """Raise IllegalTransition unless a person may ask for this mail again: one on its way is not disturbed."""
    if current not in RESENDABLE:
        raise IllegalTransition(entity="A mail", current=current, wanted=State.PENDING)


class EndpointState(StrEnum):
    """Whether a merchant's system is told anything."""

    ACTIVE = "active"
    DISABLED = "disabled"
    REMOVED = "removed"


class DisabledBecause(StrEnum):
    """Why an endpoint is disabled."""

    GONE = "gone"
    FAILING = "failing"
    BY_HAND = "by_hand"


ENDPOINT_TRANSITIONS: dict[EndpointState, frozenset[EndpointState]] = {
    EndpointState.ACTIVE: frozenset({EndpointState.DISABLED, EndpointState.REMOVED}),
    # Disabled by the shop, and then by a person: who has seen it says so.
    EndpointState.DISABLED: frozenset({EndpointState.ACTIVE, EndpointState.DISABLED, EndpointState.REMOVED}),
    EndpointState.REMOVED: frozenset(),
}


class DeliveryState(StrEnum):
    """Where the telling of one event to one endpoint stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


# What an attempt can do to its delivery. The way back to `pending` is a person's, from everywhere: a new beginning.
DELIVERY_TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.PENDING: frozenset({DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.DEAD}),
    DeliveryState.DELIVERED: frozenset(),
    # A slow worker may still come back and know better.
    DeliveryState.DEAD: frozenset({DeliveryState.DELIVERED}),
}


def check_endpoint_move(*, current: EndpointState, wanted: EndpointState) -> None:
    """Raise IllegalTransition unless the table of moves holds this one."""
    if wanted not in ENDPOINT_TRANSITIONS[current]:
        raise IllegalTransition(entity="A webhook endpoint", current=current, wanted=wanted)


def delivery_sources(wanted: DeliveryState) -> list[DeliveryState]:
    """Return the states from which an attempt may bring a delivery to `wanted`."""
    return [current for current, reachable in DELIVERY_TRANSITIONS.items() if wanted in reachable]
