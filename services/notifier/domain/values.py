"""Frozen values made and changed at a fifth of the cost of their ``__init__``, for what is done several times an alert.

A frozen dataclass sets every field through ``object.__setattr__``, which looks the slot up by name; ``dataclasses.replace`` looks at
every field's declaration besides. The slots' own descriptors, bound once a class, do neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


def altered(value: T, **changes: Any) -> T:
    """Return *value*, a frozen dataclass with slots and without a ``__post_init__``, with *changes* of its fields."""
    kind = type(value)
    made = kind.__new__(kind)
    slots = _slots(kind)
    for _, get, put in slots.values():
        put(made, get(value))
    for name, change in changes.items():
        slots[name][2](made, change)
    return made


def made_of(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return the *kind* (as in ``altered``) whose fields *values* holds by name; those that are left out have their defaults."""
    made = kind.__new__(kind)
    for name, _, put in _slots(kind).values():
        put(made, values[name] if name in values else _defaults(kind)[name])
    return made


def named(value: Any) -> dict[str, Any]:
    """Return the fields of *value* (as in ``altered``), all plain, by name: what ``asdict`` copies deeply."""
    return {name: get(value) for name, get, _ in _slots(type(value)).values()}


_Slot: TypeAlias = tuple[str, Callable[[Any], Any], Callable[[Any, Any], None]]
_known: dict[type[Any], tuple[Mapping[str, _Slot], Mapping[str, Any]]] = {}


def _slots(kind: type[Any]) -> Mapping[str, _Slot]:
    return (_known.get(kind) or _learnt(kind))[0]


def _defaults(kind: type[Any]) -> Mapping[str, Any]:
    return (_known.get(kind) or _learnt(kind))[1]


def _learnt(kind: type[Any]) -> tuple[Mapping[str, _Slot], Mapping[str, Any]]:
    slots = ((field.name, kind.__dict__[field.name]) for field in fields(kind))
    defaults = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    _known[kind] = {name: (name, slot.__get__, slot.__set__) for name, slot in slots}, defaults
    return _known[kind]
