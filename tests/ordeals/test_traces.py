"""No canary is found anywhere: not a card number, not a secret, not a token. This file comes last, after all trouble.

What is looked for: the secrets of the stack's own settings, what was typed into every input, every token that was
issued, and, whoever wrote it, anything that looks like a card number or a key.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from shop.kernel import looks
from tests.journeys.shopper import TEA, Shopper
from tests.journeys.signing import event_about, signed
from tests.journeys.stack import Stack
from tests.journeys.test_support import logged_in, page
from tests.journeys.waiting import eventually
from tests.ordeals.canaries import BY_PLACE, CARDS, CONTROL, GATEWAYS_CARD, KEYS, PASSWORD, Planter, into_the_doors
from tests.ordeals.conftest import SECRET_OF_TODAY, SECRET_SETTINGS
from tests.ordeals.gateway import Message, paid_in_secret
from tests.ordeals.places import Place, all_places

pytestmark = pytest.mark.journey

LONGEST_SHOWN = 160
# Between the parts of a mail stand nineteen random digits.
_BOUNDARY = re.compile(r"={15}\d+==")
# Of thousands of ids, digests and fractions some hold digits that look like anything.
_BY_CHANCE = re.compile(r"\b(?=\w*[A-Za-z])\w{17,}\b|(?<![\d.])\d+\.\d{5,}")


@pytest.fixture(scope="module")
def planted(stack: Stack) -> tuple[Planter, list[str]]:
    """Canaries in every input, on good days and on bad ones; and every token that was issued meanwhile."""
    shopper, staff = Shopper(stack), Shopper(stack, enter=False)
    login = {"email": "staff@example.com", "password": "staff-demo-1"}
    pair = staff.call("POST", "/auth/token", login)
    staff.token = pair["access"]
    planter = _planter(stack, shopper, staff)
    assert planter.everywhere() > 200
    into_the_doors(stack)
    _into_callbacks(stack)
    _into_the_admin(stack, planter.ids["order_id"])
    with _broken(stack, "checkout_shipping_method"):
        planter.is_broken = True
        planter.everywhere()
        planter.is_broken = False
    other = Shopper(stack)
    other.call("POST", f"/orders/{other.buy()['id']}/cancel", {"reason": CONTROL})
    return planter, [shopper.token, staff.token, pair["refresh"], stack.api_key]


@pytest.fixture(scope="module")
def places(stack: Stack, planted: tuple[Planter, list[str]]) -> list[Place]:
    """Everything that was written, once the events have gone out."""
    eventually("the outbox to be empty", lambda: stack.one("SELECT count(*) FROM outbox_pending") == 0)
    return list(all_places(stack))


def test_the_search_sees_every_kind_of_place(places: list[Place], planted: tuple[Planter, list[str]]) -> None:
    order_id = planted[0].ids["order_id"]
    kinds = {name.split(" ")[0] for name, _ in places}

    assert kinds >= {"supervisor", "file", "row", "bytes", "message", "redis", "figures", "command"}
    assert {name for name, text in places if CONTROL in text} >= {"row of orders_order", "file logs/web.log"}
    assert {name for name, text in places if order_id in text} >= {"message of order.created", "row of event_log"}
    assert any(name.startswith("file mails/") for name, _ in places)
    assert any("Traceback" in text for name, text in places if name == "file logs/web.log")


@pytest.mark.parametrize("card", [*CARDS, GATEWAYS_CARD])
def test_no_card_number_is_found_however_it_was_typed(card: str, places: list[Place]) -> None:
    digits = [sign for sign in card if sign.isdigit()]
    written = re.compile(r"(?:[\s.+/_-]|%2[0D]){0,3}".join(digits))

    assert found(places, written.search) == []


@pytest.mark.parametrize("secret", [*SECRET_SETTINGS.values(), *KEYS, *BY_PLACE])
def test_no_secret_is_found(secret: str, places: list[Place]) -> None:
    wanted = re.compile("|".join(re.escape(part) for part in secret.split(",")))

    assert found(places, wanted.search) == []


def test_no_token_that_was_issued_is_found(places: list[Place], planted: tuple[Planter, list[str]]) -> None:
    wanted = re.compile("|".join(re.escape(token) for token in planted[1]))

    assert found(places, wanted.search) == []


def test_nothing_is_found_that_looks_like_one(places: list[Place]) -> None:
    # In files that are no text, figures stand side by side and look like anything.
    read = [(name, text) for name, text in places if "\0" not in text]

    with ThreadPoolExecutor(2) as readers:
        suspicious = [line for lines in readers.map(_suspicious, read) for line in lines]

    assert suspicious == []


def test_the_only_field_that_takes_one_is_the_password(planted: tuple[Planter, list[str]]) -> None:
    assert planted[0].taken == {"POST /auth/register password"}


def test_no_problem_answer_repeats_one(planted: tuple[Planter, list[str]]) -> None:
    answers = planted[0].answers

    assert len(answers) > 200
    assert [answer for answer in answers if PASSWORD in answer or looks.has_credential(answer)] == []
    assert [answer for answer in answers if looks.has_card_number(answer)] == []


def found(places: list[Place], search: Callable[[str], re.Match[str] | None]) -> list[str]:
    """Return where it was found, with the words around it."""
    hits = ((name, text, search(text)) for name, text in places)
    return [f"{name}: {_around(text, match)}" for name, text, match in hits if match]


def _around(text: str, match: re.Match[str]) -> str:
    begin = max(0, match.start() - LONGEST_SHOWN // 2)
    return text[begin : match.end() + LONGEST_SHOWN // 2]


def _suspicious(place: Place) -> Iterator[str]:
    name, text = place
    for line in _BOUNDARY.sub("", text).splitlines():
        plain = _BY_CHANCE.sub("", line)
        # Celery masks its broker's password itself, with stars of its own.
        if looks.has_credential(line) or _starless(looks.masked(plain)) != _starless(plain):
            yield f"{name}: {looks.masked(line)[:LONGEST_SHOWN]}"


def _starless(line: str) -> str:
    return re.sub(r"\*+", "*", line)


def _planter(stack: Stack, shopper: Shopper, staff: Shopper) -> Planter:
    order = shopper.buy()
    payment = shopper.start_payment(order)
    shopper.put(TEA)
    checkout = shopper.check_out()
    ids = {"user_id": "me", "sku": TEA, "order_id": order["id"], "payment_id": payment["id"]}
    ids |= {"checkout_id": checkout["id"], "quote_hash": checkout["quote_hash"], "gateway": "sandbox"}
    return Planter(shopper, staff, stack.api_key, ids, f"{stack.web_url}/docs")


def _into_callbacks(stack: Stack) -> None:
    """Plant in a callback the gateway has signed, and in those nobody has; and have one fail in the middle."""
    paid = paid_in_secret(Shopper(stack))
    body = event_about({"id": "sess_nobody_knows"}, note=f"paid with {CARDS[0]}", key=KEYS[0])
    assert Message(stack, body).send()[0] == 200
    for canary in (*CARDS, *KEYS):
        forged = Message(stack, body.replace(b"sess", canary.encode()), signed(body, secret=SECRET_OF_TODAY))
        forged.headers |= {"webhook-id": canary, "webhook-signature": f"v1,{canary}", "User-Agent": canary}
        assert forged.send()[0] == 400
    with _broken(stack, "payments_move"):
        assert paid.message.send()[0] == 200
        failed = "SELECT last_error FROM payments_callback WHERE event_id = %s AND last_error <> ''"
        eventually("the defect", lambda: stack.rows(failed, paid.message.headers["webhook-id"]))
    eventually("it to be applied", lambda: (paid.message.stored() or ("",))[0] == "applied")


def _into_the_admin(stack: Stack, order_id: str) -> None:
    staff = logged_in(stack)
    for canary in (*CARDS, *KEYS):
        for kind in ("orders/order", "payments/attempt", "payments/callback", "notifications/mail"):
            page(staff, f"{stack.web_url}/admin/{kind}/?q={canary.replace(' ', '+')}")
    # A form that would store what is typed asks again instead; see tests/orders/test_admin.py.
    page(staff, f"{stack.web_url}/admin/orders/order/{order_id}/change/")


@contextmanager
def _broken(stack: Stack, table: str) -> Iterator[None]:
    """Take a table away, so that whatever needs it fails as nobody has anticipated."""
    with psycopg.connect(stack.addresses["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
        try:
            yield
        finally:
            connection.execute(f"ALTER TABLE {table}_away RENAME TO {table}")
