"""A declarative mapping: JMESPath expressions that find the canonical fields in any JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.ingest.domain.faults import fault
from services.ingest.domain.moments import TimestampFormat, expected, parse_moment
from services.ingest.domain.paths import Search
from services.ingest.domain.texts import STEPS, Step

STEPS_LIMIT = 200_000
"""Characters that steps are taken on: a worker must not spend seconds on one hostile mail."""


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """How one canonical field is found: by *search*, or always *constant*."""

    name: str
    expression: str | None = None
    search: Search | None = None
    constant: Any = None
    prefix: str = ""
    timestamp: TimestampFormat | None = None
    steps: tuple[Step, ...] = ()

    def read(self, body: Any) -> Any:
        """Return the canonical value; moments are microseconds.

        Raises:
            MalformedRecord: The expression fails on this record, or what it finds is not what the options ask for.
        """
        if self.search is None:
            return self.constant
        try:
            value = self.search(body)
        except Exception as error:  # noqa: BLE001 - part of the decoder: an expression of the operator's meets bytes of anyone's
            raise fault("mapping_failed", f"{self.name}: {type(error).__name__} in the expression {self.expression}") from None
        if value is None or value == "":
            return value
        if self.timestamp is not None:
            return self._moment(value)
        return self._text(value) if self.steps or self.prefix else value

    def _moment(self, value: Any) -> int:
        form = self.timestamp or "iso"
        found = parse_moment(value, form)
        if found is None:
            raise fault("bad_timestamp", f"{self.name}: expected {expected(form)}, at {self.expression}")
        return found

    def _text(self, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise fault("wrong_type", f"{self.name}: expected text at {self.expression}")
        if self.steps and len(value) > STEPS_LIMIT:
            raise fault("text_too_long", f"{self.name}: {len(value)} characters at {self.expression}; steps take {STEPS_LIMIT}")
        for step in self.steps:
            value = STEPS[step](value)
        return f"{self.prefix}{value}"


@dataclass(frozen=True, slots=True)
class RecordMapping:
    """A channel's whole mapping."""

    fields: Sequence[FieldMapping]
    author: Sequence[FieldMapping]
    agent: Sequence[FieldMapping] = ()

    def canonical(self, body: Any) -> dict[str, Any]:
        """Return the canonical form of *body*; absent fields are None.

        Raises:
            MalformedRecord: As ``FieldMapping.read``.
        """
        canonical = {field.name: field.read(body) for field in self.fields}
        canonical["author"] = {field.name: field.read(body) for field in self.author}
        if self.agent:
            canonical["agent"] = {field.name: field.read(body) for field in self.agent}
        return canonical
