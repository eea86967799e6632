"""What no field of ours takes, be it of the API or of the admin."""

from urllib.parse import unquote_plus

from django.core.exceptions import ValidationError

from shop.kernel import looks


def refuse_secrets(text: str) -> None:
    """Raise ValidationError for a text with a card number, a token or a key in it, also if it is written for a URL."""
    for written in {text, unquote_plus(text)}:
        if looks.has_card_number(written):
            raise ValidationError(
                "This looks like a card number. The gateway's page is the only place for one.",
                code="looks_like_card_number",
            )
        if looks.has_credential(written):
            raise ValidationError("This looks like a token or a key.", code="looks_like_secret")
