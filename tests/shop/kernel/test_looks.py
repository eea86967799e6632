"""Card numbers are found however they are typed; what merely has many digits is left alone."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from shop.kernel.ids import new_id, new_order_number
from shop.kernel.looks import MASK, has_card_number, has_credential, masked

# Test numbers the issuers publish.
CARDS = [
    "4242424242424242",
    "4000056655665556",
    "5555555555554444",
    "2223003122003222",
    "5200828282828210",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "3056930009020004",
    "36227206271667",
    "6555900000604105",
    "3566002020360505",
    "6200000000000005",
    "6205500000000000004",
]
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize("card", CARDS)
def test_every_issuers_numbers_are_known(card: str) -> None:
    assert has_card_number(card)
    assert masked(f"paid with {card}.") == f"paid with {MASK}."
    for mark in (" ", "-", ".", "\u00a0"):
        assert (
            masked(f"GET /{mark.join(card[at : at + 4] for at in range(0, 19, 4)).rstrip(mark)}/x") == f"GET /{MASK}/x"
        )


@pytest.mark.parametrize(
    "typed",
    [
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "4242.4242.4242.4242",
        "4242/4242/4242/4242",
        "4242  4242  4242  4242",
        "4242 - 4242 - 4242 - 4242",
        "4242\u20134242\u20134242\u20134242",
        "4242\u00a04242\u00a04242\u00a04242",
        "4242\u202f4242\u202f4242\u202f4242",
        "\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12",
        "3782 822463 10005",
        "Ada4242424242424242",
        "Lindenallee 7 4242 4242 4242 4242",
        "4242 4242 4242 4242 12/30 123",
        "4242424242424242@example.com",
        "https://shop.example.com/thanks?card=4242424242424242",
        "my card is (4242 4242 4242 4242)!",
        "39 02 1234 5678 90",
        "call +49 30 4242, card 4242424242424242",
    ],
)
def test_a_card_number_is_found_however_it_is_typed(typed: str) -> None:
    assert has_card_number(typed)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("4242 4242 4242 4242 12/30 123", f"{MASK} 12/30 123"),
        ("12/30 4242424242424242 123", f"12/30 {MASK} 123"),
        ("4242/4242/4242/4242", MASK),
        ("4242\n4242\n4242\n4242", MASK),
        ("4242\u20134242\u20134242\u20134242", MASK),
        ("4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2", MASK),
        ("card4242424242424242x", f"card{MASK}x"),
        ("7 3782 822463 10005 and 4242 4242 4242 4242 12", f"7 {MASK} and {MASK} 12"),
    ],
)
def test_what_would_be_refused_is_masked_whatever_stands_beside_it(text: str, kept: str) -> None:
    assert masked(text) == kept


@given(row=some.builds(new_id), random=some.uuids(version=4))
def test_ids_are_not_masked(row: object, random: object) -> None:
    assert masked(f"payment_id={row} other={random}") == f"payment_id={row} other={random}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Lindenallee 7, Hinterhaus 2",
        # Wrong check digit, no issuer, an issuer in another's length.
        "4242424242424241",
        "1234567812345670",
        "9999999999999995",
        "42424242424242426",
        "378282246310005000",
        # Telephones.
        "+49 30 4242 4242",
        "+4930424242424",
        "0049 171 4242 4242",
        "+1 (424) 242-4242 ext. 42424",
        # Of an issuer's length and with the check digit, but for the plus.
        "+39 02 1234 5678 90",
        # EAN-13 and GTIN-14, whose check digit is another; 4006381333931 and 4260000000004 begin like Visa cards.
        "4006381333931",
        "4260000000004",
        "04006381333931",
        # Tracking numbers: DHL, DPD, UPS, Hermes, USPS.
        "00340434161094042557",
        "01234567890123",
        "1Z9999999999999999",
        "H1001234567890123456",
        "9400111899223197428490",
        # IBAN, BIC, tax number, dates, years, times.
        "DE89 3704 0044 0532 0130 00",
        "GB29 NWBK 6016 1331 9268 19",
        "DE 123456789",
        "2026-11-22 16:40:14.123456",
        "22.11.2026 22.11.2027",
        "1732291200000000000",
    ],
)
def test_what_merely_has_many_digits_is_no_card_number(text: str) -> None:
    assert not has_card_number(text)


@given(row=some.builds(new_id), random=some.uuids(version=4), number=some.builds(new_order_number))
def test_ids_and_order_numbers_are_no_card_numbers(row: object, random: object, number: str) -> None:
    assert not has_card_number(f"https://shop.example.com/{number}?payment_id={row}&other={random}")


def iban(country: str, account: str) -> str:
    """Return the IBAN of an account, in groups of four."""
    number = int("".join(str(int(sign, 36)) for sign in f"{account}{country}00"))
    whole = f"{country}{98 - number % 97:02}{account}"
    return " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))


ACCOUNTS = some.builds(
    iban,
    some.sampled_from(["DE", "AT", "BE", "ES", "FR", "PL", "de"]),
    some.text("0123456789", min_size=12, max_size=26),
)


@given(account=ACCOUNTS, card=some.sampled_from(CARDS))
@example(account=iban("DE", "424242424242424200"), card=CARDS[0])
@example(account=iban("PL", "42424242424242424242"), card=CARDS[0])
def test_an_iban_is_no_card_number_and_hides_none(account: str, card: str) -> None:
    assert not has_card_number(account)
    assert not has_card_number(f"Account {account} bank")
    assert has_card_number(f"{account} {card}")
    assert has_card_number(f"{card} {account}")


def test_what_merely_begins_like_an_iban_hides_no_card() -> None:
    assert has_card_number("DE00 4242 4242 4242 4242")


@pytest.mark.parametrize(
    "text", [JWT, "sk_live_51H8abcdefghijkl", "whsec_c2FuZGJveC1nYXRld2F5", "shop_0123456789ab_abcdefghijklmno"]
)
def test_a_token_or_key_is_found(text: str) -> None:
    assert has_credential(f"see {text} there")
    assert text not in masked(f"see {text} there")


@pytest.mark.parametrize("text", ["eyJ", "live_and_let_die", "Key_Largo 12", "whsec_", "a_b", "Ada"])
def test_what_merely_begins_so_is_no_key(text: str) -> None:
    assert not has_credential(text)


@given(some.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    has_card_number(text)
    has_credential(text)
    masked(text)
