"""Definition files: YAML that is checked against a model, and whose faults are told by file, line and field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from services.common.errors import ConfigurationError

M = TypeVar("M", bound=BaseModel)


def read_definition(path: Path, model: type[M], variable: str) -> M:
    """Return what *path*, which the environment's *variable* names, defines.

    Raises:
        ConfigurationError: Names the file, and line and field of everything that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; {variable} names it") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 1 if mark is None else mark.line + 1
        raise ConfigurationError(f"{path}:{line}: not YAML: {getattr(error, 'problem', None) or error}") from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentence(path, tree, fault) for fault in error.errors())) from None


def _sentence(path: Path, tree: Any, fault: Mapping[str, Any]) -> str:
    place = fault["loc"]
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{path}:{_line_of(tree, place)}: {'.'.join(map(str, place)) or 'file'}: {message}"


def _line_of(tree: Any, place: Sequence[str | int]) -> int:
    """Return the line (1 first) of *place*, or of the nearest node above it that exists."""
    line: int = 1 if tree is None else tree.start_mark.line + 1
    for step in place:
        found = None
        if isinstance(tree, yaml.MappingNode):
            found = next(((key, value) for key, value in tree.value if key.value == str(step)), None)
        elif isinstance(tree, yaml.SequenceNode) and isinstance(step, int) and step < len(tree.value):
            found = (tree.value[step], tree.value[step])
        if found is None:
            break
        line, tree = found[0].start_mark.line + 1, found[1]
    return line
