"""A declarative mapping: JMESPath expressions that find the canonical fields in any JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    def reader(self) -> Search:
        """Return what finds the canonical value in a record; moments are microseconds.

        It raises ``MalformedRecord`` where the expression fails on the record, or what it finds is not what the options ask for.
        """
        search, constant = self.search, self.constant
        if search is None:
            return lambda _: constant
        shape = self._moment if self.timestamp is not None else self._text if self.steps or self.prefix else None

        def read(body: Any) -> Any:
            try:
                value = search(body)
            except Exception as error:  # noqa: BLE001 - part of the decoder: an expression of the operator's meets bytes of anyone's
                raise fault("mapping_failed", f"{self.name}: {type(error).__name__} in the expression {self.expression}") from None
            return value if shape is None or value is None or value == "" else shape(value)

        return read

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

    def reader(self) -> Callable[[Any], dict[str, Any]]:
        """Return what makes the canonical form of a record's body; absent fields are None. It raises as those of the fields do."""
        of_record, of_author, of_agent = (
            [(field.name, field.reader()) for field in part] for part in (self.fields, self.author, self.agent)
        )

        def canonical(body: Any) -> dict[str, Any]:
            found = {name: read(body) for name, read in of_record}
            found["author"] = {name: read(body) for name, read in of_author}
            if of_agent:
                found["agent"] = {name: read(body) for name, read in of_agent}
            return found

        return canonical
