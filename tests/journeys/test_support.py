"""What the house's own people and systems see of a purchase: internal API, admin, replay commands, logs."""

import re
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

import pytest

from tests.journeys.shopper import CONFIRMATION, RECEIPT, Shopper
from tests.journeys.stack import CALL_SECONDS, Shown, Stack
from tests.journeys.test_callbacks import callbacks
from tests.journeys.waiting import eventually

pytestmark = pytest.mark.journey

Bought = tuple[Shopper, Shown, Shown]


@pytest.fixture(scope="module")
def bought(stack: Stack) -> Bought:
    """A purchase with all its traces."""
    shopper = Shopper(stack)
    order = shopper.buy("TAB-BOWL-18", 2)
    payment = shopper.pay_order(order)
    shopper.until_order(order, "paid")
    shopper.until_mails(order, CONFIRMATION, RECEIPT)
    # On a busy machine the clock may have been quicker than the callback.
    eventually("the callback", lambda: callbacks(stack, payment) == [("session.paid", "applied")])
    return shopper, order, payment


def page_of(order: Shown) -> str:
    """Return the address of the order's page, which a list holds only if it has found the order."""
    return f"/admin/orders/order/{order['id']}/change/"


def test_the_seeded_key_reads_orders_and_payments(stack: Stack, bought: Bought) -> None:
    shopper, order, payment = bought
    key = {"X-API-Key": stack.api_key}

    seen_order = stack.internal(f"/internal/orders/{order['id']}", headers=key)
    seen_payment = stack.internal(f"/internal/payments/{payment['id']}", headers=key)

    assert seen_order[0] == 200
    assert seen_order[1]["user_id"] == shopper.id
    assert seen_order[1]["captured"] == order["totals"]["total"]
    assert seen_payment == (200, shopper.see_payment(payment))


def test_a_key_opens_what_its_scope_says_until_it_is_revoked(stack: Stack, bought: Bought) -> None:
    _shopper, order, payment = bought
    key = stack.manage("api_key", "issue", "warehouse", "--scope", "orders:read").strip()
    paths = (f"/internal/orders/{order['id']}", f"/internal/payments/{payment['id']}")

    allowed, scoped = (stack.internal(path, headers={"X-API-Key": key}) for path in paths)
    stack.manage("api_key", "revoke", key.split("_")[1])
    revoked = stack.internal(paths[0], headers={"X-API-Key": key})

    assert allowed[0] == 200
    assert (scoped[0], scoped[1]["code"], scoped[1]["scope"]) == (403, "insufficient_scope", "payments:read")
    assert (revoked[0], revoked[1]["code"]) == (401, "api_key_not_valid")


def test_a_token_opens_no_internal_door_and_a_key_no_frontend_one(stack: Stack, bought: Bought) -> None:
    shopper, order, _payment = bought
    staff = Shopper(stack, enter=False)
    login = {"email": "staff@example.com", "password": "staff-demo-1"}
    staff.token = staff.call("POST", "/auth/token", login)["access"]

    for token in (shopper.token, staff.token):
        refused = stack.internal(f"/internal/orders/{order['id']}", headers={"Authorization": f"Bearer {token}"})
        assert (refused[0], refused[1]["code"]) == (401, "not_authenticated")
    front = stack.internal(f"/orders/{order['id']}", headers={"X-API-Key": stack.api_key})

    assert (front[0], front[1]["code"]) == (401, "not_authenticated")
    assert staff.see_order(order)["number"] == order["number"]


def test_the_admin_shows_all_of_an_order_on_one_page(stack: Stack, bought: Bought) -> None:
    _shopper, order, _payment = bought
    staff = logged_in(stack)

    found = page(staff, f"{stack.web_url}/admin/orders/order/?q={order['number']}")
    shown = page(staff, f"{stack.web_url}{page_of(order)}")

    assert page_of(order) in found
    (session,) = stack.sessions(order["number"])
    expected = {
        order["number"],
        "ada@example.com",
        "TAB-BOWL-18",
        session["reference"],
        "session.paid",
        "succeeded",
        "order.created",
        "payment.success",
        "order.paid",
        "order_confirmation",
        "payment_receipt",
    }
    assert {word for word in expected if word not in shown} == set()


@pytest.mark.parametrize("words", ["{number}", "ada@example.com", "{session}"])
def test_the_admin_finds_an_order_by_what_a_customer_can_say(stack: Stack, bought: Bought, words: str) -> None:
    _shopper, order, _payment = bought
    (session,) = stack.sessions(order["number"])
    query = urlencode({"q": words.format(number=order["number"], session=session["id"])})

    found = page(logged_in(stack), f"{stack.web_url}/admin/orders/order/?{query}")

    assert page_of(order) in found


def test_the_admin_keeps_shoppers_out(stack: Stack) -> None:
    anonymous = build_opener(HTTPCookieProcessor(CookieJar()))

    asked = page(anonymous, f"{stack.web_url}/admin/orders/order/")
    with pytest.raises(AssertionError, match="not let in"):
        logged_in(stack, email="shopper@example.com", password="shopper-demo-1")

    assert 'name="password"' in asked


def test_replays_begin_with_a_dry_run(stack: Stack, bought: Bought) -> None:
    _shopper, order, _payment = bought
    mails = len(stack.mails(order["number"]))

    plan = stack.manage("replay_events", "--key", order["id"], "--consumer", "notifications")
    dead = stack.manage("list_dead_letters")
    tried = stack.manage("redrive", "--all")

    assert "order.created.v1" in plan
    assert "To be repeated: 0" in plan
    assert "Dry run: nothing was done." in plan
    assert dead.splitlines()[-1] == "0 dead letters."
    assert "Dry run: 0 would be tried again." in tried
    assert len(stack.mails(order["number"])) == mails


def test_a_replay_heals_a_hole_and_repeats_nothing(stack: Stack, bought: Bought) -> None:
    _shopper, order, _payment = bought
    (created,) = stack.events(key=order["id"], topics=["order.created"])
    # Of one day, or of two when it is midnight; of none while analytics has heard of nothing.
    placed = "SELECT COALESCE(sum(count), 0) FROM analytics_dailycount WHERE name = 'Order Placed'"
    counted = stack.one(placed)
    # A hole, as a broker makes that lost an event before analytics had it.
    gone = "DELETE FROM kafka_inbox WHERE consumer = 'analytics' AND event_id = %s RETURNING event_id"
    eventually("analytics to have heard of it", lambda: stack.rows(gone, created.headers["ce_id"].decode()))
    replay = ("replay_events", "--key", order["id"], "--all-consumers", "--yes-all-consumers")
    # That consumer hears last: nobody waits for it.
    eventually("one hole", lambda: re.search(r"^To deliver to .*: 1$", stack.manage(*replay), re.MULTILINE))

    healed = stack.manage(*replay, "--execute", "--expect", "1", "--reason", "a hole")
    again = stack.manage(*replay)

    assert "Delivered 1, parked 0, already there 0." in healed
    assert re.search(r"^To deliver to .*: 0$", again, re.MULTILINE)
    assert stack.rows("SELECT outcome FROM kafka_replay WHERE reason = 'a hole'") == [("done",)]
    assert stack.one(placed) >= counted


def test_logs_and_events_name_no_person_and_no_card(stack: Stack, bought: Bought) -> None:
    private = ("ada@example.com", "Lindenallee", "4242 4242", "4242424242424242", bought[0].token, stack.api_key)
    logs = "\n".join(log.read_text(errors="replace") for log in (stack.state_dir / "logs").glob("*.log"))

    events = str(stack.rows("SELECT payload, headers FROM event_log"))

    assert [word for word in private if word in logs] == []
    assert [word for word in private if word in events] == []


def logged_in(stack: Stack, *, email: str = "staff@example.com", password: str = "staff-demo-1") -> OpenerDirector:
    """Return a browser that went through the admin's log-in form."""
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    url = f"{stack.web_url}/admin/login/?next=/admin/"
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page(browser, url))
    assert token is not None
    form = {"username": email, "password": password, "csrfmiddlewaretoken": token[1], "next": "/admin/"}
    filled_in = Request(url, data=urlencode(form).encode(), headers={"Referer": url})
    with browser.open(filled_in, timeout=CALL_SECONDS) as answer:
        assert answer.url == f"{stack.web_url}/admin/", "not let in"
        answer.read()
    return browser


def page(browser: OpenerDirector, url: str) -> str:
    """Return a page's HTML."""
    try:
        with browser.open(url, timeout=CALL_SECONDS) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        with error:
            raise AssertionError(f"{url} answered {error.code}") from error
