"""``boards.yaml``: what boards may do by themselves. Where things are comes from the environment instead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from services.common.errors import ConfigurationError
from services.common.ids import board_key, is_slug
from services.dedup.domain.policy import BALANCED, Policy, PolicyOf


def _slug(name: str) -> str:
    if not is_slug(name):
        raise ValueError("expected 1-63 of a-z 0-9 . _ -, a letter or digit first")
    return name


class _Wishes(BaseModel):
    """What may be said of all boards, or of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: float | None = Field(default=None, ge=0.5, le=1.0)
    """See ``Policy``."""
    auto_merge: bool | None = None


class _OneBoard(_Wishes):
    workspace: Annotated[str, AfterValidator(_slug)]
    board: Annotated[str, AfterValidator(_slug)]


class Boards(BaseModel):
    """The content of ``boards.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(ge=1)
    default: _Wishes = Field(default_factory=_Wishes)
    """For boards that are not listed, and for what a listed one leaves open."""
    boards: list[_OneBoard] = Field(default_factory=list)

    def policies(self) -> PolicyOf:
        """Return the policy of each board; of a board that is listed twice the last entry holds."""
        listed = {board_key(entry.workspace, entry.board): _policy(entry, self.default) for entry in self.boards}
        default = _policy(self.default, self.default)
        return lambda workspace, board: listed.get(board_key(workspace, board), default)


def _policy(wishes: _Wishes, default: _Wishes) -> Policy:
    precision = default.precision if wishes.precision is None else wishes.precision
    auto_merge = default.auto_merge if wishes.auto_merge is None else wishes.auto_merge
    return Policy(precision, BALANCED.auto_merge if auto_merge is None else auto_merge)


def load_boards(path: Path) -> Boards:
    """Return the definition in *path*.

    Raises:
        ConfigurationError: Names file, line and field.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; GROUNDSWELL_BOARDS_FILE names it") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 1 if mark is None else mark.line + 1
        raise ConfigurationError(f"{path}:{line}: not YAML: {getattr(error, 'problem', None) or error}") from error
    try:
        return Boards.model_validate(content)
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
