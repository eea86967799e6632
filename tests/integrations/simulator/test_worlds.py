"""A few simulated worlds: sound, the same each time they are played, and broken by a bug that is planted."""

import os
import subprocess
import sys

import pytest
from django.db import connection

from integrations.simulator.running import simulate
from integrations.simulator.scratch import NotOurs, scratch_database
from integrations.simulator.world import Plan
from shop.kernel.tracing import Trace, tracing
from tests.integrations.simulator.planted import hunt

pytestmark = pytest.mark.django_db(transaction=True)


def plan(seed: int) -> Plan:
    return Plan(seed=seed, purchases=3, kills=2, steps=80)


def test_eight_worlds_are_sound() -> None:
    summary = simulate(plan(seed) for seed in range(1, 9))

    assert summary.failure is None
    assert summary.seeds == 8
    assert summary.steps > 800
    assert summary.kills.total() > 5
    assert summary.counts["orders: done"] > 8


def test_the_same_seed_plays_the_same_steps_whatever_was_played_before() -> None:
    among_others = simulate(plan(seed) for seed in (5, 6, 7))

    alone = simulate([plan(7)])

    assert among_others.digests[7] == alone.digests[7]
    assert among_others.digests[6] != alone.digests[7]


def test_a_trace_that_somebody_has_begun_changes_no_step() -> None:
    alone = simulate([plan(3)])

    with tracing(Trace(correlation_id="somebody's")):
        traced = simulate([plan(3)])

    assert traced.digests == alone.digests


def test_another_process_plays_the_same_steps() -> None:
    here = simulate([plan(3)])

    arguments = ["simulate_payments", "--seed", "3", "--steps", "80", "--settings", "settings.test"]
    there = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"{here.steps:,} steps" in there.stdout
    assert f"digest {here.digest}" in there.stdout


def test_a_bug_is_found_and_told_with_its_seed() -> None:
    summary = hunt("dedupe", seeds=40)

    assert summary.failure is not None
    assert summary.failure.invariant == "analytics tell a fact once"
    assert summary.failure.plan.seed == summary.seeds
    assert summary.failure.last


def test_the_shops_own_database_is_left_alone() -> None:
    before = connection.settings_dict["NAME"]

    with scratch_database() as scratch:
        assert scratch.monitor.info.dbname != before
        assert connection.settings_dict["NAME"] == scratch.monitor.info.dbname

    assert connection.settings_dict["NAME"] == before
    assert "simulation" not in before


def test_a_database_nobody_has_marked_is_not_touched() -> None:
    shop = connection.settings_dict["NAME"]
    name = f"{shop}_simulation_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    try:
        with pytest.raises(NotOurs), scratch_database():
            pytest.fail("it was taken for a scratch database")
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)", [name])
            assert cursor.fetchone() == (True,)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}"')
