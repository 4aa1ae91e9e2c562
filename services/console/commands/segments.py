"""``groundswell segments``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.common.settings import load_settings
from services.console.context import AsJson
from services.console.failures import reported
from services.console.show import console, print_json, table
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.loading import load_definition
from services.segmenter.domain.purpose import advice
from services.segmenter.settings import SegmenterSettings

app = typer.Typer(help="Segments: their definition, what it makes of people, how good it is.", no_args_is_help=True)

_File = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A definition; else GROUNDSWELL_SEGMENTS_FILE, else the example.")]


@app.callback()
def group() -> None:
    """Segments: their definition, what it makes of people, how good it is."""


@app.command("check")
def check(file: _File = None, as_json: AsJson = False) -> None:
    """Validate a definition: everything that is wrong, by file, line and field (exit code 78); then what it lacks to be of use."""
    definition, path = opened(file)
    found = advice(definition)
    if as_json:
        schemes = {scheme.name: list(scheme.texts()) for scheme in definition.schemes}
        print_json({"file": str(path), "version": definition.version, "schemes": schemes, "advice": found})
        return
    rows = [(s.name, s.scope, s.group or "", ", ".join(s.texts()), "yes" if s.has_memory else "") for s in definition.schemes]
    out = console()
    out.print(table(f"{path}, version {definition.version}: valid", ["scheme", "scope", "tags of", "segments", "remembers"], rows))
    for sentence in found:
        out.print(f"advice: {sentence}", markup=False)


def opened(file: Path | None) -> tuple[Definition, Path]:
    """Return the definition in *file*, else the one that the segmenter would take, and its path; a wrong one ends the command."""
    with reported():
        path = file or load_settings(SegmenterSettings).segments_file
        return load_definition(path), path
    raise AssertionError  # reported() re-raises or ends the command
