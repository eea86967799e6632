"""Secrets typed into every input there is: each leaf of every body, each path, query and header."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

from integrations.demo.purchase import ADDRESS
from tests.journeys.shopper import TEA, Shopper
from tests.journeys.stack import Shown, Stack
from tests.journeys.waiting import eventually

# Typed as people type them. None of them is what the gateway's page is given.
CARDS = ("5555 5555 5555 4444", "4000-0566-5566-5556", "378282246310005", "2223.0031.2200.3222")
GATEWAYS_CARD = "4242 4242 4242 4242"
KEYS = (
    "sk_live_canary0123456789abcdef",
    "whsec_Y2FuYXJ5LXR5cGVkLWludG8tYS1maWVsZA==",
    "shop_0123456789ab_canarycanarycanarycanary",
    "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiJ0eXBlZCJ9.c2lnbmF0dXJlLW9mLWEtY2FuYXJ5",
)
# What nobody can tell from a word by its looks is secret by where it stands.
PASSWORD = "canary-password-7"
BEARER = "canary-bearer-8"
SESSION = "canary-session-9"
BASIC = b64encode(b"canary-user:canary-basic-10").decode()
BY_PLACE = (PASSWORD, BEARER, SESSION, BASIC, "canary-basic-10")
CONTROL = "canary-control-harmless"
# What the shop, or the gateway, answers on a busy machine: the same call again gets another answer.
TOO_BUSY = {"busy", "gateway_unavailable"}

_VALID: Mapping[str, Shown] = {
    "/auth/register": {"email": "canary@example.com", "password": PASSWORD, "name": "Ada"},
    "/auth/token": {"email": "canary@example.com", "password": PASSWORD},
    "/cart/{user_id}/items": {"sku": TEA, "quantity": 1},
    "/internal/webhook-endpoints": {
        "url": "https://merchant.example.com/hook",
        "description": "",
        "events": ["order.paid"],
    },
    "/checkout": {
        "email": "ada@example.com",
        "shipping_address": {**ADDRESS, "line2": "", "region": ""},
        "billing_address": {**ADDRESS, "line2": "", "region": ""},
        "shipping_method": "standard",
    },
}


@dataclass
class Planter:
    """Sends canaries wherever the API's own document says that something may be sent, and keeps the answers."""

    shopper: Shopper
    staff: Shopper
    api_key: str
    ids: Mapping[str, str]
    return_url: str
    # Set while something of the shop is taken away, so that defects are what is asked for.
    is_broken: bool = False
    answers: list[str] = field(default_factory=list)
    # Fields that took one: what they do with it is for the search to find out.
    taken: set[str] = field(default_factory=set)
    _number: Iterator[int] = field(default_factory=count)

    def everywhere(self) -> int:
        """Plant in every operation of the document; return how many calls that took."""
        document = self.shopper.ask("GET", "/schema?format=json", headers={"Accept": "application/json"}).body
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if method in {"get", "post", "put", "patch", "delete"}:
                    for canary in self._two():
                        self._into_parameters(method, path, operation, canary)
                        self._into_body(method, path, _schema_of(operation, document), document, canary)
        return next(self._number)

    def _two(self) -> tuple[str, str]:
        at = next(self._number)
        return CARDS[at % len(CARDS)], KEYS[at % len(KEYS)]

    def _into_parameters(self, method: str, path: str, operation: Shown, canary: str) -> None:
        for parameter in operation.get("parameters", []):
            name, place = parameter["name"], parameter["in"]
            if place == "path":
                self._send(method, _filled(path, {**self.ids, name: canary}), None, canary)
            elif place == "query":
                self._send(method, _filled(path, self.ids) + "?" + urlencode({name: canary}), None, canary)

    def _into_body(self, method: str, path: str, schema: Shown | None, document: Shown, canary: str) -> None:
        if schema is None:
            return
        valid = deepcopy(dict(_VALID.get(path, {}))) or self._made_up(schema, document)
        for leaf in _leaves(schema, document):
            status = self._send(method, _filled(path, self.ids), _with(valid, leaf, canary), canary)
            if status < 300:
                self.taken.add(f"{method.upper()} {path} {'.'.join(leaf)}")
        self._send(method, _filled(path, self.ids), {**valid, canary: canary}, canary)

    def _made_up(self, schema: Shown, document: Shown) -> Shown:
        known = {**self.ids, "return_url": self.return_url, "reason": "a reason", "amount": {}, "quantity": 1}
        return {name: known[name] for name in _resolved(schema, document).get("properties", {}) if known.get(name)}

    def _send(self, method: str, path: str, body: Any, canary: str) -> int:
        number = next(self._number)
        headers = {
            "User-Agent": f"Browser {canary}",
            "Referer": f"https://shop.example.com/?q={quote(canary)}",
            "Cookie": f"sessionid={SESSION}; card={quote(canary)}",
            "X-Forwarded-For": canary,
            "X-Request-ID": canary.replace(" ", "-"),
            "traceparent": canary,
            "Accept-Language": canary,
        }
        if method in {"patch", "delete"}:
            headers["If-Match"] = f'"{canary}"'
        if method == "post":
            headers["Idempotency-Key"] = f"{canary} {number}"
        if path.startswith("/internal/"):
            headers["X-API-Key"] = self.api_key
        caller = self.staff if path.endswith("/refunds") else self.shopper

        def answered() -> int | None:
            answer = caller.http.request(
                method.upper(),
                caller.base_url + path,
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json", "Authorization": f"Bearer {caller.token}", **headers},
            )
            if answer.status >= 400:
                self.answers.append(f"{dict(answer.headers)} {answer.data.decode()}")
            if self.is_broken:
                return answer.status
            if answer.status == 503 and answer.json()["code"] in TOO_BUSY:
                return None
            assert answer.status < 500, (method, path, answer.data)
            return answer.status

        return eventually("the shop and its gateway to have time", answered)


def into_the_doors(stack: Stack) -> None:
    """Knock with secrets for credentials: bearers, basic, API keys, cookies, passwords, log-in forms."""
    http, url = stack.http, stack.web_url
    for canary in (BEARER, *KEYS, *CARDS):
        for name, value in (("Authorization", f"Bearer {canary}"), ("X-API-Key", canary), ("Cookie", f"s={canary}")):
            http.request("GET", f"{url}/orders?token={quote(canary)}", headers={name: value})
            http.request("GET", f"{url}/internal/orders/{CONTROL}", headers={name: value})
        form = urlencode({"username": canary, "password": PASSWORD, "csrfmiddlewaretoken": canary})
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"csrftoken={SESSION}"}
        http.request("POST", f"{url}/admin/login/", body=form, headers=kind)
        # A word in a path is a word; what looks like a secret is one there, too.
        named = CONTROL if canary is BEARER else quote(canary)
        http.request("GET", f"{url}/no/such/{named}/{CONTROL}?q={quote(canary)}")
    http.request("GET", f"{url}/orders", headers={"Authorization": f"Basic {BASIC}"})
    for email in ("shopper@example.com", *(f"{card.replace(' ', '')}@example.com" for card in CARDS)):
        body = json.dumps({"email": email, "password": PASSWORD})
        http.request("POST", f"{url}/auth/token", body=body, headers={"Content-Type": "application/json"})
    for token in KEYS:
        body = json.dumps({"refresh": token})
        http.request("POST", f"{url}/auth/token/refresh", body=body, headers={"Content-Type": "application/json"})


def _filled(path: str, ids: Mapping[str, str]) -> str:
    for name, value in ids.items():
        path = path.replace("{" + name + "}", quote(value, safe=""))
    return path


def _schema_of(operation: Shown, document: Shown) -> Shown | None:
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    return _resolved(content["application/json"]["schema"], document)


def _resolved(schema: Shown, document: Shown) -> Shown:
    if "allOf" in schema:
        (schema,) = schema["allOf"]
    if "$ref" in schema:
        found: Shown = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _leaves(schema: Shown, document: Shown) -> Iterator[tuple[str, ...]]:
    for name, inner in _resolved(schema, document).get("properties", {}).items():
        below = _resolved(inner, document)
        if below.get("type") == "object" or "properties" in below:
            yield from ((name, *rest) for rest in _leaves(below, document))
        else:
            yield (name,)


def _with(body: Shown, leaf: tuple[str, ...], value: str) -> Shown:
    changed = deepcopy(body)
    place = changed
    for name in leaf[:-1]:
        place = place.setdefault(name, {})
    place[leaf[-1]] = value
    return changed
