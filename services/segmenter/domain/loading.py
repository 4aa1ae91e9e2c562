"""``segments.yaml`` → definition. Whatever is wrong with it is said with file, line, scheme and rule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import cel
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.common.errors import ConfigurationError
from services.segmenter.domain.definition import UNKNOWN, Definition, Rule, Scheme, Texts
from services.segmenter.domain.recency import Recency

_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_DEPTH = 10
_VARIABLES = frozenset({"person", "account", "activity", "answers"})
_FUNCTIONS = frozenset(
    {
        "size", "contains", "startsWith", "endsWith", "matches", "string", "int", "uint", "double", "bool", "bytes", "type", "dyn",
        "min", "max", "timestamp", "duration", "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
        "getHours", "getMinutes", "getSeconds", "getMilliseconds",
    }
)  # fmt: skip
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*(\w+)\s*,")
_SAMPLE = {
    "person": {"name": "Ann", "language": "en", "traits": {}},
    "account": {"plan": "free", "mrr": 1.0, "employees": 1, "industry": "x", "region": "x", "traits": {}},
    "activity": {},
    "answers": {},
}


class _Named(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    segment: str = Field(pattern=_NAME)
    owner: str | None = None
    goal: str | None = None
    action: str | None = None

    def texts(self) -> Texts:
        """Return what the segment is for."""
        return Texts(self.owner, self.goal, self.action)


class _Rule(_Named):
    when: str = Field(min_length=1)


class _Scheme(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=_NAME)
    scope: str = Field(default="person", pattern="^person$")
    rules: list[_Rule] = Field(min_length=1, max_length=1000)
    default: _Named


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(min_length=1, max_length=100)
    schemes: list[_Scheme] = Field(min_length=1, max_length=200)


class _Places:
    """Remembers the line of every value of a YAML document, by its path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[tuple[str | int, ...], int] = {}

    def value(self, node: yaml.Node, where: tuple[str | int, ...] = ()) -> Any:
        """Return the plain value of *node*; a key that stands twice is refused."""
        self.lines[where] = node.start_mark.line + 1
        if len(where) > _DEPTH:
            self.refuse(node.start_mark.line + 1, where[:3], "nested too deeply, or an alias that contains itself")
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key, child in node.value:
                name = str(key.value)
                if name in found:
                    self.refuse(key.start_mark.line + 1, where, f"{name!r} stands here a second time")
                found[name] = self.value(child, (*where, name))
                self.lines[*where, name] = key.start_mark.line + 1
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*where, index)) for index, child in enumerate(node.value)]
        return None if node.tag == "tag:yaml.org,2002:null" else str(node.value)

    def line(self, where: tuple[str | int, ...]) -> int:
        """Return the line of *where*, or of the nearest thing around it."""
        while where not in self.lines:
            where = where[:-1]
        return self.lines[where]

    def refuse(self, line: int, where: tuple[str | int, ...], fault: str) -> NoReturn:
        """Raise the ConfigurationError that names file, line and place."""
        place = ".".join(str(part) for part in where)
        raise ConfigurationError(f"{self.path}:{line}: {place + ': ' if place else ''}{fault}")


def load_definition(path: Path) -> Definition:
    """Read and compile the definition in *path*.

    Raises:
        ConfigurationError: Names file, line, scheme and rule, and says what to do.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; set GROUNDSWELL_SEGMENTS_FILE") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 1 if mark is None else mark.line + 1
        raise ConfigurationError(f"{path}:{line}: no valid YAML: {getattr(error, 'problem', None) or error}") from error
    if node is None:
        raise ConfigurationError(f"{path}:1: is empty; expected version and schemes")
    places = _Places(path)
    raw = _with_default_mappings(places.value(node))
    try:
        file = _File.model_validate(raw)
    except ValidationError as error:
        fault = error.errors()[0]
        where = tuple(fault["loc"])
        places.refuse(places.line(where), _named(where, raw), fault["msg"])
    return _compiled(file, places)


def _with_default_mappings(raw: Any) -> Any:
    """Accept ``default: name`` for ``default: {segment: name}``."""
    schemes = raw.get("schemes") if isinstance(raw, dict) else None
    for scheme in schemes if isinstance(schemes, list) else ():
        if isinstance(scheme, dict) and isinstance(scheme.get("default"), str):
            scheme["default"] = {"segment": scheme["default"]}
    return raw


def _named(where: tuple[str | int, ...], raw: Any) -> tuple[str | int, ...]:
    """Return *where* with the names of scheme and segment in place of their numbers."""
    shown: list[str | int] = []
    for part in where:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            raw = None
        name = (raw.get("name") or raw.get("segment")) if isinstance(part, int) and isinstance(raw, dict) else None
        shown.append(str(name) if name else part)
    return tuple(shown)


def _compiled(file: _File, places: _Places) -> Definition:
    schemes: list[Scheme] = []
    for number, scheme in enumerate(file.schemes):
        where = ("schemes", number)
        if scheme.name in {known.name for known in schemes}:
            places.refuse(places.line((*where, "name")), ("schemes", scheme.name), "a second scheme of this name; rename one")
        _refuse_reserved(scheme.default.segment, places, (*where, "default"), scheme.name)
        rules = tuple(_rules(scheme, where, places))
        schemes.append(Scheme(scheme.name, rules, scheme.default.segment, scheme.default.texts()))
    return Definition(file.version, tuple(schemes))


def _rules(scheme: _Scheme, where: tuple[str | int, ...], places: _Places) -> Iterator[Rule]:
    seen: dict[str, int] = {}
    for number, rule in enumerate(scheme.rules):
        line = places.line((*where, "rules", number, "segment"))
        if rule.segment in seen:
            fault = f"a second rule for this segment, the first is in line {seen[rule.segment]}; join their conditions with ||"
            places.refuse(line, ("schemes", scheme.name, "rules", rule.segment), fault)
        seen[rule.segment] = line
        _refuse_reserved(rule.segment, places, (*where, "rules", number, "segment"), scheme.name)
        try:
            program = compiled_rule(rule.when)
        except ValueError as error:
            at = places.line((*where, "rules", number, "when"))
            places.refuse(at, ("schemes", scheme.name, "rules", rule.segment, "when"), str(error))
        yield Rule(rule.segment, rule.when, program, Recency.of(rule.when), rule.texts())


def _refuse_reserved(segment: str, places: _Places, where: tuple[str | int, ...], scheme: str) -> None:
    if segment == UNKNOWN:
        places.refuse(places.line(where), ("schemes", scheme), f"{UNKNOWN!r} is kept for people without a profile; choose another name")


def compiled_rule(source: str) -> Any:
    """Return the compiled program of a rule's condition.

    Raises:
        ValueError: It is no CEL, names something that does not exist, or can be seen not to be a yes-or-no question.
    """
    try:
        program = cel.compile(source)
    except ValueError as error:
        raise ValueError(" ".join(str(error).split())) from error
    for name in program.variables():
        if name not in _VARIABLES and name not in _BOUND.findall(source):
            raise ValueError(f"unknown variable {name!r}; there are {', '.join(sorted(_VARIABLES))}")
    for name in program.functions():
        if name[0].isalpha() and name not in _FUNCTIONS:
            raise ValueError(f"unknown function {name!r}")
    _refuse_unlike_bool(program, _SAMPLE)
    return program


def _refuse_unlike_bool(program: Any, sample: Mapping[str, Any]) -> None:
    try:
        answer = program.execute(dict(sample))
    except (KeyError, IndexError, ArithmeticError, TypeError, RuntimeError, ValueError):
        return  # it touches what the sample does not have: nothing can be said about it before real people come
    if not isinstance(answer, bool):
        raise ValueError(f"gives {type(answer).__name__}, not true or false; compare it with something")
