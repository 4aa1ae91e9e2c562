"""``groundswell schemas``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

from services.common.errors import ConfigurationError
from services.common.paths import SCHEMAS
from services.console.context import AsJson
from services.console.failures import reported
from services.console.show import console, print_json

app = typer.Typer(help="The contracts.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The contracts."""


@app.command("check")
def check(folder: Annotated[Path, typer.Argument(help="Holds avro/, topics/ and ids.json.")] = SCHEMAS, as_json: AsJson = False) -> None:
    """Check the contracts offline: FULL_TRANSITIVE compatibility, the lint, references and released files."""
    with reported():
        faults = _faults(folder)
    if as_json:
        print_json({"faults": faults})
    else:
        for fault in faults:
            console().print(fault, markup=False)
        console().print(f"{len(faults)} faults" if faults else "the contracts hold")
    if faults:
        raise typer.Exit(1)


def _faults(folder: Path) -> list[str]:
    # Apache Avro's checker belongs to the test extra, and an operator's machine may be without it.
    try:
        contracts = importlib.import_module("services.console.contracts")
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"`schemas check` needs the package {error.name}: pip install 'groundswell[test]'") from error
    faults: list[str] = contracts.check(folder)
    return faults
