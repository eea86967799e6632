"""One POST over real sockets: to whom it goes, how long it may take, and what is made of the answer."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_django.fixtures import Settings

from integrations.webhooks import sender
from integrations.webhooks.sender import Sender
from notifications.ports import AddressRefused, Answer, NoAnswer
from tests.notifications.webhooks.factories import Receiver, listening


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as running:
        yield running


@pytest.fixture(autouse=True)
def _development(settings: Settings) -> None:
    settings.WEBHOOK_LOOPBACK_ALLOWED = True


def post(url: str, *, seconds: float = 60.0, through: Sender | None = None) -> Answer:
    return (through or Sender()).post(
        url=url, headers={"webhook-id": "1", "Content-Type": "application/json"}, body=b"{}", timeout_seconds=seconds
    )


def wait_in_vain(url: str) -> None:
    """Post, and be told that no answer came in time; a busy machine may have used that up before it calls anybody."""
    for seconds in (0.5, 2, 10):
        with pytest.raises(NoAnswer) as given_up:
            post(url, seconds=seconds)
        if "no time left" not in str(given_up.value):
            break
    assert str(given_up.value) == f"No answer within {seconds:g} seconds."


def test_the_request_arrives_as_it_was_given(receiver: Receiver) -> None:
    answer = post(receiver.url)

    assert answer == Answer(status=200, body="ok")
    ((headers, body),) = receiver.received
    assert body == b"{}"
    assert headers["host"] == receiver.url.split("/")[2]
    assert (headers["webhook-id"], headers["content-type"]) == ("1", "application/json")


def test_in_production_loopback_is_not_even_dialled(receiver: Receiver, settings: Settings) -> None:
    settings.WEBHOOK_LOOPBACK_ALLOWED = False

    with pytest.raises(AddressRefused):
        post(receiver.url)

    assert receiver.received == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver, status: int) -> None:
    with listening() as inside:
        receiver.answer = lambda _: (status, {"Location": inside.url}, b"")

        answer = post(receiver.url)

        assert answer.status == status
        assert inside.received == []


def test_a_name_that_leads_elsewhere_a_moment_later_leads_nowhere(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # DNS rebinding: the first answer is harmless, every later one is the metadata service.
    port = int(receiver.url.rpartition(":")[2].split("/")[0])
    leads_to = iter(["127.0.0.1"])
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        asked.append(host)
        return real(next(leads_to, "169.254.169.254"), port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    answer = post(f"http://rebinding.example.com:{port}/hooks")

    assert answer.status == 200
    assert asked == ["rebinding.example.com"]
    assert receiver.received[0][0]["host"] == f"rebinding.example.com:{port}"


def test_the_address_is_judged_again_at_each_call(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(receiver.url.rpartition(":")[2].split("/")[0])
    leads_to = iter(["127.0.0.1", "169.254.169.254"])
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, port, **named: real(next(leads_to), port, **named))
    url, same = f"http://moving.example.com:{port}/hooks", Sender()

    post(url, through=same)
    with pytest.raises(AddressRefused):
        post(url, through=same)

    assert len(receiver.received) == 1


def test_proxies_of_the_environment_are_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)

        post(receiver.url)

        assert (len(receiver.received), len(proxy.received)) == (1, 0)


def test_a_system_that_hangs_is_left_in_time(receiver: Receiver) -> None:
    receiver.hold.clear()
    began = time.monotonic()

    wait_in_vain(receiver.url)

    assert time.monotonic() - began < 30


def test_the_socket_may_notice_the_end_before_the_clock_does(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.hold.clear()
    monkeypatch.setattr(sender, "_cut_at", lambda _deadline, _connected: nullcontext(threading.Event()))

    wait_in_vain(receiver.url)


@contextmanager
def dripping(*, first: bytes, drop: bytes) -> Iterator[str]:
    """Answer with `first` at once and then a drop every few milliseconds, for ever."""
    stop = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        line, _ = server.accept()
        with line:
            line.recv(65_536)
            try:
                line.sendall(first)
                while not stop.wait(0.02):
                    line.sendall(drop)
            except OSError:
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hooks"
    finally:
        stop.set()
        # Where nobody has called, it still waits for a caller.
        with suppress(OSError):
            socket.create_connection(server.getsockname()).close()
        thread.join()
        server.close()


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX-Endless: "])
def test_an_answer_that_drips_in_does_not_begin_the_time_out_anew(first: bytes) -> None:
    began = time.monotonic()

    with dripping(first=first, drop=b"a") as url:
        wait_in_vain(url)

    assert time.monotonic() - began < 30


def test_a_body_that_drips_in_is_cut_and_the_status_counts() -> None:
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\na"
    answer = None

    # On a busy machine even the beginning may come too late.
    for seconds in (3, 10, 30):
        with dripping(first=first, drop=b"a") as url, suppress(NoAnswer):
            answer = post(url, seconds=seconds)
            break

    assert answer is not None
    assert answer.status == 200
    assert set(answer.body) == {"a"}


def test_endless_interim_answers_end_with_the_time_out() -> None:
    with dripping(first=b"", drop=b"HTTP/1.1 100 Continue\r\n\r\n") as url:
        wait_in_vain(url)


def test_of_a_long_answer_the_beginning_is_kept(receiver: Receiver, settings: Settings) -> None:
    settings.WEBHOOK_ANSWER_KEPT_BYTES = 5_000
    receiver.answer = lambda _: (500, {}, b"x" * 1_000_000)

    assert post(receiver.url) == Answer(status=500, body="x" * 5_000)


def test_bytes_that_are_no_text_are_kept_as_far_as_they_are(receiver: Receiver) -> None:
    receiver.answer = lambda _: (200, {}, b"a\x00\xff")

    assert post(receiver.url).body == "a�"


@pytest.mark.parametrize("said", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b""])
def test_what_is_no_http_is_no_answer(said: bytes) -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        line, _ = server.accept()
        with line:
            line.recv(65_536)
            line.sendall(said)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with pytest.raises(NoAnswer):
            post(f"http://127.0.0.1:{server.getsockname()[1]}/")
    finally:
        thread.join()
        server.close()


def test_where_nobody_listens_there_is_no_connection() -> None:
    # Who only binds it does not listen, and keeps everybody else from doing so.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))

        with pytest.raises(NoAnswer, match="No connection"):
            post(f"http://127.0.0.1:{taken.getsockname()[1]}/")


def test_without_time_left_nobody_is_called(receiver: Receiver) -> None:
    with pytest.raises(NoAnswer, match="no time left"):
        post(receiver.url, seconds=0)

    assert receiver.received == []


def test_the_next_address_is_tried_where_nobody_listens_at_the_first(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [ip_address("127.0.0.9"), ip_address("127.0.0.1")]
    monkeypatch.setattr(sender, "allowed_addresses", lambda _target, **_: both)

    assert post(receiver.url).status == 200


def test_a_name_that_leads_nowhere_is_no_address_to_begin_with(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    with pytest.raises(AddressRefused, match="cannot be resolved"):
        Sender().check(url="https://nowhere.example.com/")


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        ("-5", None),
        ("1e9", None),
        ("99999999999999999999", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: int | None) -> None:
    assert sender._retry_after(value, now=NOW) == seconds


class Certificates:
    """An authority of our own, and a server's certificate for one name."""

    def __init__(self, folder: Path, *, name: str) -> None:
        self._folder = folder
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def server(self, asked: list[str | None]) -> ssl.SSLContext:
        """Return what the server needs; the names callers ask for (SNI) are written down."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        context.sni_callback = lambda _line, name, _context: asked.append(name)
        return context

    def client(self) -> ssl.SSLContext:
        """Return what a caller needs who trusts this authority."""
        return ssl.create_default_context(cafile=str(self.certificate))


def lead_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every name lead to this machine."""
    monkeypatch.setattr(sender, "allowed_addresses", lambda _target, **_: [ip_address("127.0.0.1")])


def test_tls_asks_for_the_name_and_believes_only_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates(tmp_path, name="merchant.example.com")
    asked: list[str | None] = []
    lead_to_loopback(monkeypatch)
    trusting = Sender(tls=certificates.client())

    with listening(tls=certificates.server(asked)) as receiver:
        port = receiver.url.rpartition(":")[2].split("/")[0]
        answer = post(f"https://merchant.example.com:{port}/hooks", through=trusting)
        with pytest.raises(NoAnswer, match="CERTIFICATE_VERIFY_FAILED"):
            post(f"https://other.example.com:{port}/hooks", through=trusting)
        with pytest.raises(NoAnswer, match="CERTIFICATE_VERIFY_FAILED"):
            post(f"https://merchant.example.com:{port}/hooks")

    assert answer.status == 200
    assert asked == ["merchant.example.com", "other.example.com", "merchant.example.com"]
    assert [headers["host"] for headers, _ in receiver.received] == [f"merchant.example.com:{port}"]


def test_a_tls_handshake_that_hangs_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to_loopback(monkeypatch)
    began = time.monotonic()

    # A record of 16 KiB begins: before it is complete, nothing is wrong with it.
    with dripping(first=b"\x16\x03\x03\x40\x00", drop=b"\x02") as url:
        wait_in_vain(url.replace("http:", "https:"))

    assert time.monotonic() - began < 30
