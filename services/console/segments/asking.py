"""What every question about segments begins with: the definition, the evidence, the moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType

from services.common.clock import Micros
from services.common.settings import load_settings
from services.console.cluster import Cluster
from services.console.context import on_cluster
from services.console.failures import CommandFailed, ExitCode, reported
from services.console.segments.evidence import Evidence, read_evidence
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.loading import load_definition
from services.segmenter.settings import SegmenterSettings

DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
"""How options write moments, in UTC."""


def opened(file: Path | None) -> tuple[Definition, Path]:
    """Return the definition in *file*, else the one that the segmenter would take, and its path; a wrong one ends the command."""
    with reported():
        path = file or load_settings(SegmenterSettings).segments_file
        return load_definition(path), path
    raise AssertionError  # reported() re-raises or ends the command


def asked(bootstrap: str | None, workspace: str) -> Evidence:
    """Return what lies in the topics now."""

    async def work(cluster: Cluster) -> Evidence:
        return await read_evidence(cluster, workspace)

    return on_cluster(bootstrap, work)


def micros(moment: datetime) -> Micros:
    """Return a moment in UTC, as options give it, as our events hold it."""
    return (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def needing_extra(module: str) -> ModuleType:
    """Return a module that needs the extra ``discovery``.

    Raises:
        CommandFailed: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise CommandFailed(f"{error}; this needs scikit-learn: pip install 'groundswell[discovery]'", ExitCode.CONFIGURATION) from error


def written(path: Path, text: str) -> None:
    """Write a file; what is wrong ends the command in one line."""
    with reported():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandFailed(f"{path}: {error.strerror}", ExitCode.USAGE) from error
