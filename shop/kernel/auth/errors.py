"""What auth refuses."""

from collections.abc import Iterable

from shop.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized


class EmailTaken(Conflict):
    """Another account has this e-mail address."""

    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("An account with this e-mail address exists already.")


class EmailInvalid(Invalid):
    """This is not an e-mail address one can write to."""

    code = "validation_error"

    def __init__(self) -> None:
        wrong = {"pointer": "/email", "code": "invalid", "detail": "Enter a valid email address."}
        super().__init__("Some fields are not as they must be.", errors=[wrong])


class PasswordRefused(Invalid):
    """The password is too easy to guess; `reasons` are pairs of a code and a sentence."""

    code = "validation_error"

    def __init__(self, *, reasons: Iterable[tuple[str, str]]) -> None:
        wrong = [{"pointer": "/password", "code": code, "detail": sentence} for code, sentence in reasons]
        super().__init__("Some fields are not as they must be.", errors=wrong)


class InvalidCredentials(Unauthorized):
    """E-mail and password do not belong together; which of them is wrong stays unsaid."""

    code = "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("E-mail or password is wrong.")


class RefreshRefused(Unauthorized):
    """The refresh token is not ours, has expired, was used before, or its session has ended."""

    code = "token_not_valid"

    def __init__(self) -> None:
        super().__init__("This refresh token is not valid; log in again.")


class AccountGone(Unauthorized):
    """The token is good and its account is no more."""

    code = "token_not_valid"

    def __init__(self) -> None:
        super().__init__("The account of this token does not exist any more.")


class InsufficientScope(Forbidden):
    """The API key is valid and does not open this door."""

    code = "insufficient_scope"

    def __init__(self, *, scope: str) -> None:
        super().__init__(f"This API key lacks the scope {scope}.", scope=scope)


class UnknownApiKey(NotFound):
    """No API key has this prefix."""

    code = "unknown_api_key"

    def __init__(self, *, prefix: str) -> None:
        super().__init__(f"No API key has the prefix {prefix}.", prefix=prefix)
