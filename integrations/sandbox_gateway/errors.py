"""Why the gateway's API refuses a call: one class per reason, each with a stable code."""

from typing import Any, ClassVar


class Refusal(Exception):
    """The answer is `status` with `{"error": {"code", "message"}}` and, beside it, `extra`."""

    status: ClassVar[int]
    code: ClassVar[str]

    def __init__(self, message: str, **extra: Any) -> None:
        """Keep the sentence for the caller and the data that goes with it."""
        super().__init__(message)
        self.message = message
        self.extra = extra


class InvalidJson(Refusal):
    """The body is no JSON object."""

    status, code = 400, "invalid_json"


class Unauthorized(Refusal):
    """The Bearer secret is missing or wrong."""

    status, code = 401, "unauthorized"


class NotFound(Refusal):
    """There is no such path or object."""

    status, code = 404, "not_found"


class MethodNotAllowed(Refusal):
    """The path exists, but not with this method."""

    status, code = 405, "method_not_allowed"


class SessionAlreadyFinal(Refusal):
    """The session cannot be closed any more; it goes along as `session`."""

    status, code = 409, "session_already_final"


class RefundExceedsCaptured(Refusal):
    """The refund asks for more than what is left; `refundable` goes along."""

    status, code = 409, "refund_exceeds_captured"


class BodyTooLarge(Refusal):
    """The body is over the limit."""

    status, code = 413, "body_too_large"


class InvalidRequest(Refusal):
    """A field has the wrong type or value; its name goes along as `param`."""

    status, code = 422, "invalid_request"


class IdempotencyConflict(Refusal):
    """The key was used before with another body."""

    status, code = 422, "idempotency_conflict"


class SimulatedFailure(Refusal):
    """The fault switch `fail_requests` is on; nothing was done."""

    status, code = 500, "simulated_failure"
