"""The hosted page, where the shopper pays: plain HTML and CSS, nothing from anywhere else, no script."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template

from .cards import TEST_CARDS, read_card
from .errors import NotFound
from .sessions import Session, Sessions
from .texts import LANGUAGES, pick_language, write_amount
from .wsgi import Request, Response

FORM_LIMIT = 8_192
FOLDER = Path(__file__).parent / "templates"
STYLE = (FOLDER / "page.css").read_text("utf-8")
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
FRAME, FORM, STATE = (Template((FOLDER / f"{name}.html").read_text("utf-8")) for name in ("frame", "form", "state"))
HEADERS = (
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-store"),
    ("content-security-policy", f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
    ("vary", "accept-language"),
    ("x-content-type-options", "nosniff"),
)
FIELDS = ("card_number", "expiry", "cvc")


class Pages:
    """The handlers under /pay; whoever knows a session's id may use its page."""

    def __init__(self, *, sessions: Sessions, merchant: str) -> None:
        """Show this merchant's name."""
        self._sessions = sessions
        self._merchant = merchant

    def show(self, request: Request) -> Response:
        """GET /pay/{id}: the form, or how the session ended."""
        try:
            session = self._sessions.get(session_id=request.object_id, now=request.now)
        except NotFound:
            return self._unknown(request=request)
        if self._sessions.takes_money(session=session):
            return self._form(request=request, session=session)
        return self._state(request=request, session=session, status=HTTPStatus.OK)

    def pay(self, request: Request) -> Response:
        """POST /pay/{id}: back to the shop when the card was used, the page again when it was not."""
        try:
            session = self._sessions.get(session_id=request.object_id, now=request.now)
        except NotFound:
            return self._unknown(request=request)
        if not self._sessions.takes_money(session=session):
            return self._state(request=request, session=session, status=HTTPStatus.CONFLICT)
        form = request.form(limit=FORM_LIMIT)
        charge = read_card(form=form, now=request.now)
        if isinstance(charge, dict):
            expiry = form.get("expiry", "")[:10]
            return self._form(request=request, session=session, errors=charge, expiry=expiry)
        session, moved = self._sessions.charge(session_id=session.id, charge=charge, now=request.now)
        if not moved:
            return self._state(request=request, session=session, status=HTTPStatus.CONFLICT)
        return back(session=session)

    def cancel(self, request: Request) -> Response:
        """GET or POST /pay/{id}/cancel: back to the shop, whatever the session was."""
        try:
            session = self._sessions.cancel(session_id=request.object_id, now=request.now)
        except NotFound:
            return self._unknown(request=request)
        return back(session=session)

    def _form(
        self, *, request: Request, session: Session, errors: Mapping[str, str] | None = None, expiry: str = ""
    ) -> Response:
        language = pick_language(accepted=request.header("accept-language"))
        texts = LANGUAGES[language]
        errors = errors or {}
        # What was typed as card number and security code is never sent back.
        fields = {f"{name}_error": error_line(name=name, texts=texts, errors=errors) for name in FIELDS}
        fields |= {f"{name}_aria": aria(name=name, errors=errors) for name in FIELDS}
        summary = f'<p class="summary" role="alert">{escape(texts["summary"])}</p>' if errors else ""
        body = FORM.substitute(
            {f"t_{name}": escape(text) for name, text in texts.items()},
            **fields,
            **self._about(session=session, language=language),
            summary=summary,
            expiry_value=escape(expiry),
            cards=card_list(texts=texts),
        )
        return page(language=language, body=body, status=HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK)

    def _state(self, *, request: Request, session: Session, status: int) -> Response:
        language = pick_language(accepted=request.header("accept-language"))
        texts = LANGUAGES[language]
        again = f'<p role="alert">{escape(texts["again"])}</p>' if status == HTTPStatus.CONFLICT else ""
        body = STATE.substitute(
            self._about(session=session, language=language),
            state=session.status,
            heading=escape(texts[f"state_{session.status}"]),
            more=escape(texts[f"more_{session.status}"]),
            again=again,
            link=f'<a class="button" href="{escape(session.return_url)}">{escape(texts["back"])}</a>',
        )
        return page(language=language, body=body, status=status)

    def _unknown(self, *, request: Request) -> Response:
        language = pick_language(accepted=request.header("accept-language"))
        texts = LANGUAGES[language]
        body = STATE.substitute(
            merchant=escape(self._merchant),
            amount="",
            state="unknown",
            heading=escape(texts["unknown"]),
            more=escape(texts["more_unknown"]),
            again="",
            link="",
        )
        return page(language=language, body=body, status=HTTPStatus.NOT_FOUND)

    def _about(self, *, session: Session, language: str) -> dict[str, str]:
        return {
            "merchant": escape(self._merchant),
            "amount": write_amount(amount=session.amount, currency=session.currency, language=language),
            "reference": escape(session.reference),
            "path": f"/pay/{session.id}",
        }


def page(*, language: str, body: str, status: int) -> Response:
    """Return a whole HTML page around a body."""
    texts = LANGUAGES[language]
    title, test_mode = escape(texts["title"]), escape(texts["test_mode"])
    html = FRAME.substitute(language=language, title=title, test_mode=test_mode, style=STYLE, body=body)
    return Response(status, HEADERS, html.encode())


def back(*, session: Session) -> Response:
    """Return 303 to exactly the address that the merchant gave."""
    return Response(303, (("location", session.return_url), ("cache-control", "no-store")), b"")


def error_line(*, name: str, texts: Mapping[str, str], errors: Mapping[str, str]) -> str:
    """Return the line under a field that says what is wrong, or nothing."""
    if name not in errors:
        return ""
    return f'<p class="error" id="{name}-error">{escape(texts[errors[name]])}</p>'


def aria(*, name: str, errors: Mapping[str, str]) -> str:
    """Return the attributes that tie a field to its error line, or nothing."""
    if name not in errors:
        return ""
    # The first wrong field gets the focus.
    focus = " autofocus" if name == next(field for field in FIELDS if field in errors) else ""
    return f'aria-invalid="true" aria-describedby="{name}-error"{focus}'


def card_list(*, texts: Mapping[str, str]) -> str:
    """Return the items of the list of test cards."""
    items = (f"<li><code>{card.number}</code> <span>{escape(texts[card.hint])}</span></li>" for card in TEST_CARDS)
    return "\n".join(items)
