"""Every mail in every language: complete, the same in both parts, and harmless whatever people call themselves."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest
from babel import Locale
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

import notifications
from notifications.dto import Letter, Occasion, Standing, Template
from notifications.rendering import check_settings, money_in_words, render
from orders.dto import MailLine, MailOrder
from payments.dto import PaymentView
from payments.states import RefundCause
from shop.kernel.ids import new_id
from shop.kernel.money import Money

AT = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
LANGUAGES = ["en", "de"]
WORDS = Path(notifications.__file__ or "").parent / "templates" / "notifications"
TIMES = "\u00d7"
VOID = {"meta", "br"}


def mail_order(currency: str = "EUR", *, lines: int = 2, name: str = "Night Ferry Assam") -> MailOrder:
    price = Money(123_450, currency)
    subtotal = price * 2 * lines
    shipping = Money(4_900, currency)
    return MailOrder(
        order_id=new_id(),
        number="R7KD-2MNP-XW",
        email="ada@example.com",
        language="de",
        lines=tuple(MailLine(f"{name} {place}", 2, price, price * 2) for place in range(lines)),
        subtotal=subtotal,
        discount=Money.zero(currency),
        shipping=shipping,
        tax=Money(38_100, currency),
        total=subtotal + shipping,
        captured=Money.zero(currency),
        shipping_address={
            "name": "Ada Byron", "line1": "Mole 1", "city": "Kiel", "postal_code": "24103", "country": "DE",
        },
        payment_deadline=AT + timedelta(minutes=30),
        tracking="",
        created_at=AT,
    )  # fmt: skip


def occasion(
    template: Template = Template.ORDER_CONFIRMATION,
    *,
    order: MailOrder | None = None,
    standing: Standing = Standing.WAITING,
    failure_code: str = "card_declined",
    cause: str = "",
) -> Occasion:
    order = order or mail_order()
    return Occasion(
        template=template,
        amount=order.total,
        occurred_at=AT,
        failure_code=failure_code,
        cause=cause,
        order=order,
        standing=standing,
        payment=None,
    )


def given_back(minor: int, *, cause: str = "requested", refunded: int | None = None) -> Occasion:
    """Return the occasion of a refund of a payment of 49.87 EUR, of which `refunded` has gone back by now."""
    payment = PaymentView(
        payment_id=new_id(),
        order_id=new_id(),
        user_id=new_id(),
        gateway="sandbox",
        reference="R7KD-2MNP-XW-1a2b3c4d",
        status="succeeded",
        amount=Money(4_987, "EUR"),
        refunded=Money(minor if refunded is None else refunded, "EUR"),
        redirect_url="",
        expires_at=AT,
        failure_code="",
        failure_detail="",
    )
    sent = occasion(Template.REFUND_SENT, cause=cause, standing=Standing.PAID)
    return replace(sent, amount=Money(minor, "EUR"), payment=payment)


class _Page(HTMLParser):
    """Gathers the words a reader sees, the links, and elements that were not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page(letter: Letter) -> _Page:
    parsed = _Page()
    parsed.feed(letter.html)
    parsed.close()
    return parsed


def flat(text: str) -> str:
    return " ".join(text.split())


def figures(text: str) -> set[str]:
    """Return every piece of text that has a digit in it: prices, dates, numbers."""
    return {word.strip(".,:()") for word in text.split() if re.search(r"\d", word)}


@pytest.mark.parametrize(
    ("template", "language", "currency", "standing"),
    list(product(Template, LANGUAGES, ["EUR", "JPY", "KWD"], Standing)),
)
def test_both_parts_of_every_mail_tell_the_same(
    template: Template, language: str, currency: str, standing: Standing
) -> None:
    letter = render(occasion=occasion(template, order=mail_order(currency), standing=standing), language=language)
    shown = page(letter)
    seen = " ".join(shown.words)

    assert figures(letter.text.replace(shown.links[0], "")) == figures(seen)
    assert shown.open == []
    assert len(shown.links) == 1
    assert shown.links[0] in letter.text
    for part in (letter.subject, letter.text, letter.html):
        assert not re.search(r"\{\{|\{%|\bNone\b|: $|Standing|Template", part)
    for paragraph in letter.text.split("\n\n"):
        if not paragraph.startswith(("http", "-")) and ":" not in paragraph and TIMES not in paragraph:
            assert all(flat(row) in flat(seen) for row in paragraph.splitlines())


@pytest.mark.parametrize("template", Template)
@pytest.mark.parametrize("standing", Standing)
def test_languages_are_not_mixed(template: Template, standing: Standing) -> None:
    english = render(occasion=occasion(template, standing=standing), language="en")
    german = render(occasion=occasion(template, standing=standing), language="de")
    german = replace(german, text=re.sub(r"https?://\S+", "", german.text))

    assert not re.search(r"\b(Ihre|und|Bestellung|Zahlung|Sie)\b", english.subject + english.text)
    assert not re.search(r"\b(your|and|order|payment|you|the)\b", german.subject + german.text)


def test_every_language_has_every_file_and_every_label() -> None:
    names = {f"{template}.txt" for template in Template} | {"words.txt"}

    for language in LANGUAGES:
        assert {path.name for path in (WORDS / language).iterdir()} == names
    for name in names:
        labels = [
            [line.split(": ")[0] for line in (WORDS / language / name).read_text().partition("\n\n")[0].splitlines()]
            for language in LANGUAGES
        ]
        assert labels[0] == labels[1]


@pytest.mark.parametrize(
    ("money", "language", "written"),
    [
        (Money(123_450, "EUR"), "de", "1.234,50\u00a0€"),
        (Money(123_450, "EUR"), "en", "€1,234.50"),
        (Money(1_235, "JPY"), "de", "1.235\u00a0¥"),
        (Money(1_235, "JPY"), "en", "¥1,235"),
        (Money(1_234, "KWD"), "de", "1,234\u00a0KWD"),
        (Money(1_234, "KWD"), "en", "KWD\u00a01.234"),
        (Money(-500, "EUR"), "de", "-5,00\u00a0€"),
        (Money(1_250, "AFN"), "en", "AFN\u00a012.50"),
    ],
)
def test_money_is_written_as_the_language_does(money: Money, language: str, written: str) -> None:
    assert money_in_words(money=money, locale=Locale.parse(language)) == written


def test_time_is_told_in_the_zone_of_the_shop_and_names_it(settings: Settings) -> None:
    german = render(occasion=occasion(), language="de")
    abroad = render(occasion=occasion(), language="en")
    settings.SHOP_TIME_ZONE = "UTC"
    english = render(occasion=occasion(), language="en")

    assert "Bitte zahlen Sie bis: 22. November 2026, 14:00 (MEZ)" in german.text
    assert "Please pay by: November 22, 2026, 2:00\u202fPM (GMT+01:00)" in abroad.text
    assert "Please pay by: November 22, 2026, 1:00\u202fPM (UTC)" in english.text


def test_a_confirmation_lists_everything() -> None:
    text = render(occasion=occasion(), language="en").text

    assert f"2 {TIMES} Night Ferry Assam 0\n    2 {TIMES} €1,234.50    €2,469.00" in text
    assert "Subtotal: €4,938.00\nShipping: €49.00\nIncludes VAT: €381.00\nTotal: €4,987.00" in text
    assert "Delivery address\nAda Byron\nMole 1\n24103 Kiel\nGermany" in text
    assert "Order number: R7KD-2MNP-XW" in text


def test_tax_on_top_is_called_so_and_a_discount_is_shown() -> None:
    order = mail_order()
    order = replace(order, discount=Money(1_000, "EUR"), total=order.total - Money(1_000, "EUR") + order.tax)

    text = render(occasion=occasion(order=order), language="en").text

    assert "Discount: -€10.00" in text
    assert "\nVAT: €381.00" in text


def test_addresses_follow_their_country() -> None:
    address = {
        "name": "Ada", "line1": "1 Main St", "line2": "Flat 2", "city": "Springfield", "region": "IL",
        "postal_code": "62701", "country": "US",
    }  # fmt: skip

    text = render(occasion=occasion(order=replace(mail_order(), shipping_address=address)), language="de").text

    assert "Ada\n1 Main St\nFlat 2\nSpringfield IL 62701\nVereinigte Staaten" in text


@pytest.mark.parametrize(
    ("standing", "button", "says"),
    [
        (Standing.WAITING, "Try again", "You can try again, also with another card, until"),
        (Standing.OVERDUE, "View your order", "The time to pay has run out since."),
        (Standing.PAID, "View your order", "Since then your order has been paid"),
        (Standing.CLOSED, "View your order", "nothing is left to pay"),
    ],
)
def test_a_failed_payment_offers_what_is_still_possible(standing: Standing, button: str, says: str) -> None:
    order = mail_order()
    letter = render(occasion=occasion(Template.PAYMENT_FAILED, order=order, standing=standing), language="en")

    assert f"{button}:\nhttps://shop.example.com/orders/{order.order_id}" in letter.text
    assert says in flat(letter.text)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("insufficient_funds", "there is not enough money on the card."),
        ("card_declined", "the card was declined."),
        ("something_new", "did not succeed. No money"),
    ],
)
def test_a_failed_payment_says_why(code: str, says: str) -> None:
    assert says in flat(render(occasion=occasion(Template.PAYMENT_FAILED, failure_code=code), language="en").text)


def test_money_for_a_closed_order_promises_no_parcel() -> None:
    text = render(occasion=occasion(Template.PAYMENT_RECEIPT, standing=Standing.CLOSED), language="en").text

    assert "parcel" not in text
    assert "you get your money back in full" in flat(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refund_says_why_in_words_of_its_own(language: str) -> None:
    letters = {cause: render(occasion=given_back(1_000, cause=cause), language=language) for cause in RefundCause}
    why = {cause: flat(letter.text.partition("https://")[0]) for cause, letter in letters.items()}

    # What staff ask for, here or in the gateway's dashboard, is the same to a shopper.
    assert why[RefundCause.REQUESTED] == why[RefundCause.EXTERNAL]
    assert len(set(why.values())) == len(RefundCause) - 1
    for text in why.values():
        assert not re.search("_|requested|external|surplus", text)
    assert all("R7KD-2MNP-XW-1a2b3c4d" in letter.text for letter in letters.values())


@pytest.mark.parametrize(
    ("minor", "refunded", "says"),
    [
        (4_987, 4_987, "Your payment of €49.87 has now gone back to you in full."),
        (987, 4_987, "Your payment of €49.87 has now gone back to you in full."),
        (987, 987, "This is a part of your payment of €49.87."),
        (987, 1_987, "Together with what had gone back before, this makes €19.87 of your payment of €49.87."),
        (987, 0, "We have given you €9.87 back for your order R7KD-2MNP-XW. The money goes to the card"),
    ],
)
def test_a_refund_says_how_much_of_the_payment_it_is(minor: int, refunded: int, says: str) -> None:
    assert says in flat(render(occasion=given_back(minor, refunded=refunded), language="en").text)


def test_a_refund_that_came_back_says_whom_to_tell(settings: Settings) -> None:
    back = replace(given_back(987, refunded=0), template=Template.REFUND_REVERSED)
    without = flat(render(occasion=back, language="en").text)
    settings.SUPPORT_EMAIL = "help@shop.example.com"
    with_one = flat(render(occasion=back, language="en").text)

    assert "reply to this mail." in without
    assert "write to help@shop.example.com." in with_one


def test_a_refund_that_was_refused_leads_staff_to_the_admin(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://api.example.com"
    refused = replace(given_back(987), template=Template.REFUND_REJECTED, failure_code="account_closed")

    letter = render(occasion=refused, language="en")

    assert f"https://api.example.com/admin/orders/order/{refused.order.order_id}/change/" in letter.text
    assert "refused to give back €9.87 for order R7KD-2MNP-XW: account_closed." in flat(letter.text)
    assert "Why the money was to go back: requested." in flat(letter.text)
    assert "because of your order" not in letter.text


@pytest.mark.parametrize(
    ("cause", "captured", "says"),
    [
        ("requested_by_shopper", 0, ["As you asked, we have cancelled", "Nothing is left to pay."]),
        ("requested_by_staff", 4_987, ["the articles will not be sent", "You have paid €49.87. All of it goes back"]),
    ],
)
def test_a_cancelled_order_says_what_becomes_of_the_money(cause: str, captured: int, says: list[str]) -> None:
    order = replace(mail_order(), captured=Money(captured, "EUR"))
    cancelled = occasion(Template.ORDER_CANCELLED, order=order, standing=Standing.CLOSED, cause=cause)

    text = flat(render(occasion=cancelled, language="en").text)

    assert [part for part in says if part not in text] == []


def test_goods_on_their_way_name_the_tracking_number() -> None:
    sent = occasion(Template.ORDER_FULFILLED, order=replace(mail_order(), tracking="00340434"), standing=Standing.PAID)
    untracked = occasion(Template.ORDER_FULFILLED, standing=Standing.PAID)

    assert "Sendungsnummer: 00340434" in render(occasion=sent, language="de").text
    assert "Sendungsnummer" not in render(occasion=untracked, language="de").text


def test_names_cannot_break_out() -> None:
    evil = 'Ada\r\nBcc: eve@example.com\n\nPay here: https://evil.example <script>alert("1")</script> {{ 7|add:7 }}'
    order = replace(mail_order(name=evil), shipping_address={"name": evil, "country": "DE"})

    letter = render(occasion=occasion(order=order), language="en")

    assert "<script" not in letter.html
    assert "&lt;script&gt;" in letter.html
    assert "{{ 7|add:7 }}" in letter.text
    assert "\nBcc" not in letter.text
    assert "\nPay here" not in letter.text
    assert "Hello Ada Bcc: eve@example.com Pay here:" in flat(letter.text)


def test_subjects_are_one_line(settings: Settings) -> None:
    settings.SHOP_NAME = "Kupfer\r\nBcc: eve@example.com\r\n\r\n& Klee"

    subject = render(occasion=occasion(), language="en").subject

    assert subject == "Your order R7KD-2MNP-XW at Kupfer Bcc: eve@example.com & Klee"


def test_a_language_nobody_speaks_here_becomes_the_shops_own() -> None:
    assert render(occasion=occasion(), language="fr").subject.startswith("Your order")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SHOP_TIME_ZONE", "Europe/Atlantis"),
        ("SHOP_TIME_ZONE", "../etc/passwd"),
        ("FRONTEND_ORDER_URL", "https://shop.example.com/{number}"),
        ("FRONTEND_ORDER_URL", "https://shop.example.com/{order_id"),
        ("SUPPORT_EMAIL", "help"),
        ("SUPPORT_EMAIL", "help@shop.example.com\r\nBcc: eve@example.com"),
    ],
)
def test_settings_no_mail_could_be_written_by_stop_the_start(settings: Settings, name: str, value: str) -> None:
    check_settings()
    setattr(settings, name, value)

    with pytest.raises(ImproperlyConfigured, match=name):
        check_settings()


def test_a_hundred_lines_are_fine() -> None:
    letter = render(occasion=occasion(order=mail_order(lines=100)), language="de")

    assert letter.text.count(f"{TIMES} Night Ferry Assam") == 100
    assert letter.html.count("Night Ferry Assam") == 100
    assert max(len(line) for line in letter.html.splitlines()) < 998
