"""``boards.yaml``: what boards may do by themselves. Where things are comes from the environment instead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.common.definition import read_definition
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
        ConfigurationError: Names the file, and line and field of everything that is wrong.
    """
    return read_definition(path, Boards, "GROUNDSWELL_BOARDS_FILE")
