"""One line, one object, in production; readable in development; the request in each, secrets in none."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog

from integrations.kafka.delivery import deliver
from integrations.kafka.envelope import of_log
from integrations.kafka.groups import Group
from settings import logs
from shop.kernel.ids import new_id
from shop.kernel.outbox.log import of_key
from shop.kernel.outbox.services import publish
from shop.kernel.tracing import Trace, tracing
from shop.kernel.transactions import open_unit_of_work
from tests.shop.kernel.outbox.factories import action

ROOT = Path(__file__).resolve().parents[2]
CANARY = "4242 4242 4242 4242"


@contextmanager
def written(*, as_json: bool) -> Iterator[StringIO]:
    """Collect what a logger of its own writes in the form of production or of development."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter(as_json=as_json))
    logger = logging.getLogger("tests.lines")
    logger.addHandler(handler)
    try:
        yield stream
    finally:
        logger.removeHandler(handler)


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return a function that reads the lines written so far as production writes them."""
    with written(as_json=True) as stream:
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


log = structlog.get_logger("tests.lines")


def fail() -> None:
    card = CANARY
    raise LookupError(f"no account for jane@example.com and {card}")


def test_a_line_is_one_object_with_name_level_logger_and_time(lines: Callable[[], list[dict[str, Any]]]) -> None:
    log.info("payment.succeeded", payment_id="p-1", amount=2870)

    [line] = lines()
    assert (line["event"], line["level"], line["logger"]) == ("payment.succeeded", "info", "tests.lines")
    assert (line["payment_id"], line["amount"]) == ("p-1", 2870)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(line["timestamp"])).total_seconds()) < 60


def test_a_library_s_line_takes_the_same_form(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("tests.lines").warning("Cannot reach %s", "redis://:pw@127.0.0.1:1")

    [line] = lines()
    assert line["event"] == "Cannot reach redis://:***@127.0.0.1:1"
    assert (line["level"], line["logger"]) == ("warning", "tests.lines")
    assert line["timestamp"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_names_lines_and_never_values(*, as_json: bool) -> None:
    with written(as_json=as_json) as stream:
        try:
            fail()
        except LookupError:
            log.exception("it.failed")
            logging.getLogger("tests.lines").exception("it failed")

    text = stream.getvalue()
    assert text.count("LookupError") >= 2
    assert "test_logs.py" in text
    assert "in fail" in text or '"name": "fail"' in text
    for secret in (CANARY, "jane@example.com"):
        assert secret not in text
    assert "locals" not in text


@pytest.mark.parametrize("as_json", [True, False])
def test_no_canary_leaves_by_any_door(*, as_json: bool) -> None:
    with written(as_json=as_json) as stream:
        log.info("a", card_number=CANARY, body={"card": {"n": CANARY}}, note=f"typed {CANARY}", password="hunter2")
        log.info("4242 4242 4242 4242 in the name")
        log.warning("b", headers={"Authorization": "Bearer abc", "X-API-Key": "shop_0123456789ab_secretsecretsecret"})
        logging.getLogger("tests.lines").error("formatted %s %r", CANARY, {"token": "Bearer hunter2"})

    text = stream.getvalue()
    assert len(text.splitlines()) == 4
    for canary in (CANARY, "hunter2", "Bearer abc", "secretsecret"):
        assert canary not in text


def test_development_is_read_by_people() -> None:
    with written(as_json=False) as stream:
        log.info("order.placed", number="R7KD-2MNP-XW")

    assert "order.placed" in stream.getvalue()
    assert "number=R7KD-2MNP-XW" in stream.getvalue()
    assert "{" not in stream.getvalue()


def test_a_line_names_its_request_and_its_cause(lines: Callable[[], list[dict[str, Any]]]) -> None:
    with tracing(Trace("request-1")):
        log.info("in.a.request")
    with tracing(Trace("request-1", causation_id="event-1")):
        log.info("in.a.consumer")

    request, consumer = lines()
    assert request["request_id"] == consumer["request_id"] == "request-1"
    assert "caused_by" not in request
    assert consumer["caused_by"] == "event-1"


@pytest.mark.django_db(transaction=True)
def test_a_consumer_s_lines_name_the_request_that_began_it_all(lines: Callable[[], list[dict[str, Any]]]) -> None:
    shopper = new_id()

    def handle(**_: object) -> None:
        log.info("handled")

    with tracing(Trace("request-7")), open_unit_of_work():
        publish(action(user_id=shopper))
    [told] = of_key(shopper)
    deliver(
        group=Group(name="lines", handlers={"analytics.events.v1": handle}),
        events=[of_log(told)],
        now=datetime.now(UTC),
    )

    [line] = [line for line in lines() if line["event"] == "handled"]
    assert (line["request_id"], line["caused_by"]) == ("request-7", str(told.id))


def test_what_cannot_be_written_as_json_is_written_all_the_same(lines: Callable[[], list[dict[str, Any]]]) -> None:
    log.info("odd", key=new_id(), when=datetime.now(UTC), raw=b"\xff", several={1, 2}, names={1: "one"})

    assert lines()[0]["event"] == "odd"


def test_the_configuration_is_what_django_takes() -> None:
    described = logs.configuration(as_json=True, level="INFO")
    before = logging.getLogger().handlers[:]
    try:
        logs.apply(described)
        assert [type(handler).__name__ for handler in logging.getLogger().handlers] == ["StreamHandler"]
    finally:
        logging.getLogger().handlers[:] = before


def test_granian_s_own_lines_are_objects_too() -> None:
    described = json.loads((ROOT / "deploy/granian/logs.json").read_text())["formatters"]
    record = logging.LogRecord("_granian", logging.INFO, "", 0, "Listening at: http://127.0.0.1:8000", None, None)

    for formatter in described.values():
        line = logging.Formatter(formatter["format"], formatter["datefmt"]).format(record)
        assert json.loads(line)["detail"] == "Listening at: http://127.0.0.1:8000"
