"""What differs between two definitions, file by file: every field of both, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

_RULES = ("rules", "tags")


def read_plain(path: Path) -> dict[str, Any]:
    """Return what a definition that was found valid says, as it stands there."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each thing that *new* says otherwise than *old*; none where they say the same."""
    before, after = ({str(scheme["name"]): scheme for scheme in one["schemes"]} for one in (old, new))
    found = list(_fields("", old, new, leave=("version", "schemes")))
    found += [f"{name}: goes away" for name in before if name not in after]
    for name, scheme in after.items():
        found += _scheme(name, before[name], scheme) if name in before else [f"{name}: a new scheme, with {', '.join(_segments(scheme))}"]
    if next(iter(before)) != next(iter(after)):
        found.append(f"the primary scheme is {next(iter(after))}, no longer {next(iter(before))}")
    elif list(before) != list(after) and sorted(before) == sorted(after):
        found.append(f"schemes come in another order: {', '.join(after)}")
    if found and old["version"] == new["version"]:
        found.append(f"version: still {new['version']!r}; records of before and after could not be told apart: give it another")
    if not found and old["version"] != new["version"]:
        found.append(f"nothing but the version: {old['version']!r} → {new['version']!r}")
    return found


def _scheme(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    yield from _fields(name, old, new, leave=("name", *_RULES))
    before, after = _rules(old), _rules(new)
    yield from (f"{where(name, key)}: goes away" for key in before if key not in after)
    for key, rule in after.items():
        if key in before:
            yield from _fields(where(name, key), before[key], rule, leave=("segment",))
        else:
            yield f"{where(name, key)}: new, when {rule.get('when')}"
    kept = [key for key in after if key in before]
    if kept != [key for key in before if key in after]:
        yield f"{name}: the first that matches wins, and now that is in the order {', '.join(key[0] for key in after)}"
    if _kind(old) != _kind(new):
        yield f"{name}: {_kind(old)} → {_kind(new)}"


def where(scheme: str, key: tuple[str, int]) -> str:
    """Return how sentences name a rule; the second one of a segment has its number with it."""
    return f"{scheme}.{key[0]}" + (f" ({key[1]})" if key[1] > 1 else "")


def _rules(scheme: Mapping[str, Any]) -> dict[tuple[str, int], Mapping[str, Any]]:
    """Return the rules of a scheme by segment, and which one of that segment it is."""
    seen = Counter[str]()
    found: dict[tuple[str, int], Mapping[str, Any]] = {}
    for rule in scheme.get(_kind(scheme), ()):
        seen[str(rule["segment"])] += 1
        found[str(rule["segment"]), seen[str(rule["segment"])]] = rule
    return found


def _kind(scheme: Mapping[str, Any]) -> str:
    return next((kind for kind in _RULES if kind in scheme), _RULES[0])


def _segments(scheme: Mapping[str, Any]) -> list[str]:
    default = scheme.get("default")
    named = default.get("segment") if isinstance(default, Mapping) else default
    return [*(key[0] for key in _rules(scheme)), *([str(named)] if named else [])]


def _fields(place: str, old: Mapping[str, Any], new: Mapping[str, Any], leave: Sequence[str]) -> Iterator[str]:
    for name in dict.fromkeys([*old, *new]):
        if name not in leave:
            yield from _values(f"{place}.{name}" if place else str(name), old.get(name), new.get(name))


def _values(path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _fields(path, old, new, leave=())
    elif type(old) is not type(new) or old != new:
        yield f"{path}: {_told(old)} → {_told(new)}"


def _told(value: Any) -> str:
    return "nothing" if value is None else str(value)
