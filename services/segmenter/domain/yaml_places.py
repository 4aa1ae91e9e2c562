"""A YAML document as plain values, with the line of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import yaml

from services.common.errors import ConfigurationError

Where = tuple[str | int, ...]
"""The path of a value: keys and indices."""

_DEPTH = 12
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where PyYAML was built with it: a tenth of the time."""


class Places:
    """Remembers the line of every value of a YAML document, and gathers what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Where, int] = {}
        self.raw: Any = None
        self.faults: list[str] = []

    @classmethod
    def of(cls, path: Path, text: str) -> Places:
        """Return the document *text*, which stands in *path*.

        Raises:
            ConfigurationError: It is no YAML, or empty.
        """
        try:
            node = _composed(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = 1 if mark is None else mark.line + 1
            raise ConfigurationError(f"{path}:{line}: no valid YAML: {getattr(error, 'problem', None) or error}") from error
        if node is None:
            raise ConfigurationError(f"{path}:1: is empty; expected version and schemes")
        places = cls(path)
        places.raw = places._value(node, ())
        return places

    def line(self, where: Where) -> int:
        """Return the line of *where*, or of the nearest thing around it."""
        while where not in self.lines:
            where = where[:-1]
        return self.lines[where]

    def fault(self, where: Where, what: str) -> None:
        """Note that *what* is wrong at *where*."""
        self.faults.append(self._sentence(self.line(where), where, what))

    def judged(self) -> None:
        """Raise the ConfigurationError that names file, line and field of everything that was found wrong; nothing if nothing was."""
        if self.faults:
            raise ConfigurationError("\n".join(self.faults))

    def _sentence(self, line: int, where: Where, what: str) -> str:
        field = ".".join(str(part) for part in self._named(where))
        return f"{self.path}:{line}: {field + ': ' if field else ''}{what}"

    def _refuse(self, line: int, where: Where, what: str) -> NoReturn:
        raise ConfigurationError(self._sentence(line, where, what))

    def _named(self, where: Where) -> Where:
        """Return *where* with the names of scheme and segment in place of their numbers."""
        raw, shown = self.raw, []
        for part in where:
            try:
                raw = raw[part]
            except (KeyError, IndexError, TypeError):
                raw = None
            name = (raw.get("name") or raw.get("segment")) if isinstance(part, int) and isinstance(raw, dict) else None
            shown.append(str(name) if name else part)
        return tuple(shown)

    def _value(self, node: yaml.Node, where: Where) -> Any:
        """Return the plain value of *node*, scalars as texts; a key that stands twice is refused."""
        self.lines[where] = node.start_mark.line + 1
        if len(where) > _DEPTH:
            self._refuse(node.start_mark.line + 1, where[:3], "nested too deeply, or an alias that contains itself")
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key, child in node.value:
                name = str(key.value)
                if name in found:
                    self._refuse(key.start_mark.line + 1, where, f"{name!r} stands here a second time")
                found[name] = self._value(child, (*where, name))
                self.lines[*where, name] = key.start_mark.line + 1
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*where, index)) for index, child in enumerate(node.value)]
        return None if node.tag == "tag:yaml.org,2002:null" else str(node.value)


def _composed(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)  # says better what is wrong, and where
