"""The refusals a service can utter. Each context adds its own, one class a refusal, in its `errors.py`.

A refusal is anticipated: it has a stable `code`, a sentence for a person and the data a caller needs to act.
Anything else that is raised is a defect and becomes a 500.
"""

from typing import ClassVar


class Refusal(Exception):
    """Something the shop will not do, and says why."""

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str, **data: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.data = data


class Invalid(Refusal):
    """The request itself is wrong; sending it again unchanged will not help."""

    code = "invalid"


class Unauthorized(Refusal):
    """Nobody is known to be calling."""

    code = "not_authenticated"


class Forbidden(Refusal):
    """The caller is known and may not do this."""

    code = "permission_denied"


class NotFound(Refusal):
    """There is no such thing, or it belongs to somebody else."""

    code = "not_found"


class Conflict(Refusal):
    """The request is well formed but does not fit the present state."""

    code = "conflict"


class IllegalTransition(Conflict):
    """An entity was asked to make a move its table of moves does not hold."""

    code = "illegal_transition"

    def __init__(self, *, entity: str, current: str, wanted: str) -> None:
        super().__init__(f"{entity} cannot move from {current} to {wanted}.", current=current, wanted=wanted)


class PreconditionFailed(Refusal):
    """A conditional write (`If-Match`) lost against a newer version."""

    code = "precondition_failed"


class Unprocessable(Refusal):
    """The request contradicts an earlier one it claims to repeat."""

    code = "unprocessable"


class Unavailable(Refusal):
    """The shop cannot do this now; the same request may succeed after `retry_after_seconds`."""

    code = "unavailable"

    def __init__(self, detail: str, *, retry_after_seconds: int, **data: object) -> None:
        super().__init__(detail, **data)
        self.retry_after_seconds = retry_after_seconds
