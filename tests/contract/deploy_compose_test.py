"""deploy/compose.yaml: real Kafka and MongoDB, the services, one order of start."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from services.common.paths import ROOT
from tests.contract.deploy_rendering import WORKERS, known_settings

_FILE = ROOT / "deploy" / "compose.yaml"
_COMPOSE: dict[str, Any] = yaml.safe_load(_FILE.read_text())
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_OURS = (*WORKERS, "topics")


def test_compose_accepts_it() -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed")
    answer = subprocess.run(["docker", "compose", "-f", _FILE, "config", "-q"], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_everything_is_there() -> None:
    assert {"kafka", "mongo", "mail", *_OURS} == set(_SERVICES)
    assert re.fullmatch(r"apache/kafka:4\.\d+\.\d+", _SERVICES["kafka"]["image"])
    assert re.fullmatch(r"mongo:\d+\.\d+", _SERVICES["mongo"]["image"])


@pytest.mark.parametrize("name", _SERVICES)
def test_every_image_has_a_version(name: str) -> None:
    assert not _SERVICES[name]["image"].endswith((":latest", ":edge"))
    assert ":" in _SERVICES[name]["image"]


@pytest.mark.parametrize("name", ["kafka", "mongo", "mail"])
def test_what_is_waited_for_tells_when_it_is_healthy(name: str) -> None:
    assert _SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", _SERVICES)
def test_what_is_waited_for_exists_and_can_say_so(name: str) -> None:
    for other, how in _SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] == ("service_completed_successfully" if other == "topics" else "service_healthy")
        assert other == "topics" or "healthcheck" in _SERVICES[other]


@pytest.mark.parametrize("name", _OURS)
def test_every_variable_of_ours_is_a_setting(name: str) -> None:
    unknown = set(_SERVICES[name]["environment"]) - known_settings()
    assert not unknown


@pytest.mark.parametrize("name", _OURS)
def test_our_containers_may_do_little(name: str) -> None:
    service = _SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (_FILE.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_each_service_has_a_database_of_its_own() -> None:
    urls = {name: _SERVICES[name]["environment"]["GROUNDSWELL_STORE_URL"] for name in WORKERS}
    assert urls == {name: f"mongodb://mongo:27017/groundswell_{name}" for name in WORKERS}


@pytest.mark.parametrize("name", _SERVICES)
def test_nothing_listens_beyond_this_machine(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in _SERVICES[name].get("ports", ()))


def test_volumes_are_declared() -> None:
    named = {volume.split(":")[0] for service in _SERVICES.values() for volume in service.get("volumes", ())}
    assert named == set(_COMPOSE["volumes"])
