"""Topics as data: ``schemas/topics/*.yaml``, one file a topic."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.common.errors import ConfigurationError
from services.common.paths import SCHEMAS


class TopicContract(BaseModel):
    """What a topic promises to whoever reads or writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str
    owner: str
    """The service that answers for it."""
    about: str
    producers: list[str]
    consumers: list[str]
    partition_by: Literal["board", "person", "account", "producer", "source"]
    key: str
    value: Literal["avro", "raw"]
    """``avro``: framed, by the subject ``<topic>-value``. ``raw``: whatever was there, untouched."""
    versions: list[int] = Field(default_factory=list)
    """The released schema versions, of an Avro topic."""
    accepts: list[int] = Field(default_factory=list)
    """Of a raw topic: the versions of ``<topic>-value`` whose framed Avro is taken beside other forms."""
    internal: bool = False
    partitions: int = Field(ge=1)
    cleanup: Literal["compact", "delete"]
    retention_hours: int | None = Field(default=None, ge=1)
    """How long records are kept; absent means for ever. Compacted topics keep tombstones for so long."""
    max_compaction_lag_hours: int | None = Field(default=None, ge=1)
    max_message_bytes: int = Field(default=1024 * 1024, ge=1024)

    def config(self) -> dict[str, str]:
        """Return the broker's own settings for this topic."""
        config = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.max_message_bytes)}
        hours = 3_600_000
        if self.cleanup == "compact":
            config["delete.retention.ms"] = str((self.retention_hours or 168) * hours)
            config["max.compaction.lag.ms"] = str((self.max_compaction_lag_hours or 24) * hours)
        else:
            config["retention.ms"] = "-1" if self.retention_hours is None else str(self.retention_hours * hours)
        return config


def load_topics(folder: Path = SCHEMAS / "topics") -> dict[str, TopicContract]:
    """Return every topic's contract by name.

    Raises:
        ConfigurationError: Names the file and the field.
    """
    topics: dict[str, TopicContract] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            contract = TopicContract.model_validate(yaml.safe_load(path.read_text()))
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{path}: {error}") from error
        except ValidationError as error:
            fault = error.errors()[0]
            raise ConfigurationError(f"{path}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
        if path.stem != contract.topic:
            raise ConfigurationError(f"{path}: topic: the file of {contract.topic} must be named {contract.topic}.yaml")
        topics[contract.topic] = contract
    return topics
