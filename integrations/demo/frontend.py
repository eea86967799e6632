"""What a frontend is to the shop: HTTP calls with a token, and a browser that follows a redirect to the gateway."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3


class UnexpectedAnswer(Exception):
    """The shop or the gateway answered something else than the step needs."""


@dataclass
class Frontend:
    """One visitor. `base_url` is the shop's; `token` is filled by `enter`."""

    base_url: str
    token: str = ""
    _http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(timeout=10.0, retries=False))

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, *, key: str | None = None) -> Any:
        """Make one API call and return its body; UnexpectedAnswer for anything but success."""
        headers = {"Content-Type": "application/json", "Accept-Language": "en"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if key:
            headers["Idempotency-Key"] = key
        answer = self._http.request(
            method, self.base_url + path, body=json.dumps(body) if body is not None else None, headers=headers
        )
        content = json.loads(answer.data) if answer.data else None
        if answer.status >= 300:  # noqa: PLR2004  the first status that is not a success
            raise UnexpectedAnswer(f"{method} {path} answered {answer.status}: {content}")
        return content

    def enter(self) -> dict[str, Any]:
        """Become a guest and keep the token."""
        opened: dict[str, Any] = self.call("POST", "/auth/guest")
        self.token = opened["access"]
        return opened

    def look_at_page(self, url: str) -> str:
        """Open the gateway's page and return its HTML."""
        answer = self._http.request("GET", url)
        if answer.status != 200:  # noqa: PLR2004  a page
            raise UnexpectedAnswer(f"{url} answered {answer.status}.")
        return str(answer.data.decode())

    def pay(self, url: str, *, card_number: str) -> str:
        """Fill in the gateway's form and return the address it sends the browser back to."""
        form = urlencode({"card_number": card_number, "expiry": "12/30", "cvc": "123"})
        answer = self._http.request(
            "POST",
            url,
            body=form,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            redirect=False,
        )
        if answer.status != 303:  # noqa: PLR2004  see other
            raise UnexpectedAnswer(f"{url} answered {answer.status}.")
        return str(answer.headers["Location"])
