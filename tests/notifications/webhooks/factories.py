"""Endpoints, deliveries, and merchants' systems: a sender that does as it is told, and servers that listen."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from notifications.dto import EndpointView
from notifications.models import WebhookDelivery
from notifications.ports import Answer
from notifications.services import webhooks
from notifications.states import DeliveryState
from orders.events import OrderPaid
from shop.kernel.events import Event
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.transactions import open_unit_of_work

URL = "https://merchant.example.com/hooks"


@dataclass
class FakeSender:
    """Keeps what it posts; answers what it is told to, or raises it."""

    answers: list[Answer | Exception] = field(default_factory=list)
    posted: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    refuses: Exception | None = None
    when_posting: Callable[[], object] = lambda: None

    def check(self, *, url: str) -> None:
        """Allow everything, or refuse as told."""
        if self.refuses:
            raise self.refuses

    def post(self, *, url: str, headers: Mapping[str, str], body: bytes, timeout_seconds: float) -> Answer:
        """Answer the next answer; 200 when there is none."""
        self.posted.append((url, dict(headers), body))
        self.when_posting()
        answer = self.answers.pop(0) if self.answers else Answer(status=200, body="thank you")
        if isinstance(answer, Exception):
            raise answer
        return answer


def endpoint(*, now: datetime, url: str = URL, events: tuple[str, ...] = ("*",)) -> EndpointView:
    """Make an endpoint."""
    return webhooks.create_endpoint(url=url, events=events, description="", created_by="tests", now=now)


def paid(*, now: datetime, order_id: UUID | None = None) -> OrderPaid:
    """Return a fact."""
    return OrderPaid(
        occurred_at=now,
        order_id=order_id or new_id(),
        user_id=new_id(),
        guest=False,
        number="R7KD-2MNP-XW",
        total=Money(1999, "EUR"),
        payment_id=new_id(),
    )


def told(event: Event, *, now: datetime, event_id: UUID | None = None) -> UUID:
    """Tell one event, as a consumer does, and return its id."""
    event_id = event_id or new_id()
    with open_unit_of_work():
        webhooks.tell(event=event, event_id=event_id, now=now)
    return event_id


def delivery(*, now: datetime) -> WebhookDelivery:
    """Return a delivery that waits, the first endpoint's where several hear."""
    return WebhookDelivery.objects.filter(event_id=told(paid(now=now), now=now)).earliest("id")


def attempt(*, now: datetime, failing: bool | None = None) -> list[DeliveryState]:
    """Claim all that is due, send it, and write down what became of it."""
    which = (False, True) if failing is None else (failing,)
    claimed = [call for kind in which for call in webhooks.claim(failing=kind, limit=100, now=now)]
    return [webhooks.record(claimed=call, outcome=webhooks.send(claimed=call, now=now), now=now) for call in claimed]


@dataclass
class Receiver:
    """A merchant's system on a real socket of the loopback address."""

    url: str = ""
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[int], tuple[int, dict[str, str], bytes]] = lambda _: (200, {}, b"ok")
    hold: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Hold nobody up until told to."""
        self.hold.set()


@contextmanager
def listening(*, tls: Any = None) -> Iterator[Receiver]:
    """Run a receiver; `hold.clear()` makes it hang."""
    receiver = Receiver()
    # Of calls that come at once each has its own number: its place among those received.
    one_by_one = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with one_by_one:
                receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                number = len(receiver.received)
            receiver.hold.wait(90)
            status, headers, said = receiver.answer(number)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(said)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of callers who hung up."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}/hooks"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
