"""The number of partitions is fixed: the relay refuses another, consumers and `ensure_topics` say so."""

import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest
from django.conf import settings as configured
from pytest_django.fixtures import Settings

from integrations.embedded.ports import any_free
from integrations.kafka import topics
from shop.kernel.ids import new_id
from shop.kernel.outbox.models import PendingEvent
from tests.integrations.kafka.conftest import DEADLINE_SECONDS, tell
from tests.integrations.kafka.test_relay import process_environment


def test_topics_of_all_declared_events_are_made_once() -> None:
    outcome = topics.ensure_topics()

    assert {"order.created", "payment.success", "payment.failed", "analytics.events"} <= outcome.keys()
    assert set(outcome.values()) <= {"there", "created"}
    assert set(topics.ensure_topics().values()) == {"there"}


def test_topics_with_the_partitions_of_the_settings_are_not_complained_of() -> None:
    assert topics.miscounted_topics() == {}


def test_another_number_of_partitions_is_named(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    there = settings.KAFKA_TOPIC_PARTITIONS
    settings.KAFKA_TOPIC_PARTITIONS = there + 3

    found = topics.ensure_topics_when_reachable(stop=Event())

    assert found == dict.fromkeys(topics.declared_topics(), there)
    assert "kafka.partitions_differ" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_relay_refuses_to_start_on_another_number_of_partitions(tmp_path: Path) -> None:
    tell(new_id())
    there = configured.KAFKA_TOPIC_PARTITIONS

    refused = subprocess.run(
        [sys.executable, "manage.py", "relay_outbox"],
        env=process_environment(tmp_path) | {"KAFKA_TOPIC_PARTITIONS": str(there + 3)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert refused.returncode == 1
    assert f"KAFKA_TOPIC_PARTITIONS is {there + 3}, but" in refused.stderr
    assert f"order.created has {there}" in refused.stderr
    assert PendingEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_relay_that_waits_for_a_broker_can_be_stopped(tmp_path: Path) -> None:
    relay = subprocess.Popen(
        [sys.executable, "manage.py", "relay_outbox"],
        env=process_environment(tmp_path)
        | {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{any_free()}", "LOG_LEVEL": "WARNING"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert relay.stderr is not None
        assert "kafka.waited_for" in relay.stderr.readline()

        relay.terminate()

        assert relay.wait(DEADLINE_SECONDS) == 0
    finally:
        relay.kill()
        relay.communicate()
