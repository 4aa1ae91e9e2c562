"""``notifications.yaml``: what is told, and to whom. Where things are comes from the environment instead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from services.common.errors import ConfigurationError
from services.common.ids import is_slug


def _slug(name: str) -> str:
    if not is_slug(name):
        raise ValueError("expected 1-63 of a-z 0-9 . _ -, a letter or digit first")
    return name


class Notifications(BaseModel):
    """The content of ``notifications.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(ge=1)
    product: str = Field(min_length=1, max_length=80)
    """As people know it; templates get it as ``product``."""
    statuses: list[Annotated[str, AfterValidator(_slug)]] = Field(default_factory=lambda: ["shipped"], min_length=1)
    """The statuses that people are told of."""
    tell_again: bool = False
    """Whether those who were told of an idea hear of its further releases too."""
    late_contact_days: float = Field(default=30.0, ge=0)
    """An alert that reached nobody is sent after all when the person's address becomes known within so many days."""


def load_notifications(path: Path) -> Notifications:
    """Return the definition in *path*.

    Raises:
        ConfigurationError: Names file, line and field.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; GROUNDSWELL_NOTIFICATIONS_FILE names it") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 1 if mark is None else mark.line + 1
        raise ConfigurationError(f"{path}:{line}: not YAML: {getattr(error, 'problem', None) or error}") from error
    try:
        return Notifications.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        place = fault["loc"]
        raise ConfigurationError(f"{path}:{_line_of(tree, place)}: {'.'.join(map(str, place)) or 'file'}: {fault['msg']}") from error


def _line_of(tree: Any, place: tuple[int | str, ...]) -> int:
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
