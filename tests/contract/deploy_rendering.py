"""Renders the chart without a cluster, for the tests beside this file."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeAlias

import helm_python
import yaml
from pydantic_settings import BaseSettings

import services
from services.common.paths import ROOT

CHART = ROOT / "deploy" / "helm" / "groundswell"
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
WORKERS = ("ingest", "dedup", "segmenter", "notifier")
RELEASE = "gw"

Manifest: TypeAlias = dict[str, Any]


def ci_values(name: str) -> dict[str, Any]:
    """Return ``ci/<name>-values.yaml``."""
    values: dict[str, Any] = yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text())
    return values


def render(values: Mapping[str, Any], release: str = RELEASE) -> list[Manifest]:
    """Return every manifest that the chart gives for *values*.

    Raises:
        helm_python.HelmError: The values are refused; the message says why.
    """
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(dict(values))
        files = chart.render(dict(values), name=release, namespace="feedback")
    return [
        manifest
        for path, text in sorted(files.items())
        if path.endswith(".yaml")
        for manifest in yaml.safe_load_all(text)
        if manifest is not None
    ]


@cache
def _rendered(name: str) -> str:
    return json.dumps(render(ci_values(name)))


def rendered(name: str) -> list[Manifest]:
    """Return the render of ``ci/<name>-values.yaml``; each caller gets a copy of its own."""
    manifests: list[Manifest] = json.loads(_rendered(name))
    return manifests


def of_kind(manifests: list[Manifest], *kinds: str) -> dict[str, Manifest]:
    """Return the manifests of *kinds* by name."""
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] in kinds}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return the pod template of every Deployment and Job by the owner's name."""
    return {name: owner["spec"]["template"] for name, owner in of_kind(manifests, "Deployment", "Job").items()}


def environment(template: Manifest) -> dict[str, Any]:
    """Return a pod's variables: texts, or the reference that they come from."""
    (container,) = template["spec"]["containers"]
    names = [variable["name"] for variable in container["env"]]
    assert len(names) == len(set(names)), f"set twice: {names}"
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container["env"]}


def known_settings() -> frozenset[str]:
    """Return the name of every environment variable that some service reads."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if module.name.endswith((".settings", ".unsubscribe")):  # where settings are declared
            importlib.import_module(module.name)
    return frozenset(
        f"{kind.model_config.get('env_prefix', '')}{field}".upper() for kind in _subclasses(BaseSettings) for field in kind.model_fields
    )


def _subclasses(kind: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for below in kind.__subclasses__():
        if below.__module__.startswith("services."):
            yield below
        yield from _subclasses(below)
