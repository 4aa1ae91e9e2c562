"""``notifications.yaml``: what is told, and to whom. Where things are comes from the environment instead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.common.definition import read_definition
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
        ConfigurationError: Names the file, and line and field of everything that is wrong.
    """
    return read_definition(path, Notifications, "GROUNDSWELL_NOTIFICATIONS_FILE")
