"""What idempotency refuses."""

from shop.kernel.errors import Conflict, Invalid, Unprocessable


class InvalidIdempotencyKey(Invalid):
    """The header is there and is no key."""

    code = "invalid_idempotency_key"

    def __init__(self) -> None:
        super().__init__("Idempotency-Key takes 1 to 255 printable ASCII characters.")


class IdempotencyKeyReused(Unprocessable):
    """The key came with another body before."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key came with another body before; a new request needs a new key.")


class RequestInFlight(Conflict):
    """The first request with this key is still under way."""

    code = "request_in_flight"
    retry_after_seconds = 1

    def __init__(self) -> None:
        super().__init__("The first request with this Idempotency-Key is still under way; ask again in a moment.")
