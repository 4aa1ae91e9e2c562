"""The functions of JMESPath that mappings call most, without the library's look at signatures where the types are plainly right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jmespath.functions import Functions

call_function: Callable[[str, list[Any]], Any] = Functions().call_function
"""Takes a name and the arguments; raises one of ``jmespath.exceptions`` where they do not fit."""

_TYPES = {str: "string", bool: "boolean", list: "array", dict: "object", float: "number", int: "number", type(None): "null"}


def _to_string(value: Any) -> Any:
    kind = type(value)
    return value if kind is str else str(value) if kind is int else call_function("to_string", [value])


def _type(value: Any) -> Any:
    return _TYPES.get(type(value)) or call_function("type", [value])


def _contains(subject: Any, sought: Any) -> Any:
    return sought in subject if type(subject) is list else call_function("contains", [subject, sought])


def _starts_with(text: Any, start: Any) -> Any:
    if type(text) is str and type(start) is str:
        return text.startswith(start)
    return call_function("starts_with", [text, start])


def _join(separator: Any, parts: Any) -> Any:
    if type(separator) is str and type(parts) is list and all(type(part) is str for part in parts):
        return separator.join(parts)
    return call_function("join", [separator, parts])


UNARY: Mapping[str, Callable[[Any], Any]] = {"to_string": _to_string, "type": _type}
BINARY: Mapping[str, Callable[[Any, Any], Any]] = {"contains": _contains, "starts_with": _starts_with, "join": _join}
"""By name, each with ``call_function``'s answers and errors."""
