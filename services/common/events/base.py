"""What all events have in common."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol


class Event(Protocol):
    """A published value: a frozen dataclass whose fields are its Avro record's."""

    TOPIC: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def key(self) -> str:
        """Return the record key: the identity that a compacted topic keeps the last value of."""

    def partition_key(self) -> str:
        """Return the key whose murmur2 hash chooses the partition: records that share it keep their order."""
