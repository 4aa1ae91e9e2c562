"""The alert rules: they name metrics that exist, and fire when they should (by promtool, where it is installed)."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from services.common.metrics import LoopMetrics
from tests.contract.deploy_rendering import WORKERS, of_kind, rendered

_LETTER = 'groundswell_dead_letters_total{service="ingest",topic="feedback.raw",reason="%s",pod="a"}'
_LAG = 'kafka_consumergroup_lag{consumergroup="groundswell-dedup",topic="board.events",partition="0"}'
_OFFSET = 'kafka_consumergroup_current_offset{consumergroup="groundswell-dedup",topic="board.events",partition="0"}'


def _rules() -> dict[str, Any]:
    (rule,) = of_kind(rendered("mongo-hpa"), "PrometheusRule").values()
    spec: dict[str, Any] = rule["spec"]
    return spec


def _promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    return subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)


def test_rules_name_metrics_that_the_loop_keeps() -> None:
    registry = CollectorRegistry()
    LoopMetrics("dedup", registry)
    kept = {f"{metric.name}{suffix}" for metric in registry.collect() for suffix in ("", "_total", "_bucket")}
    named = {name for rule in _rules()["groups"][0]["rules"] for name in re.findall(r"groundswell_\w+", rule["expr"])}
    assert named
    assert named <= kept


def test_rules_name_the_services_consumer_groups() -> None:
    groups = {pattern for rule in _rules()["groups"][0]["rules"] for pattern in re.findall(r'consumergroup=~"([^"]+)"', rule["expr"])}
    assert groups
    assert all(re.fullmatch(pattern, f"groundswell-{worker}") for pattern in groups for worker in WORKERS)


def test_every_alert_says_what_to_do() -> None:
    for rule in _rules()["groups"][0]["rules"]:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_promtool_finds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(_rules()))
    answer = _promtool("check", "rules", "--lint=all", "--lint-fatal", path)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("alert", "series", "minute", "fires"),
    [
        pytest.param("GroundswellDeadLetters", {_LETTER % "not_json": "_x19 1x40"}, 25, True, id="the first letter of a reason"),
        pytest.param("GroundswellDeadLetters", {_LETTER % "not_json": "5x60"}, 50, False, id="old letters only"),
        pytest.param("GroundswellDeadLetters", {_LETTER % "crash": "_x19 1x40"}, 25, False, id="crashes have an alert of their own"),
        pytest.param("GroundswellCrashingRecord", {_LETTER % "crash": "_x19 1x40"}, 25, True, id="a record that kills"),
        pytest.param("GroundswellStuck", {_LAG: "7x60", _OFFSET: "40x60"}, 30, True, id="lag without progress"),
        pytest.param("GroundswellStuck", {_LAG: "7x60", _OFFSET: "0+9x60"}, 30, False, id="lag with progress"),
        pytest.param("GroundswellStuck", {_LAG: "0x60", _OFFSET: "40x60"}, 30, False, id="nothing to do"),
        pytest.param("GroundswellLag", {_LAG: "20000x60", _OFFSET: "0+9x60"}, 30, True, id="far behind"),
    ],
)
def test_alerts_fire_when_they_should(alert: str, series: dict[str, str], minute: int, fires: bool, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(_rules()))
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": "{}", "value": int(fires)}],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    answer = _promtool("test", "rules", tmp_path / "test.yaml")
    assert answer.returncode == 0, answer.stdout + answer.stderr
