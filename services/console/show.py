"""Tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table

_PLAIN_WIDTH = 160

Columns: TypeAlias = Sequence[str | tuple[str, str]]
"""A column is its name, or its name and ``right`` for numbers."""


def console() -> Console:
    """Return the console of standard output; where that is no terminal, tables may be wide."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)


def print_json(value: Any) -> None:
    """Print *value* as one JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))  # noqa: T201 - a command prints


def table(title: str, columns: Columns, rows: Sequence[Sequence[object]]) -> Table:
    """Return a table."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        name, justify = (column, "left") if isinstance(column, str) else column
        made.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def fields(title: str, values: Mapping[str, object]) -> Table:
    """Return a two-column table of *values*, absent ones left out."""
    made = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    for name, value in values.items():
        if value is not None:
            made.add_row(name, _cell(value))
    return made


def short(identifier: str | None) -> str:
    """Return what is enough of an id to name it in a command: the first eight characters of its digest."""
    return "" if identifier is None else identifier.rpartition(":")[2][:8]


def clipped(text: str, width: int = 70) -> str:
    """Return *text* on one line, cut to *width* characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text.replace("[", "\\[")
