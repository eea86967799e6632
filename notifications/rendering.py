"""Letters: the same facts, in the words of one language, as plain text and as HTML.

What a mail says in a language is one small file of plain text, `templates/notifications/<language>/<template>.txt`:
lines `name: value`, an empty line, paragraphs. The labels of a language are in its `words.txt`. Two layouts, which
know no language, show the words and the facts; so both parts of a mail tell the same.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_time, get_timezone_gmt, get_timezone_name
from babel.numbers import get_currency_symbol, parse_pattern
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Engine
from django.template.loader import render_to_string
from django.urls import reverse

from notifications.dto import FOR_STAFF, Letter, Occasion, Standing, Template
from orders.dto import MailOrder
from payments.dto import PaymentView
from shop.kernel.money import Money, exponent

_FOLDER = "notifications"
_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")
_BREAKS = re.compile(r"[\x00-\x20\x7f\x85\u2028\u2029]+")
_CITY_BEFORE_CODE = frozenset({"US", "CA", "AU", "GB"})
_OF_REFUNDS = frozenset({Template.REFUND_SENT, Template.REFUND_REVERSED, Template.REFUND_REJECTED})

Fact = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Words:
    """What a file of words says: its named lines, and its paragraphs."""

    named: dict[str, str]
    paragraphs: tuple[str, ...]


def check_settings() -> None:
    """Raise ImproperlyConfigured when the settings mails are written by cannot be used."""
    try:
        settings.FRONTEND_ORDER_URL.format(order_id="")
    except (LookupError, ValueError) as error:
        raise ImproperlyConfigured("FRONTEND_ORDER_URL may hold one placeholder: {order_id}.") from error
    if settings.SUPPORT_EMAIL and not _ADDRESS.fullmatch(settings.SUPPORT_EMAIL):
        raise ImproperlyConfigured("SUPPORT_EMAIL must be one e-mail address, such as help@shop.example.com.")
    try:
        _zone(settings.SHOP_TIME_ZONE)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ImproperlyConfigured(
            f"SHOP_TIME_ZONE={settings.SHOP_TIME_ZONE} is not a time zone this machine knows."
        ) from error


def render(*, occasion: Occasion, language: str) -> Letter:
    """Return the letter in this language, or in the shop's own when it does not speak this one."""
    spoken = language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
    locale = Locale.parse(spoken)
    order = occasion.order
    said = _said(occasion, locale)
    words = _words(spoken, occasion.template, said)
    labels = _words(spoken, "words", said).named
    context = {
        "language": spoken,
        "shop_name": settings.SHOP_NAME,
        "words": words.named,
        "labels": labels,
        "paragraphs": words.paragraphs,
        "order_url": _order_url(occasion),
        "facts": _facts(occasion, labels, locale),
        "lines": _lines(order, locale),
        "sums": _sums(order, labels, locale),
        "total": (labels["total"], said["total"]),
        "address": _address(order.shipping_address, locale),
        "footer": labels["staff_footer" if occasion.template in FOR_STAFF else "footer"],
    }
    return Letter(
        subject=words.named["subject"],
        text=_tidy(render_to_string(f"{_FOLDER}/layout.txt", context)),
        html=render_to_string(f"{_FOLDER}/layout.html", context),
    )


def money_in_words(*, money: Money, locale: Locale) -> str:
    """Return the amount as people of this language write it, with the minor digits ISO 4217 gives the currency.

    Babel would take the digits from CLDR, which rounds some currencies that have cents on paper only.
    """
    pattern = locale.currency_formats["standard"].pattern
    if get_currency_symbol(money.currency, locale=locale)[-1].isalpha():
        pattern = pattern.replace("\u00a4#", "\u00a4\u00a0#")
    digits = parse_pattern(pattern)
    digits.frac_prec = (exponent(money.currency),) * 2
    written: str = digits.apply(money.major(), locale, currency=money.currency, currency_digits=False)
    return written


def _said(occasion: Occasion, locale: Locale) -> dict[str, str]:
    """Return what the words of a mail may speak of; what does not apply is empty."""
    order, payment = occasion.order, occasion.payment
    said = {
        "shop_name": settings.SHOP_NAME,
        "support_email": settings.SUPPORT_EMAIL,
        "name": order.shipping_address.get("name", ""),
        "number": order.number,
        "amount": money_in_words(money=occasion.amount, locale=locale),
        "total": money_in_words(money=order.total, locale=locale),
        "captured": money_in_words(money=order.captured, locale=locale) if order.captured else "",
        "deadline": _instant(order.payment_deadline, locale),
        "tracking": order.tracking,
        "failure_code": occasion.failure_code,
        "cause": occasion.cause,
        "standing": occasion.standing.value,
        "extent": "",
    }
    if payment is None:
        return said
    return said | {
        "payment": money_in_words(money=payment.amount, locale=locale),
        "refunded": money_in_words(money=payment.refunded, locale=locale),
        "extent": _extent(occasion.amount, payment),
    }


def _extent(amount: Money, payment: PaymentView) -> str:
    """Say how much of its payment has gone back by now: the whole, this part, or several parts."""
    if payment.refunded >= payment.amount:
        return "whole"
    if payment.refunded > amount:
        return "parts"
    # Less than this refund: it has come back meanwhile, and another mail tells of that.
    return "part" if payment.refunded == amount else ""


def _order_url(occasion: Occasion) -> str:
    order_id = occasion.order.order_id
    if occasion.template in FOR_STAFF:
        return f"{settings.PUBLIC_URL}{reverse('admin:orders_order_change', args=[order_id])}"
    return str(settings.FRONTEND_ORDER_URL.format(order_id=order_id))


def _words(language: str, name: str, said: dict[str, str]) -> _Words:
    """Fill in a file of words. Nothing is escaped here: the layouts do that."""
    template = Engine.get_default().get_template(f"{_FOLDER}/{language}/{name}.txt")
    context = Context({key: _one_line(value) for key, value in said.items()}, autoescape=False)
    head, _, body = template.render(context).partition("\n\n")
    named = dict(line.split(": ", 1) for line in head.splitlines() if line)
    paragraphs = (_one_line(paragraph) for paragraph in re.split(r"\n\s*\n", body))
    return _Words(
        named={key: _one_line(value) for key, value in named.items()},
        paragraphs=tuple(paragraph for paragraph in paragraphs if paragraph),
    )


def _facts(occasion: Occasion, labels: dict[str, str], locale: Locale) -> list[Fact]:
    order = occasion.order
    facts = [
        (labels["order_number"], order.number),
        (labels["ordered_on"], _instant(order.created_at, locale)),
    ]
    if occasion.template is Template.PAYMENT_RECEIPT:
        facts.append((labels["paid"], money_in_words(money=occasion.amount, locale=locale)))
        facts.append((labels["paid_on"], _instant(occasion.occurred_at, locale)))
    elif occasion.template in _OF_REFUNDS:
        facts += _refund_facts(occasion, labels, locale)
    elif occasion.template is Template.ORDER_FULFILLED:
        facts += [(labels["tracking"], _one_line(order.tracking))] if order.tracking else []
    elif occasion.standing is Standing.WAITING:
        facts.append((labels["pay_until"], _instant(order.payment_deadline, locale)))
    return facts


def _refund_facts(occasion: Occasion, labels: dict[str, str], locale: Locale) -> list[Fact]:
    facts = [(labels["refund"], money_in_words(money=occasion.amount, locale=locale))]
    if occasion.payment:
        facts.append((labels["payment_reference"], occasion.payment.reference))
    return facts


def _lines(order: MailOrder, locale: Locale) -> list[dict[str, str]]:
    return [
        {
            "name": _one_line(line.name),
            "quantity": str(line.quantity),
            "unit_price": money_in_words(money=line.unit_price, locale=locale),
            "line_total": money_in_words(money=line.line_total, locale=locale),
        }
        for line in order.lines
    ]


def _sums(order: MailOrder, labels: dict[str, str], locale: Locale) -> list[Fact]:
    before_tax = order.subtotal - order.discount + order.shipping
    sums = [(labels["subtotal"], order.subtotal)]
    if order.discount:
        sums.append((labels["discount"], -order.discount))
    sums.append((labels["shipping"], order.shipping))
    # Totals add up by a constraint of the orders table: either so, or with the tax on top.
    sums.append((labels["tax_included" if order.total == before_tax else "tax_added"], order.tax))
    return [(label, money_in_words(money=money, locale=locale)) for label, money in sums]


def _address(address: dict[str, str], locale: Locale) -> list[str]:
    country = address.get("country", "")
    place = [address.get("postal_code", ""), address.get("city", "")]
    if country in _CITY_BEFORE_CODE:
        place = [address.get("city", ""), address.get("region", ""), address.get("postal_code", "")]
    rows = [
        address.get("name", ""),
        address.get("line1", ""),
        address.get("line2", ""),
        " ".join(part for part in place if part),
        "" if country in _CITY_BEFORE_CODE else address.get("region", ""),
        locale.territories.get(country, country),
    ]
    return [_one_line(row) for row in rows if row]


def _instant(instant: datetime, locale: Locale) -> str:
    """Return date, time and zone: `22. November 2026, 13:30 (MEZ)`."""
    here = instant.astimezone(_zone(settings.SHOP_TIME_ZONE))
    date, time = format_date(here, "long", locale=locale), format_time(here, "short", locale=locale)
    zone = get_timezone_name(here, "short", locale=locale)
    # Not every language has a short name for every zone; Babel's bare offset is not for people.
    if zone[0] in "+-":
        zone = get_timezone_gmt(here, "long", locale=locale)
    return f"{date}, {time} ({zone})"


@cache
def _zone(name: str) -> tzinfo:
    # A machine without a zone database knows this one all the same.
    return UTC if name == "UTC" else ZoneInfo(name)


def _one_line(text: str) -> str:
    """Return the text without line breaks: it can neither end a header nor begin a paragraph.

    Spaces that do not break, as between amount and currency, stay.
    """
    return _BREAKS.sub(" ", text).strip()


def _tidy(text: str) -> str:
    stripped = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", stripped).strip() + "\n"
