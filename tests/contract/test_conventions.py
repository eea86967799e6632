"""What holds for every call: problems, tokens, request ids, keys, probes."""

import json
import re
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from shop.kernel.auth.models import ApiKey
from shop.kernel.http.throttling import GuestThrottle, RegisterThrottle, TokenThrottle
from shop.kernel.outbox.models import LoggedEvent
from tests.contract import shapes
from tests.contract.conftest import OFFER, RETURN_URL, Api, problem
from tests.integrations.sandbox_gateway.harness import eventually

# Fixed: a test is named after it, and both workers must find the same names.
ID = "01a20000-0000-4000-8000-000000000000"
# Every call that takes a token, with a body it would not refuse for its form.
CALLS: list[tuple[str, str, Any]] = [
    ("GET", "/auth/me", None),
    ("GET", "/products", None),
    ("GET", "/products/MUG", None),
    ("GET", "/cart/me", None),
    ("DELETE", "/cart/me", None),
    ("POST", "/cart/me/items", {"sku": "MUG", "quantity": 1}),
    ("PATCH", "/cart/me/items/MUG", {"quantity": 1}),
    ("DELETE", "/cart/me/items/MUG", None),
    ("GET", "/checkout/shipping-methods?country=DE", None),
    ("POST", "/checkout", OFFER),
    ("GET", f"/checkout/{ID}", None),
    ("DELETE", f"/checkout/{ID}", None),
    ("GET", "/orders", None),
    ("POST", "/orders", {"checkout_id": ID}),
    ("GET", f"/orders/{ID}", None),
    ("POST", f"/orders/{ID}/cancel", {}),
    ("GET", f"/payments?order_id={ID}", None),
    ("POST", "/payments", {"order_id": ID, "return_url": RETURN_URL}),
    ("GET", f"/payments/{ID}", None),
    ("POST", f"/payments/{ID}/cancel", {}),
]
POSTS = [call for call in CALLS if call[0] == "POST"]
OPEN_POSTS = ["/auth/register", "/auth/guest", "/auth/token", "/auth/token/refresh", "/auth/logout"]
paths = pytest.mark.parametrize(("method", "path", "body"), CALLS)


@paths
def test_without_a_token_nothing_is_shown(nobody: Api, method: str, path: str, body: Any) -> None:
    for caller, code in (
        (nobody, "not_authenticated"),
        (Api({"Authorization": "Basic YTpi"}), "not_authenticated"),
        (Api({"Authorization": "Bearer nonsense"}), "token_not_valid"),
        (Api({"Authorization": "Bearer \xff"}), "token_not_valid"),
    ):
        refused = caller(method, path, body)
        assert problem(refused) == (401, code)
        assert refused["WWW-Authenticate"] == 'Bearer realm="shop"'


@paths
def test_another_method_is_a_405(shopper: Api, method: str, path: str, body: Any) -> None:
    refused = shopper("PUT", path, body)

    assert problem(refused) == (405, "method_not_allowed")
    assert method in refused["Allow"]


@pytest.mark.parametrize("path", [*OPEN_POSTS, *(path for _, path, _ in POSTS)])
def test_a_body_that_is_no_json_object_is_refused(shopper: Api, path: str) -> None:
    for body in (b"{", b"\xff\xfe", b"nonsense", b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 100_000):
        assert problem(shopper("POST", path, body)) == (400, "malformed_body")
    for body in (b"[]", b"7", b'"text"', b"null"):
        assert problem(shopper("POST", path, body), "errors")[0] == 400
    form = shopper("POST", path, b"a=b", content_type="application/x-www-form-urlencoded")
    assert problem(form) == (415, "unsupported_media_type")
    assert problem(shopper("POST", path, b" " * 1_048_577)) == (413, "body_too_large")


@pytest.mark.parametrize("path", ["/", "/nothing", "/cart", "/orders/", "/internal", "/payments/x/y/z", "/%00", "/%ff"])
def test_an_unknown_path_is_a_404(shopper: Api, path: str) -> None:
    assert problem(shopper("GET", path)) == (404, "not_found")


@pytest.mark.parametrize("word", ["x", "%00", "../..", "1", "00000000-0000-0000-0000-000000000000", "ä" * 50])
def test_an_id_that_is_none_is_a_404(shopper: Api, word: str) -> None:
    for kind in ("checkout", "orders", "payments"):
        assert shopper("GET", f"/{kind}/{word}").status_code == 404


def test_a_language_that_is_none_and_a_type_we_do_not_speak(shopper: Api) -> None:
    assert problem(shopper("GET", "/cart/me", accept="text/html")) == (406, "not_acceptable")
    assert shopper("GET", "/cart/me", accept_language="xx-;;q=9,\xe4").status_code == 200


@pytest.mark.parametrize(
    ("path", "throttle"),
    [("/auth/guest", GuestThrottle), ("/auth/register", RegisterThrottle), ("/auth/token", TokenThrottle)],
)
def test_too_many_log_ins_are_a_429(
    nobody: Api, monkeypatch: pytest.MonkeyPatch, path: str, throttle: type[GuestThrottle]
) -> None:
    monkeypatch.setattr(throttle, "rate", "2/min", raising=False)

    answers = [nobody("POST", path, {}) for _ in range(3)]

    assert 429 not in {answer.status_code for answer in answers[:2]}
    assert problem(answers[2]) == (429, "throttled")
    assert 0 < int(answers[2]["Retry-After"]) <= 60


def test_a_request_id_is_echoed_or_made_and_reaches_the_event(shopper: Api, nobody: Api) -> None:
    given = shopper("POST", "/cart/me/items", {"sku": "MUG", "quantity": 1}, x_request_id="checkout-17:a.b_c")
    made, other = nobody("GET", "/healthz"), nobody("GET", "/nothing")
    hostile = nobody("GET", "/healthz", x_request_id="a b\tc")

    assert given["X-Request-ID"] == "checkout-17:a.b_c"
    assert {len(answer["X-Request-ID"]) for answer in (made, other, hostile)} == {36}
    assert made["X-Request-ID"] != other["X-Request-ID"]
    assert LoggedEvent.objects.get().headers["correlationid"] == "checkout-17:a.b_c"


def test_a_key_repeats_the_answer_and_another_body_is_refused(shopper: Api) -> None:
    body = {"sku": "MUG", "quantity": 1}

    first, again = (shopper("POST", "/cart/me/items", body, idempotency_key="k-1") for _ in range(2))
    other = shopper("POST", "/cart/me/items", {**body, "quantity": 2}, idempotency_key="k-1")

    assert (again.status_code, again.content, again["ETag"]) == (first.status_code, first.content, first["ETag"])
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert problem(other) == (422, "idempotency_key_reused")
    assert shopper.ok("GET", "/cart/me")["item_count"] == 1


def test_a_refusal_is_not_kept_under_its_key(shopper: Api) -> None:
    refused = shopper("POST", "/checkout", OFFER, idempotency_key="k-2")
    shopper.ok("POST", "/cart/me/items", {"sku": "MUG", "quantity": 1})

    assert problem(refused) == (409, "cart_empty")
    assert shopper("POST", "/checkout", OFFER, idempotency_key="k-2").status_code == 201


def test_a_key_is_printable(shopper: Api) -> None:
    for key in ("", "\xe4", "k" * 256):
        refused = shopper("POST", "/checkout", OFFER, idempotency_key=key)
        assert problem(refused) == (400, "invalid_idempotency_key")


def test_no_address_is_written_for_a_host_that_is_not_ours(shopper: Api) -> None:
    assert problem(shopper("GET", "/products?limit=1", host="evil.example")) == (400, "malformed_request")


def test_probes(nobody: Api, settings: Settings) -> None:
    assert nobody.ok("GET", "/healthz") == {"status": "alive"}
    # Each question is given little time, which a busy machine may need for something else.
    ready = eventually(lambda: (answer := nobody("GET", "/readyz")).status_code == 200 and answer)
    assert ready.json() == {
        "status": "ready",
        "checks": dict.fromkeys(["database", "migrations", "redis", "kafka"], "ok"),
    }
    settings.READINESS = {"kafka": "tests.contract.test_conventions.away"}

    unready = nobody("GET", "/readyz")

    assert problem(unready, "reasons") == (503, "not_ready")
    assert unready.json()["reasons"] == {"kafka": "away for the test"}
    assert int(unready["Retry-After"]) > 0


def away() -> str:
    return "away for the test"


def test_metrics_are_for_the_own_network(nobody: Api, settings: Settings) -> None:
    settings.METRICS_TOKEN = "a-token"

    own, forwarded = nobody("GET", "/metrics"), nobody("GET", "/metrics", x_forwarded_for="203.0.113.7")
    allowed = nobody("GET", "/metrics", x_forwarded_for="203.0.113.7", authorization="Bearer a-token")

    assert own.status_code == allowed.status_code == 200
    assert own["Content-Type"].startswith("text/plain")
    assert problem(forwarded) == (401, "not_authenticated")


def test_the_docs_load_nothing_from_the_internet(nobody: Api) -> None:
    page = nobody("GET", "/docs").content.decode()

    assert re.findall(r"""(?:src|href)=["'](?!/)[^"']*["']""", page) == []
    assert nobody("GET", "/.well-known/jwks.json").json() == {"keys": []}


def test_api_keys_are_hashed_at_rest(system: Api) -> None:
    secret = system.headers["X-API-Key"].split("_", 2)[2]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT row_to_json(stored)::text FROM {ApiKey._meta.db_table} stored")
        (stored,) = (row[0] for row in cursor.fetchall())

    # Bytes are shown in hexadecimal digits.
    assert ApiKey.objects.get().digest.hex() in stored
    assert secret not in stored
    assert secret.encode().hex() not in stored


def test_times_and_money_in_a_whole_purchase_are_of_one_kind(shopper: Api, order: dict[str, Any]) -> None:
    document = json.dumps([order, shopper.ok("GET", "/orders")])

    for instant in re.findall(r'"(?:[a-z_]+_at|at|payment_deadline)": "([^"]+)"', document):
        assert shapes.instant(instant)
    assert re.findall(r'"amount": (?!\d+[,}])', document) == []
