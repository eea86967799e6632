"""The alert rules are valid, fire when they should, stay silent when they should, and each has its page."""

import re
import shutil
import subprocess
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.core import Metric

from integrations.embedded.processes import Ports, process_table
from integrations.monitoring import Standing

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
# What Prometheus itself adds.
BUILT_IN = {"up"}
FUNCTIONS_AND_WORDS = frozenset(
    "sum by rate increase max histogram_quantile and or unless absent gateway group le what call humanize count".split()
)

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed; on Debian: apt-get install prometheus"
)


def alerts() -> list[dict[str, Any]]:
    files = (yaml.safe_load(path.read_text()) for path in RULES)
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def named(alert: dict[str, Any]) -> str:
    name: str = alert["alert"]
    return name


def promtool(*arguments: object) -> str:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False, cwd=PROMETHEUS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_promtool
def test_the_configuration_and_its_rules_are_valid() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert "FAILED" not in promtool("check", "rules", *RULES)


@needs_promtool
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_the_rules_do_what_their_scenarios_say(path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", path)


@needs_promtool
def test_a_rule_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    rules = tmp_path / "prometheus" / "rules" / "payments.yml"
    rules.write_text(rules.read_text().replace("> 0.4", "> 0.99"))

    broken = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "prometheus" / "tests" / "payments.yml"],
        capture_output=True,
        check=False,
    )

    assert broken.returncode != 0


def test_every_alert_has_a_scenario_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    names = {named(alert) for alert in alerts()}
    fires, silent = set(), set()
    for path in TESTS:
        of_this_file = {named(alert) for alert in alerts() if rule_file(alert) in scenario_files(path)}
        scenarios = yaml.safe_load(path.read_text())["tests"]
        for case in (case for scenario in scenarios for case in scenario["promql_expr_test"]):
            said = {
                name for sample in case["exp_samples"] for name in re.findall(r'alertname="(\w+)"', sample["labels"])
            }
            asked = re.search(r'alertname=~?"([^"]+)"', case["expr"])
            fires |= said
            silent |= {name for name in of_this_file if asked is None or re.fullmatch(asked[1], name)} - said

    assert names - fires == set()
    assert names - silent == set()


def rule_file(alert: dict[str, Any]) -> str:
    return next(path.name for path in RULES if f"alert: {named(alert)}\n" in path.read_text())


def scenario_files(path: Path) -> set[str]:
    return {Path(name).name for name in yaml.safe_load(path.read_text())["rule_files"]}


@pytest.mark.parametrize("alert", alerts(), ids=named)
def test_an_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["for"]
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    page = ROOT / alert["annotations"]["runbook"]
    assert page.parent == RUNBOOKS
    text = page.read_text()
    for heading in ("**What it means.**", "**What to look at.**", "**What to do.**"):
        assert heading in text
    assert 10 <= len(text.splitlines()) <= 60


def test_names_are_used_once_and_every_page_is_somebody_s() -> None:
    assert max(Counter(map(named, alerts())).values()) == 1
    pages = {Path(alert["annotations"]["runbook"]).name for alert in alerts()}
    assert {path.name for path in RUNBOOKS.glob("*.md")} == pages | {"README.md"}
    overview = (RUNBOOKS / "README.md").read_text()
    assert {named(alert) for alert in alerts()} == set(re.findall(r"`([A-Z]\w*[a-z]\w*)`", overview))


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_what_a_page_tells_to_run_and_to_read_is_there(page: Path) -> None:
    text = page.read_text()

    for command in re.findall(r"MANAGE (\w+)", text):
        found = [*ROOT.glob(f"[!.]*/**/commands/{command}.py")]
        assert found or command in {"dbshell", "migrate"}, command
    for link in re.findall(r"\]\(([\w-]+\.md)\)", text):
        assert (RUNBOOKS / link).is_file(), link


def metrics_named_in(expression: str) -> set[str]:
    without_labels = re.sub(r"\{[^}]*\}|\b(by|without) \([^)]*\)", " ", expression)
    words = set(re.findall(r"\b[a-z_][a-z0-9_]*\b", re.sub(r"\[\w+\]", " ", without_labels)))
    return words - FUNCTIONS_AND_WORDS - BUILT_IN


def exposed_names(family: Metric) -> set[str]:
    endings = {"counter": {"_total"}, "histogram": {"_bucket", "_count", "_sum"}, "gauge": {""}}
    return {family.name + ending for ending in endings.get(family.type, {""})}


@pytest.mark.django_db(transaction=True)
def test_every_metric_a_rule_names_is_told_by_the_code(client: Client) -> None:
    for module in ("integrations.analytics", "integrations.kafka", "notifications", "payments"):
        import_module(f"{module}.metrics")
    for module in ("shop.kernel.views", "shop.kernel.clockwatch.services"):
        import_module(module)
    client.get("/healthz")

    told = {name for family in [*REGISTRY.collect(), *Standing().collect()] for name in exposed_names(family)}
    wanted = {metric for alert in alerts() for metric in metrics_named_in(alert["expr"])}

    assert len(wanted) > 15
    assert wanted - told == set()


def test_every_label_value_a_rule_asks_for_is_one_the_code_gives() -> None:
    sources = "\n".join(
        path.read_text()
        for package in ("payments", "notifications", "integrations", "shop")
        for path in (ROOT / package).rglob("*.py")
    )
    values = {
        value
        for alert in alerts()
        for label, operator, text in re.findall(r'(\w+)(=~|!=|=)"([^"]+)"', alert["expr"])
        if label not in {"status", "job"} or text.isalpha()
        for value in text.split("|")
    }

    assert {value for value in values - {"web"} if f'"{value}"' not in sources} == set()


def test_the_targets_are_where_make_run_serves_metrics(tmp_path: Path) -> None:
    ports = Ports(web=8000, gateway=8001, relay_metrics=9101, consumers_metrics=9102, worker_metrics=9103)
    table = {process.name: process for process in process_table(chosen=ports, state_dir=tmp_path)}
    served = {"web": str(ports.web)} | {
        name: process.environment["METRICS_PORT"]
        for name, process in table.items()
        if "METRICS_PORT" in process.environment
    }

    scraped = {
        job["job_name"]: job["static_configs"][0]["targets"]
        for job in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    }

    assert scraped == {name: [f"127.0.0.1:{port}"] for name, port in served.items()}
