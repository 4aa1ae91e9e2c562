"""The images: linted, complete for what each service imports, and built by a script that says when it cannot."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

from services.common.paths import ROOT
from tests.contract.deploy_rendering import WORKERS

_DOCKER = ROOT / "deploy" / "docker"
_IMAGES = (*WORKERS, "console")
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _instructions(service: str) -> list[tuple[str, str]]:
    """Return (instruction, arguments) of a Dockerfile, continuations joined."""
    text = re.sub(r"\\\n\s*", "", (_DOCKER / f"Dockerfile.{service}").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name.upper(), rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_there_is_a_dockerfile_a_service_and_no_other() -> None:
    assert {f"Dockerfile.{service}" for service in _IMAGES} == {path.name for path in _DOCKER.glob("Dockerfile*")}


@pytest.mark.parametrize("service", _IMAGES)
def test_hadolint_finds_nothing(service: str) -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed (its wheel is for Linux on x86-64)")
    answer = subprocess.run([hadolint, _DOCKER / f"Dockerfile.{service}"], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, "")


@pytest.mark.parametrize("service", _IMAGES)
def test_an_image_runs_as_nobody_in_particular(service: str) -> None:
    users = [rest for name, rest in _instructions(service) if name == "USER"]
    assert users == ["10001:10001"]


@pytest.mark.parametrize("service", _IMAGES)
def test_an_image_installs_the_pinned_versions_of_its_own_extra(service: str) -> None:
    installs = [rest for name, rest in _instructions(service) if name == "RUN" and "--editable" in rest]
    assert installs == [f"/opt/venv/bin/pip install --constraint constraints.txt --editable '.[{service}]'"]


@pytest.mark.parametrize("service", WORKERS)
def test_an_image_starts_its_service_and_answers_probes(service: str) -> None:
    last = dict(_instructions(service))
    assert last["ENTRYPOINT"] == f'["python", "-m", "services.{service}"]'
    assert last["EXPOSE"] == "8080"
    assert "/healthz" in last["HEALTHCHECK"]


@pytest.mark.parametrize("service", _IMAGES)
def test_what_is_copied_exists_and_passes_dockerignore(service: str) -> None:
    passed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [rest.split() for name, rest in _instructions(service) if name == "COPY" and not rest.startswith("--from")]
    for source in (source for *sources, _ in copies for source in sources):
        assert (ROOT / source).exists(), source
        assert Path(source).parts[0] in passed, source


def test_no_host_is_written_into_the_images() -> None:
    assert 'ARG TORCH_INDEX_URL=""' in (_DOCKER / "Dockerfile.dedup").read_text()
    for service in _IMAGES:
        assert not re.search(r"https?://(?!127\.0\.0\.1)", (_DOCKER / f"Dockerfile.{service}").read_text())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(*extras: str) -> set[str]:
    """Return the distributions that the project asks for, by itself and with *extras*, and with those that they bring along."""
    wanted = [*_PROJECT["dependencies"], *(name for extra in extras for name in _PROJECT["optional-dependencies"][extra])]
    found = {_normal(re.split(r"[\[<>=!;~ ]", name, maxsplit=1)[0]) for name in wanted}
    brought = [one for name in wanted if (own := re.fullmatch(r"groundswell\[(.+)\]", name)) for one in own[1].split(",")]
    return found | (_required(*brought) if brought else set())


def _installed_with(names: set[str]) -> set[str]:
    """Return *names* and all that these distributions ask for, and so on."""
    found, frontier = set(names), set(names)
    while frontier:
        asked = {
            _normal(re.split(r"[\[<>=!;~ (]", line, maxsplit=1)[0])
            for name in frontier
            for line in _asked_by(name)
            if "extra ==" not in line
        }
        frontier = asked - found
        found |= frontier
    return found


def _asked_by(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []  # not for this platform


def _imported(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (file, top-level module) of every import below *folder*, those inside functions included."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            yield from ((path.name, name.split(".")[0]) for name in names)


@pytest.mark.parametrize("service", WORKERS)
def test_an_image_has_whatever_its_service_imports(service: str) -> None:
    distributions = packages_distributions()
    # Shipped by what we ask for, under another name: faust brings mode, motor brings bson and pymongo, and so on.
    brought = {"mode-streaming", "pymongo", "pydantic", "tokenizers", "huggingface-hub"}
    required = _required(service) | brought
    for folder in ("common", service):
        for file, module in _imported(ROOT / "services" / folder):
            if module in sys.stdlib_module_names or module == "services":
                continue
            found = {_normal(name) for name in distributions.get(module, ())}
            assert found & required, f"{folder}/{file} imports {module}; extra `{service}` does not bring it"


_BLOCKED = """
import sys
from importlib.abc import MetaPathFinder
class Absent(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = ["groundswell", "topics", "apply", "--help"]
from services.console.__main__ import main
main()
"""


def test_topics_are_applied_where_only_the_console_is_installed() -> None:
    others = _required("ingest", "dedup", "segmenter", "notifier", "embedded") - _installed_with(_required("console"))
    absent = sorted(module for module, owners in packages_distributions().items() if {_normal(name) for name in owners} & others)
    assert {"torch", "onnxruntime", "aiosmtpd", "sentence_transformers", "vaderSentiment"} <= set(absent)
    answer = subprocess.run(
        [sys.executable, "-c", _BLOCKED.format(absent=absent)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (answer.returncode, answer.stderr) == (0, "")


def _stub_docker(folder: Path, body: str) -> dict[str, str]:
    docker = folder / "docker"
    docker.write_text(f"#!/bin/bash\n{body}\n")
    docker.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def _build(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    script = [shutil.which("bash") or "/bin/bash", str(_DOCKER / "build.sh")]
    return subprocess.run(script, env=environment, capture_output=True, text=True, check=False)


def test_a_machine_without_docker_is_told_so(tmp_path: Path) -> None:
    for tool in ("dirname", "sed"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    answer = _build({"PATH": str(tmp_path)})
    assert answer.returncode == 3
    assert "there is no docker command" in answer.stderr


def test_a_docker_without_a_daemon_is_told_so(tmp_path: Path) -> None:
    answer = _build(_stub_docker(tmp_path, "exit 1"))
    assert answer.returncode == 3
    assert "no Docker daemon answers" in answer.stderr


def test_every_image_is_built_with_its_tag(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    environment = _stub_docker(tmp_path, f'[[ $1 == info ]] || echo "$*" >> {calls}')
    answer = _build({**environment, "REGISTRY": "example.com/team", "TAG": "7", "TORCH_INDEX_URL": "https://torch.example/cpu"})
    assert answer.returncode == 0, answer.stderr
    built = calls.read_text().splitlines()
    assert [re.findall(r"--tag (\S+)", line)[0] for line in built] == [f"example.com/team/groundswell-{service}:7" for service in _IMAGES]
    assert [line for line in built if "TORCH_INDEX_URL=https://torch.example/cpu" in line] == [built[1]]
    assert all(line.endswith(" .") for line in built)


def test_a_failed_build_fails(tmp_path: Path) -> None:
    assert _build(_stub_docker(tmp_path, "[[ $1 == info ]]")).returncode == 1
