"""What looks like a secret: card numbers, tokens, keys. Those who mask and those who refuse ask here.

Logs mask generously, since a masked number costs nothing. What people are refused has to be a card number beyond
reasonable doubt: digits of an issuer, in that issuer's length, with the check digit.
"""

import re
import unicodedata
from collections.abc import Iterator

MASK = "***"

# Each with a sign that a text must have at all: most texts have none of them, and cost no search.
_CREDENTIALS = (
    # JSON Web Tokens.
    ("eyJ", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*")),
    # Our own API keys, and keys and webhook secrets as gateways write them.
    ("_", re.compile(r"\b(?:shop_[0-9a-f]{12}|[sprk]k_(?:live|test)|whsec|live|test)_[A-Za-z0-9+/=_-]{12,}")),
)
_IN_HEADERS_AND_ADDRESSES = (
    # Bearer and Basic credentials, with or without the header's name before them.
    (" ", re.compile(r"(?i)(?<=\bbearer )[^\s'\",;]+|(?<=\bbasic )[A-Za-z0-9+/=_-]{8,}")),
    # The password in an address such as postgresql://user:password@host.
    ("://", re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+(?=@)")),
)
# Thirteen to nineteen digits, as cards have them, that are not part of an id.
_PERHAPS_A_CARD = re.compile(r"(?<![\w.-])(?:[3-6]\d|2[2-7])(?:[ \u00a0\u202f.-]?\d){11,17}(?![\w-])")
_SHORTEST = 13

# Issuers, by the first digits of their numbers and the lengths they issue. Visa's thirteen digits of old are left out:
# they cannot be told from the EAN on a parcel.
_ISSUED = (
    (re.compile(r"4"), frozenset({16, 19})),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), frozenset({16})),
    (re.compile(r"3[47]"), frozenset({15})),
    (re.compile(r"30[0-5]|3095|3[689]"), frozenset({14, 16})),
    (re.compile(r"6011|64[4-9]|65"), frozenset({16, 19})),
    (re.compile(r"352[89]|35[3-8]"), frozenset({16, 19})),
    (re.compile(r"62"), frozenset({16, 17, 18, 19})),
    (re.compile(r"5018|5020|5038|5893|6304|6759|676[1-3]"), frozenset({16, 17, 18, 19})),
)
_SHORTEST_ISSUED, _LONGEST_ISSUED = 14, 19
# E.164. A telephone's country code may be an issuer's first digits: 39 is Italy and Diners.
_LONGEST_TELEPHONE = 15
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# An account in groups of four, as people type it: two letters, two check digits, and up to thirty signs more.
_IBAN = re.compile(r"\b[A-Za-z]{2}[0-9]{2}(?: [A-Za-z0-9]{4}){2,7}(?: [A-Za-z0-9]{1,3})?\b")
# Digits in groups, as people type them: blanks, hyphens and dashes, dots, strokes.
_RUN = re.compile(r"\+?[0-9]+(?:[\s./_\u2010-\u2015\u2212-]{1,3}[0-9]+)*")
_GROUP = re.compile(r"[0-9]+")
_UUID_OR_RUN = re.compile(f"{_UUID.pattern}|{_RUN.pattern}")


def masked(text: str) -> str:
    """Return the text with everything in it that looks like a credential or a card number masked."""
    for sign, looks in (*_IN_HEADERS_AND_ADDRESSES, *_CREDENTIALS):
        if sign in text:
            text = looks.sub(_masked, text)
    if len(text) < _SHORTEST:
        return text
    text = _PERHAPS_A_CARD.sub(lambda found: MASK if _checks(_digits(found[0])) else found[0], text)
    # What would be refused is masked as well: also beside other digits, such as its expiry, and grouped in any way.
    return _UUID_OR_RUN.sub(_without_cards, text)


def has_credential(text: str) -> bool:
    """Say whether a token or a key stands in the text."""
    return any(sign in text and looks.search(text) for sign, looks in _CREDENTIALS)


def has_card_number(text: str) -> bool:
    """Say whether a card number stands in the text beyond reasonable doubt, in whatever way it is grouped."""
    if len(text) < _SHORTEST_ISSUED:
        return False
    # Full-width digits, and blanks that do not break, become those of ASCII.
    plain = _IBAN.sub(_without_iban, _UUID.sub("", unicodedata.normalize("NFKC", text)))
    return any(_is_issued(number) for run in _RUN.findall(plain) for number, *_ in _numbers(run))


def _without_iban(found: re.Match[str]) -> str:
    """Take the longest valid IBAN away from where the groups begin; the word that follows may be as long as a group."""
    groups = found[0].split(" ")
    for many in range(len(groups), 2, -1):
        account = "".join(groups[:many])
        # ISO 7064: the country and its check digits go to the end, letters count from ten.
        if int("".join(str(int(sign, 36)) for sign in account[4:] + account[:4])) % 97 == 1:
            return " ".join(["-iban-", *groups[many:]])
    return found[0]


def _without_cards(found: re.Match[str]) -> str:
    run = found[0]
    if _UUID.fullmatch(run):
        return run
    shown, at = "", 0
    for number, start, end in _numbers(run):
        if start >= at and _is_issued(number):
            shown, at = f"{shown}{run[at:start]}{MASK}", end
    return shown + run[at:]


def _numbers(run: str) -> Iterator[tuple[str, int, int]]:
    """Yield what neighbouring groups of digits make together, and from where to where.

    A group is never cut: part of an id is no card.
    """
    groups = list(_GROUP.finditer(run))
    for first, begin in enumerate(groups):
        number, is_telephone = "", run.startswith("+") and first == 0
        for group in groups[first:]:
            number += group[0]
            if len(number) > _LONGEST_ISSUED:
                break
            if not (is_telephone and len(number) <= _LONGEST_TELEPHONE):
                yield number, begin.start(), group.end()


def _is_issued(number: str) -> bool:
    if len(number) < _SHORTEST_ISSUED:
        return False
    return any(len(number) in lengths and first.match(number) for first, lengths in _ISSUED) and _checks(number)


def _checks(number: str) -> bool:
    """Tell by Luhn's check digit: nine of ten numbers that are no cards do not have it."""
    digits = [int(sign) for sign in reversed(number)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isdigit())


def _masked(found: re.Match[str]) -> str:
    user = found[1] if found.re.groups else None
    return MASK if user is None else f"{user}:{MASK}"
