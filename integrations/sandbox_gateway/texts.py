"""What the hosted page says, in English and German, and how it writes amounts."""

from typing import Final

# ISO 4217: how many digits follow the point, where it is not two.
EXPONENTS: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
ENGLISH: Final = {
    "title": "Payment",
    "test_mode": "Test mode: no real card, no real money",
    "pay_to": "Payment to",
    "reference": "Reference",
    "card_number": "Card number",
    "expiry": "Expiry date",
    "expiry_hint": "MM/YY",
    "cvc": "Security code",
    "pay": "Pay",
    "cancel": "Cancel and go back",
    "cards": "Test cards",
    "cards_hint": "Any expiry date in the future and any security code will do.",
    "hint_pays": "pays",
    "hint_declined": "is declined",
    "hint_funds": "has no funds",
    "hint_processing": "waits, then pays",
    "summary": "Please check what is marked below.",
    "error_number": "Enter the card number: 12 to 19 digits.",
    "error_not_a_test_card": "Only the test cards listed below work here. Never type a real card.",
    "error_expiry": "Enter month and year, such as 12/34.",
    "error_expired": "This card has expired.",
    "error_cvc": "Enter the 3 or 4 digits.",
    "back": "Back to the shop",
    "again": "Your card was not charged just now: this payment takes no card any more.",
    "state_paid": "This payment is paid.",
    "state_processing": "Your payment is being processed.",
    "state_failed": "The card was declined. Nothing was charged.",
    "state_cancelled": "This payment was cancelled.",
    "state_closed": "The shop has closed this payment.",
    "state_expired": "The time for this payment has run out.",
    "more_paid": "You can go back to the shop now.",
    "more_processing": "This can take a moment. You can go back to the shop now.",
    "more_failed": "Go back to the shop to try again, perhaps with another card.",
    "more_cancelled": "Nothing was charged. Go back to the shop to try again.",
    "more_closed": "Nothing was charged. Go back to the shop to try again.",
    "more_expired": "Nothing was charged. Go back to the shop to try again.",
    "unknown": "There is no such payment.",
    "more_unknown": "Check the address, or go back to the shop and try again.",
}
GERMAN: Final = {
    "title": "Zahlung",
    "test_mode": "Testbetrieb: keine echte Karte, kein echtes Geld",
    "pay_to": "Zahlung an",
    "reference": "Referenz",
    "card_number": "Kartennummer",
    "expiry": "Gültig bis",
    "expiry_hint": "MM/JJ",
    "cvc": "Prüfziffer",
    "pay": "Bezahlen:",
    "cancel": "Abbrechen und zurück",
    "cards": "Testkarten",
    "cards_hint": "Jedes künftige Datum und jede Prüfziffer passt.",
    "hint_pays": "bezahlt",
    "hint_declined": "wird abgelehnt",
    "hint_funds": "ist nicht gedeckt",
    "hint_processing": "wartet, bezahlt dann",
    "summary": "Bitte prüfen Sie die markierten Felder.",
    "error_number": "Geben Sie die Kartennummer ein: 12 bis 19 Ziffern.",
    "error_not_a_test_card": "Hier gehen nur die Testkarten unten. Geben Sie nie eine echte Karte ein.",
    "error_expiry": "Geben Sie Monat und Jahr ein, etwa 12/34.",
    "error_expired": "Diese Karte ist abgelaufen.",
    "error_cvc": "Geben Sie die 3 oder 4 Ziffern ein.",
    "back": "Zurück zum Shop",
    "again": "Ihre Karte wurde eben nicht belastet: Diese Zahlung nimmt keine Karte mehr an.",
    "state_paid": "Diese Zahlung ist bezahlt.",
    "state_processing": "Ihre Zahlung wird bearbeitet.",
    "state_failed": "Die Karte wurde abgelehnt. Es wurde nichts abgebucht.",
    "state_cancelled": "Diese Zahlung wurde abgebrochen.",
    "state_closed": "Der Shop hat diese Zahlung geschlossen.",
    "state_expired": "Die Zeit für diese Zahlung ist abgelaufen.",
    "more_paid": "Sie können jetzt zum Shop zurück.",
    "more_processing": "Das kann einen Moment dauern. Sie können jetzt zum Shop zurück.",
    "more_failed": "Versuchen Sie es im Shop noch einmal, vielleicht mit einer anderen Karte.",
    "more_cancelled": "Es wurde nichts abgebucht. Versuchen Sie es im Shop noch einmal.",
    "more_closed": "Es wurde nichts abgebucht. Versuchen Sie es im Shop noch einmal.",
    "more_expired": "Es wurde nichts abgebucht. Versuchen Sie es im Shop noch einmal.",
    "unknown": "Diese Zahlung gibt es nicht.",
    "more_unknown": "Prüfen Sie die Adresse oder versuchen Sie es im Shop noch einmal.",
}
LANGUAGES: Final = {"en": ENGLISH, "de": GERMAN}


def pick_language(*, accepted: str) -> str:
    """Return the language of ours that an Accept-Language header likes best; English if it likes none."""
    best, best_weight = "en", 0.0
    for item in accepted[:200].split(","):
        tag, _, quality = item.partition(";q=")
        language = tag.strip().lower().split("-")[0]
        try:
            weight = float(quality or 1)
        except ValueError:
            weight = 0.0
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


def write_amount(*, amount: int, currency: str, language: str) -> str:
    """Return minor units as a person writes them: `49.90 EUR`, `4,990 JPY`, `4.990,00 EUR` in German."""
    exponent = EXPONENTS.get(currency, 2)
    whole, rest = divmod(amount, 10**exponent)
    text = f"{whole:,}" + (f".{rest:0{exponent}}" if exponent else "")
    if language == "de":
        text = text.translate(str.maketrans(",.", ".,"))
    return f"{text}\N{NO-BREAK SPACE}{currency}"
