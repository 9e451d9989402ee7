"""The operators' page, the alerts and the dashboard speak of what the service really has."""

import json
import re
from pathlib import Path

import pytest
import yaml

from scripts import references
from service.app import create_app
from service.settings import Settings
from tests.conftest import REPOSITORY

OPERATIONS = REPOSITORY / "docs" / "operations.md"
ALERTS = REPOSITORY / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = REPOSITORY / "deploy" / "grafana" / "dashboards" / "srserve.json"


@pytest.fixture(scope="module")
def names(oracle_store: Path) -> set[str]:
    """All sample names that the service can expose, `_bucket` and the like included."""
    registry = create_app(Settings(store=oracle_store, device="cpu")).state.metrics.registry
    found = set()
    for family in registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        found |= {family.name + suffix for suffix in suffixes}
    return found


def mentioned(text: str) -> set[str]:
    return set(re.findall(r"\b(?:sr|process)_[a-z_]+[a-z]\b", text))


def rules() -> list[dict[str, object]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def test_the_table_of_settings_is_what_the_code_says() -> None:
    page = OPERATIONS.read_text()
    assert references.operations_page(page) == page, "docs/operations.md is out of date: run `make references`"


def test_every_setting_has_a_row() -> None:
    page = OPERATIONS.read_text()
    assert [name for name in Settings.variables() if f"| `{name}` |" not in page] == []


def test_alerts_and_dashboard_ask_for_metrics_that_exist(names: set[str]) -> None:
    asked = mentioned(" ".join(str(rule["expr"]) for rule in rules()))
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked |= mentioned(" ".join(target["expr"] for panel in panels for target in panel.get("targets", [])))
    assert len(asked) > 20
    assert asked - names == set()


def test_the_page_explains_every_metric_and_only_those_there_are(names: set[str]) -> None:
    page = OPERATIONS.read_text()
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names if name.startswith("sr_")}
    explained = mentioned(page)
    limits = {name for name in families if name.endswith("_limit")}
    assert families - limits - explained == set()
    assert {name for name in explained if name.startswith("sr_")} - families == set()


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    headings = set(re.findall(r"^### (\w+)$", OPERATIONS.read_text().partition("## Alerts")[2], re.MULTILINE))
    alerts = {str(rule["alert"]): rule for rule in rules()}
    assert headings == set(alerts)
    for name, rule in alerts.items():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"  # type: ignore[index]


def test_every_alert_is_tried_by_promtool() -> None:
    tried = (ALERTS.parent / "alerts.test.yml").read_text()
    for rule in rules():
        assert tried.count(f"alertname: {rule['alert']}\n") + tried.count(f"alertname: {rule['alert']},") >= 2, rule
