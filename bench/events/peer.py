"""One of the other outboxes at work, in its own environment: `peer NAME SINK EVENTS` prints events a second."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import django
from confluent_kafka import Producer
from django.conf import settings

PAYLOAD = {"order_id": str(uuid4()), "user_id": str(uuid4()), "amount": {"minor": 2490, "currency": "EUR"}}
APPS = {"django-outbox-pattern": "django_outbox_pattern", "django-jaiminho": "jaiminho"}


def main() -> None:
    """Fill its table, let it publish everything, print the rate."""
    peer, sink, events = sys.argv[1], sys.argv[2], int(sys.argv[3])
    _configure(APPS[peer])
    fill, publish, left = _outbox_pattern(sink) if peer == "django-outbox-pattern" else _jaiminho(sink)
    fill(events)
    began, cpu = time.monotonic(), time.process_time()
    publishing = threading.Thread(target=publish, daemon=True)
    publishing.start()
    while left():
        if not publishing.is_alive() and left():
            raise SystemExit("its loop has ended before everything was sent")
        time.sleep(0.05)
    lasted = time.monotonic() - began
    print(json.dumps({"per_second": events / lasted, "cpu_us": (time.process_time() - cpu) / events * 1e6}), flush=True)
    # Its loop has no end of its own.
    os._exit(0)


def _configure(app: str) -> None:
    address = urlsplit(os.environ["DATABASE_URL"])
    settings.configure(
        SECRET_KEY="bench",
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.contenttypes", app],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        LOGGING_CONFIG=None,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": address.path.strip("/"),
                "USER": address.username,
                "HOST": parse_qs(address.query)["host"][0],
            }
        },
        JAIMINHO_CONFIG={"PUBLISH_STRATEGY": "keep-order", "DELETE_AFTER_SEND": True},
    )
    django.setup()
    import_module("django.core.management").call_command("migrate", verbosity=0)


def send_to(sink: str) -> Callable[[], None]:
    """Return what sends one record: nothing at all, or Kafka with the record waited for."""
    if sink == "no sink":
        return lambda: None
    producer = Producer({"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"], "acks": "all", "linger.ms": 0})
    value = json.dumps(PAYLOAD)

    def send() -> None:
        producer.produce("payment.success", value, PAYLOAD["order_id"])
        producer.flush()

    return send


def _outbox_pattern(sink: str) -> tuple[Callable[[int], None], Callable[[], None], Callable[[], bool]]:
    from django_outbox_pattern.choices import StatusChoice  # noqa: PLC0415  after settings
    from django_outbox_pattern.management.commands.publish import Command  # noqa: PLC0415  after settings
    from django_outbox_pattern.models import Published  # noqa: PLC0415  after settings

    send = send_to(sink)

    class Connection:
        """In the place of the one to a STOMP broker."""

        def send(self, **_: object) -> None:
            send()

        def is_connected(self) -> bool:
            return True

        def __getattr__(self, _name: str) -> Callable[..., None]:
            return lambda *_, **__: None

    def fill(events: int) -> None:
        Published.objects.bulk_create(
            [Published(destination="/topic/payment.success", body=PAYLOAD) for _ in range(events)], batch_size=1_000
        )

    def publish() -> None:
        command = Command()
        command.producer.connection = Connection()
        command.handle()

    return fill, publish, lambda: Published.objects.filter(status=StatusChoice.SCHEDULE).exists()


def _jaiminho(sink: str) -> tuple[Callable[[int], None], Callable[[], None], Callable[[], bool]]:
    from jaiminho.models import Event  # noqa: PLC0415  after settings
    from jaiminho.relayer import EventRelayer  # noqa: PLC0415  after settings
    from jaiminho.send import save_to_outbox  # noqa: PLC0415  after settings

    SENDERS[sink] = send_to(sink)
    told = save_to_outbox(notify_kafka if sink == "kafka" else notify_nobody)

    def fill(events: int) -> None:
        for _ in range(events):
            told(PAYLOAD)

    return fill, lambda: EventRelayer().relay(), Event.objects.exists


# Its rows name the function to call, so that it must be one of a module.
SENDERS: dict[str, Callable[[], None]] = {}


def notify_nobody(_payload: dict[str, object]) -> None:
    """Send nothing."""
    SENDERS["no sink"]()


def notify_kafka(_payload: dict[str, object]) -> None:
    """Send one record and wait for it."""
    SENDERS["kafka"]()


if __name__ == "__main__":
    main()
