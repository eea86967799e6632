"""The hosted page: what it shows, what the cards do, what it never keeps."""

import re

import pytest

from tests.integrations.sandbox_gateway.harness import (
    DECLINED,
    NO_FUNDS,
    PAYS,
    PROCESSING,
    RETURN_URL,
    Gateway,
    Receiver,
    attributes,
    eventually,
    in_parallel,
)


def test_page_asks_for_a_card_without_script_or_foreign_file(gateway: Gateway) -> None:
    session_id = gateway.session(amount=123_456, reference="<order> & 1")

    answer = gateway.page(session_id)

    assert answer.status == 200
    assert "Tea &amp; Sons" in answer.text
    assert "&lt;order&gt; &amp; 1" in answer.text
    assert "1,234.56\N{NO-BREAK SPACE}EUR" in answer.text
    assert not re.search(r"<script|https?:|<link|@import|url\(|\$", answer.text)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for number in (PAYS, DECLINED, NO_FUNDS, PROCESSING):
        assert number in answer.text


@pytest.mark.parametrize(
    ("name", "autocomplete"), [("card_number", "cc-number"), ("expiry", "cc-exp"), ("cvc", "cc-csc")]
)
def test_each_field_has_a_label_and_helps_browsers_fill_it_in(gateway: Gateway, name: str, autocomplete: str) -> None:
    html = gateway.page(gateway.session()).text

    field = attributes(html, "input", name)

    assert f'autocomplete="{autocomplete}"' in field
    assert 'inputmode="numeric"' in field
    assert f'<label for="{name}">' in html
    assert "aria-invalid" not in field


@pytest.mark.parametrize(
    ("amount", "currency", "language", "shown"),
    [
        (1_234_567, "JPY", "en", "1,234,567\N{NO-BREAK SPACE}JPY"),
        (1_234_567, "KWD", "en", "1,234.567\N{NO-BREAK SPACE}KWD"),
        (5, "EUR", "en", "0.05\N{NO-BREAK SPACE}EUR"),
        (1_234_567, "EUR", "de-AT, en;q=0.7", "12.345,67\N{NO-BREAK SPACE}EUR"),
        (100, "EUR", "fr, de;q=0.3, en;q=x", "1,00\N{NO-BREAK SPACE}EUR"),
    ],
)
def test_amount_is_written_by_currency_and_language(
    gateway: Gateway, amount: int, currency: str, language: str, shown: str
) -> None:
    answer = gateway.page(gateway.session(amount=amount, currency=currency), language=language)

    assert shown in answer.text
    assert ('<html lang="de">' in answer.text) == ("de" in language)


@pytest.mark.parametrize(("number", "code"), [(DECLINED, "card_declined"), (NO_FUNDS, "insufficient_funds")])
def test_refused_card_fails_the_session_for_good(gateway: Gateway, receiver: Receiver, number: str, code: str) -> None:
    session_id = gateway.session()

    answer = gateway.pay(session_id, number)

    assert (answer.status, answer.headers["location"]) == (303, RETURN_URL)
    session = gateway.fetch(session_id)
    assert (session["status"], session["failure_code"], session["captured_amount"]) == ("failed", code, 0)
    assert session["payment_id"] is None
    assert gateway.pay(session_id).status == 409
    receiver.wait_for(session_id, "session.failed")


def test_slow_card_stays_processing_and_then_pays(gateway: Gateway, receiver: Receiver) -> None:
    session_id = gateway.session()

    answer = gateway.pay(session_id, PROCESSING)

    assert (answer.status, gateway.fetch(session_id)["status"]) == (303, "processing")
    assert "being processed" in gateway.page(session_id).text
    assert gateway.pay(session_id).status == 409
    [first, second] = eventually(lambda: len(receiver.of(session_id)) == 2 and receiver.of(session_id))
    assert (first.event["type"], first.event["data"]["captured_amount"]) == ("session.processing", 0)
    assert (second.event["type"], second.event["data"]["captured_amount"]) == ("session.paid", 1000)


def test_blanks_and_hyphens_in_a_card_number_do_not_matter(gateway: Gateway) -> None:
    for number in ("4242424242424242", " 4242  4242 4242 4242 ", "4242-4242-4242-4242"):
        assert gateway.pay(gateway.session(), number).status == 303


@pytest.mark.parametrize("expiry", ["12/34", "12 / 34", "1234", "12/2034", "1/34", "01-34"])
def test_expiry_is_understood_as_people_write_it(gateway: Gateway, expiry: str) -> None:
    assert gateway.pay(gateway.session(), expiry=expiry).status == 303


@pytest.mark.parametrize(
    ("number", "expiry", "cvc", "wrong"),
    [
        ("", "", "", ["card_number", "expiry", "cvc"]),
        ("4242 4242 4242 424", "12/34", "123", ["card_number"]),
        ("5555 5555 5555 4444", "12/34", "123", ["card_number"]),
        ("\N{FULLWIDTH DIGIT FOUR}242 4242 4242 4242", "12/34", "123", ["card_number"]),
        (PAYS, "13/34", "123", ["expiry"]),
        (PAYS, "01/20", "123", ["expiry"]),
        (PAYS, "12/34", "12", ["cvc"]),
        (PAYS, '"><b>', "<i>", ["expiry", "cvc"]),
    ],
)
def test_mistyped_field_is_marked_and_nothing_is_charged(
    gateway: Gateway, number: str, expiry: str, cvc: str, wrong: list[str]
) -> None:
    session_id = gateway.session()

    answer = gateway.pay(session_id, number, expiry, cvc)

    assert answer.status == 422
    assert 'role="alert"' in answer.text
    assert "<b>" not in answer.text
    for name in ("card_number", "expiry", "cvc"):
        marked = f'aria-invalid="true" aria-describedby="{name}-error"' in attributes(answer.text, "input", name)
        assert marked == (name in wrong)
        assert (f'id="{name}-error"' in answer.text) == (name in wrong)
    assert " autofocus" in attributes(answer.text, "input", wrong[0])
    assert gateway.fetch(session_id)["status"] == "open"


def test_typed_number_and_code_are_not_sent_back(gateway: Gateway) -> None:
    session_id = gateway.session()

    answer = gateway.pay(session_id, "5105 1051 0510 5100", "13/99", "987")

    shown = answer.text.replace(session_id, "")
    assert "5105" not in shown
    assert "987" not in shown
    assert 'value="13/99"' in shown


def test_cancel_link_ends_the_session_and_goes_back(gateway: Gateway, receiver: Receiver) -> None:
    session_id = gateway.session()
    assert f'href="/pay/{session_id}/cancel"' in gateway.page(session_id).text

    first, second = gateway.cancel(session_id), gateway.cancel(session_id)

    assert (first.status, first.headers["location"]) == (303, RETURN_URL)
    assert (second.status, second.headers["location"]) == (303, RETURN_URL)
    assert gateway.fetch(session_id)["status"] == "cancelled"
    receiver.wait_for(session_id, "session.cancelled")


def test_cancelling_a_paid_session_leaves_it_paid(gateway: Gateway) -> None:
    session_id = gateway.paid_session()

    answer = gateway.cancel(session_id)

    assert (answer.status, gateway.fetch(session_id)["status"]) == (303, "paid")


def test_twenty_payments_at_once_charge_once(gateway: Gateway, receiver: Receiver) -> None:
    session_id = gateway.session()

    answers = in_parallel(lambda: gateway.pay(session_id), times=20)

    assert sorted(answer.status for answer in answers) == [303] + [409] * 19
    receiver.wait_for(session_id, "session.paid")


def test_page_of_an_ended_session_says_so_and_links_back(gateway: Gateway) -> None:
    session_id = gateway.paid_session()

    seen, tried = gateway.page(session_id), gateway.pay(session_id)

    assert (seen.status, tried.status) == (200, 409)
    for answer in (seen, tried):
        assert "This payment is paid." in answer.text
        assert f'href="{RETURN_URL.replace("&", "&amp;")}"' in answer.text
        assert "<form" not in answer.text
    assert "Your card was not charged just now" in tried.text
    assert "Your card was not charged just now" not in seen.text


def test_unknown_session_is_a_page_too(gateway: Gateway) -> None:
    for answer in (gateway.page("sess_nobody"), gateway.pay("sess_nobody"), gateway.cancel("sess_nobody")):
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "There is no such payment." in answer.text


@pytest.mark.parametrize(("body", "status"), [(b"card_number=\xff", 422), (b"a=1&" * 30, 422), (b"x" * 9_000, 413)])
def test_unreadable_form_is_refused(gateway: Gateway, body: bytes, status: int) -> None:
    answer = gateway.call("POST", f"/pay/{gateway.session()}", body)

    assert answer.status == status


def test_card_numbers_are_neither_stored_nor_logged(gateway: Gateway) -> None:
    gateway.pay(gateway.session(), "5105105105105100", "12/34", "941")
    gateway.pay(gateway.session(), PAYS, "12/34", "941")

    kept = b"".join(path.read_bytes() for path in gateway.folder.rglob("*") if path.is_file())

    assert b"last4=4242" in kept
    for number in (b"5105105105105100", b"4242424242424242", PAYS.encode(), b"cvc=941"):
        assert number not in kept
