"""Reading one JSON object, field by field. Every fault names the field and what it should be, and never quotes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from services.common.clock import Micros
from services.common.ids import is_slug
from services.ingest.domain.faults import fault
from services.ingest.domain.moments import expected, is_moment, parse_moment

NAME_LIMIT = 512
"""Characters of an identifier, a name, a title."""
_LONGEST_DECIMAL = 40
_LONGEST_INTEGER = 2**63 - 1


class Fields:
    """An object from outside. With *micros*, moments are already integers: a framed Avro value, or what a mapping made.

    Every method raises ``MalformedRecord`` for a field that is not what it should be; the optional ones take absent and null alike.
    """

    __slots__ = ("_body", "_micros", "_path")

    def __init__(self, body: Mapping[str, Any], *, micros: bool = False, path: str = "") -> None:
        self._body = body
        self._micros = micros
        self._path = path

    def has(self, name: str) -> bool:
        """Tell whether *name* is there and not null."""
        return self._body.get(name) is not None

    def required(self, name: str, value: Any) -> Any:
        """Return *value*, what an optional method found for *name*, unless it is None."""
        if value is None:
            raise fault("missing_field", f"{self._path}{name}: required, and absent, null or empty")
        return value

    def text(self, name: str, *, limit: int = NAME_LIMIT) -> str | None:
        """Return the trimmed text of *name*; None where it is empty."""
        value = self._body.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._wrong(name, "text", value)
        value = value.strip()
        if len(value) > limit:
            raise fault("too_long", f"{self._path}{name}: {len(value)} characters; {limit} are allowed")
        return value or None

    def long_text(self, name: str, *, limit: int, may_be_empty: bool = False) -> str | None:
        """Return the trimmed text of *name*, which is what the record is about; too long is a fault, and empty, unless it may be."""
        value = self._body.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._wrong(name, "text", value)
        value = value.strip()
        if not value and may_be_empty:
            return None
        if not value:
            raise fault("text_empty", f"{self._path}{name}: nothing but white space")
        if len(value) > limit:
            raise fault("text_too_long", f"{self._path}{name}: {len(value)} characters; {limit} are allowed (GROUNDSWELL_TEXT_LIMIT)")
        return value

    def identifier(self, name: str) -> str | None:
        """Return *name* as text: foreign systems number things, or name them."""
        value = self._body.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.text(name)

    def slug(self, name: str) -> str | None:
        """Return the name of a workspace, board or channel."""
        value = self.text(name)
        if value is not None and not is_slug(value):
            raise fault("bad_slug", f"{self._path}{name}: expected 1-63 of a-z 0-9 . _ - with a letter or digit first")
        return value

    def moment(self, name: str) -> Micros | None:
        """Return a moment in microseconds."""
        value = self._body.get(name)
        if value is None:
            return None
        if self._micros and isinstance(value, int):
            if is_moment(value):
                return value
            raise fault("bad_timestamp", f"{self._path}{name}: expected microseconds between 1970 and 9999")
        found = parse_moment(value, "iso")
        if found is None:
            raise fault("bad_timestamp", f"{self._path}{name}: expected {expected('iso')}")
        return found

    def number(self, name: str) -> float | None:
        """Return a finite number."""
        value = self._body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number", value)
        number = float(value)
        if not math.isfinite(number):
            raise fault("out_of_range", f"{self._path}{name}: expected a finite number")
        return number

    def decimal(self, name: str) -> str | None:
        """Return a number as decimal text, as given where it was given as text."""
        if isinstance(self._body.get(name), str):
            return self.text(name, limit=_LONGEST_DECIMAL)
        number = self.number(name)
        return None if number is None else repr(number)

    def whole(self, name: str) -> int | None:
        """Return a whole number from 0 to 2⁶³-1."""
        value = self._body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, "a whole number", value)
        if not 0 <= value <= _LONGEST_INTEGER:
            raise fault("out_of_range", f"{self._path}{name}: expected 0 or more, within 63 bits")
        return value

    def flag(self, name: str) -> bool | None:
        """Return true or false."""
        value = self._body.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def inner(self, name: str) -> Fields | None:
        """Return the object *name*."""
        value = self._body.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self._wrong(name, "an object", value)
        return Fields(value, micros=self._micros, path=f"{self._path}{name}.")

    def listed(self, name: str) -> Sequence[Any]:
        """Return the list *name*; empty where it is absent."""
        value = self._body.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        return value

    def scalar(self, name: str) -> str | int | float | bool | None:
        """Return a text, a number, true or false."""
        value = self._body.get(name)
        if isinstance(value, str):
            return self.text(name)
        if value is None or isinstance(value, bool | int | float):
            return value
        raise self._wrong(name, "text, a number, true or false", value)

    def scalars(self, name: str) -> dict[str, str | int | float | bool | None] | None:
        """Return an object whose values are all scalars."""
        value = self._body.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self._wrong(name, "an object", value)
        if not all(scalar is None or isinstance(scalar, str | int | float | bool) for scalar in value.values()):
            raise fault("wrong_type", f"{self._path}{name}: its values must be text, numbers, true, false or null; flatten the rest")
        return dict(value)

    def _wrong(self, name: str, wanted: str, found: Any) -> Exception:
        return fault("wrong_type", f"{self._path}{name}: expected {wanted}, found {type_name(found)}")


def type_name(value: Any) -> str:
    """Return what JSON calls the type of *value*."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case Mapping():
            return "an object"
        case _:
            return "a list"
