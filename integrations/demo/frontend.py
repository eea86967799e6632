"""What a frontend is to the shop: HTTP calls with a token, and a browser that follows a redirect to the gateway."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3


class UnexpectedAnswer(Exception):
    """The shop or the gateway answered something else than the step needs."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `body` is the decoded JSON, None when there is none."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class Frontend:
    """One visitor. `base_url` is the shop's; `token` is filled by `enter`."""

    base_url: str
    token: str = ""
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(timeout=10.0, retries=False))

    def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Make one API call and return its answer, whatever it is; `headers` replace those a frontend sends."""
        sent = {"Content-Type": "application/json", "Accept-Language": "en"}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if key:
            sent["Idempotency-Key"] = key
        answer = self.http.request(
            method,
            self.base_url + path,
            body=json.dumps(body) if body is not None else None,
            headers={**sent, **headers},
        )
        return Answer(answer.status, answer.headers, json.loads(answer.data) if answer.data else None)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, *, key: str | None = None) -> Any:
        """Make one API call and return its body; UnexpectedAnswer for anything but success."""
        answer = self.ask(method, path, body, key=key)
        if answer.status >= 300:  # noqa: PLR2004  the first status that is not a success
            raise UnexpectedAnswer(f"{method} {path} answered {answer.status}: {answer.body}")
        return answer.body

    def enter(self) -> dict[str, Any]:
        """Become a guest and keep the token."""
        opened: dict[str, Any] = self.call("POST", "/auth/guest")
        self.token = opened["access"]
        return opened

    def log_in(self, email: str, password: str) -> None:
        """Become somebody with an account and keep the token."""
        opened = self.call("POST", "/auth/token", {"email": email, "password": password})
        self.token = opened["access"]

    def look_at_page(self, url: str) -> str:
        """Open the gateway's page and return its HTML."""
        answer = self.http.request("GET", url)
        if answer.status != 200:  # noqa: PLR2004  a page
            raise UnexpectedAnswer(f"{url} answered {answer.status}.")
        return str(answer.data.decode())

    def pay(self, url: str, *, card_number: str) -> str:
        """Fill in the gateway's form and return the address it sends the browser back to."""
        return self._sent_back(url, {"card_number": card_number, "expiry": "12/30", "cvc": "123"})

    def turn_back(self, url: str) -> str:
        """Follow the page's link that cancels and return the address it sends the browser back to."""
        return self._sent_back(f"{url}/cancel", {})

    def _sent_back(self, url: str, form: Mapping[str, str]) -> str:
        answer = self.http.request(
            "POST" if form else "GET",
            url,
            body=urlencode(form) if form else None,
            headers={"Content-Type": "application/x-www-form-urlencoded"} if form else {},
            redirect=False,
        )
        if answer.status != 303:  # noqa: PLR2004  see other
            raise UnexpectedAnswer(f"{url} answered {answer.status}.")
        return str(answer.headers["Location"])
