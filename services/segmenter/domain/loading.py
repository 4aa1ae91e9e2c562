"""``segments.yaml`` → definition. Whatever is wrong with it is said with file, line, scheme and rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.common.errors import ConfigurationError
from services.segmenter.domain.asked import Asks, AsksIdea
from services.segmenter.domain.compiling import compiled
from services.segmenter.domain.definition import UNKNOWN, Condition, Definition, Rule, Scheme
from services.segmenter.domain.format import RfmSpec, RuleSpec, SchemeSpec, SegmentsFile
from services.segmenter.domain.helpers import Settings, Terms
from services.segmenter.domain.occurrences import Window
from services.segmenter.domain.recency import DAY, NO_RECENCY
from services.segmenter.domain.tokens import tokens_of
from services.segmenter.domain.traits import Declared, Scope, Traits, TraitType
from services.segmenter.domain.worth import Clv, Grid
from services.segmenter.domain.yaml_places import Places, Where

_PERSONAL = frozenset({"person", "activity", "answers", "answer", "inferred", "asked", "rfm"})
"""Names that a scheme of accounts may not use: they differ between the people of an account."""
YES, NO = "yes", "no"
_MOST_TAGS = 500


def load_definition(path: Path) -> Definition:
    """Read and compile the definition in *path*.

    Raises:
        ConfigurationError: Names file, line, scheme and rule of everything that is wrong, a line each, and says what to do.
    """
    return compiled_definition(path, definition_text(path))


def definition_text(path: Path) -> str:
    """Return what stands in *path*.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; set GROUNDSWELL_SEGMENTS_FILE") from error


def compiled_definition(path: Path, text: str) -> Definition:
    """Compile the definition *text*, which stands in *path*.

    Raises:
        ConfigurationError: As ``load_definition``.
    """
    places = Places.of(path, text)
    places.raw = _with_default_mappings(places.raw)
    try:
        file = SegmentsFile.model_validate(places.raw)
    except ValidationError as error:
        for fault in error.errors():
            places.fault(fault["loc"], str(fault["msg"]).removeprefix("Value error, "))
        places.judged()
        raise AssertionError from error  # a validation error has at least one fault
    return _Compiler(file, places).definition()


def _with_default_mappings(raw: Any) -> Any:
    """Accept ``default: name`` for ``default: {segment: name}``."""
    schemes = raw.get("schemes") if isinstance(raw, dict) else None
    for scheme in schemes if isinstance(schemes, list) else ():
        if isinstance(scheme, dict) and isinstance(scheme.get("default"), str):
            scheme["default"] = {"segment": scheme["default"]}
    return raw


class _Compiler:
    def __init__(self, file: SegmentsFile, places: Places) -> None:
        self._file = file
        self._places = places
        clv, answers = file.clv, file.answers
        self._terms = Terms(
            Settings(
                lists=_expanded(file.lists, places),
                grid=None if file.rfm is None else _grid(file.rfm),
                clv=None if clv is None else Clv(clv.margin, clv.retention, clv.discount, clv.activity or (), Window(clv.window)),
                answer_days=answers.expire,
                answer_confidence=answers.confidence,
            )
        )
        self._conditions: list[Condition] = []
        self._traits = _declared(file, places)

    def definition(self) -> Definition:
        """Return the definition.

        Raises:
            ConfigurationError: Something is wrong.
        """
        schemes: list[Scheme] = []
        for number, spec in enumerate(self._file.schemes):
            if spec.name in {other.name for other in self._file.schemes[:number]}:
                self._places.fault(("schemes", number, "name"), "a second scheme of this name; rename one")
            schemes += self._tags(spec, ("schemes", number)) if spec.tags is not None else [self._scheme(spec, ("schemes", number))]
        if len(schemes) > _MOST_TAGS:
            self._places.fault(("schemes",), f"{len(schemes)} schemes and tags; at most {_MOST_TAGS} are evaluated")
        self._places.judged()
        recency = NO_RECENCY
        for condition in self._conditions:
            recency = recency.plus(condition.recency)
        return Definition(
            version=self._file.version,
            schemes=tuple(schemes),
            watches=self._terms.watches(),
            answer_days=self._file.answers.expire,
            answer_confidence=self._file.answers.confidence,
            recency=recency,
            asks=any(isinstance(watch.term, Asks | AsksIdea) for watch in self._terms.watches()),
            rules=_rules_of(self._file),
            uses=frozenset(name for condition in self._conditions for name in condition.program.variables()),
            traits=self._traits,
        )

    def _scheme(self, spec: SchemeSpec, where: Where) -> Scheme:
        assert spec.rules is not None, "checked when the file was read"
        assert spec.default is not None, "checked when the file was read"
        self._refuse_reserved(spec.default.segment, (*where, "default"))
        names = {rule.segment for rule in spec.rules} | {spec.default.segment}
        seen: dict[str, int] = {}
        for number, rule in enumerate(spec.rules):
            place = (*where, "rules", number)
            if rule.segment in seen:
                fault = f"a second rule for this segment, the first is in line {seen[rule.segment]}; join their conditions with ||"
                self._places.fault((*place, "segment"), fault)
            seen.setdefault(rule.segment, self._places.line((*place, "segment")))
            self._refuse_reserved(rule.segment, (*place, "segment"))
            if strange := sorted(set(rule.after) - names):
                self._places.fault(
                    (*place, "after"), f"no segment of this scheme is called {strange[0]!r}; there are {', '.join(sorted(names))}"
                )
        self._refuse_overlap(spec.rules, (*where, "rules"))
        rules = tuple(self._rules(spec, spec.rules, (*where, "rules")))
        return Scheme(spec.name, rules, spec.default.segment, spec.default.texts(), spec.scope)

    def _refuse_overlap(self, rules: Sequence[RuleSpec], where: Where) -> None:
        """Refuse a rule whose people all belong to an earlier one already: nobody would ever be in its segment."""
        earlier: dict[str, RuleSpec] = {}
        for number, rule in enumerate(rules):
            said = _without_space(rule.when)
            taken = earlier.get("true") or earlier.get(said)
            if taken is not None:
                line = self._places.line((*where, rules.index(taken), "when"))
                fault = f"everybody whom this takes is in {taken.segment!r} before (line {line}), so nobody would be in {rule.segment!r}"
                self._places.fault(
                    (*where, number, "when"), f"{fault}; put the narrower rule first, or make both `tags` if they may overlap"
                )
            if not rule.after:  # an earlier one that only some can come to leaves the others
                earlier.setdefault(said, rule)

    def _tags(self, spec: SchemeSpec, where: Where) -> Iterator[Scheme]:
        """Yield a scheme of yes and no for each tag: so tags overlap, and everything else is as with any scheme."""
        tags = spec.tags or ()
        for number, tag in enumerate(tags):
            if tag.segment in {other.segment for other in tags[:number]}:
                self._places.fault((*where, "tags", number, "segment"), "a second tag of this name; join their conditions with ||")
            if tag.after:
                self._places.fault((*where, "tags", number, "after"), "a tag follows no other segment; use `rules`")
        for tag, rule in zip(tags, self._rules(spec, tags, (*where, "tags")), strict=True):
            only = Rule(YES, rule.when, rule.texts, rule.stay, frozenset(), rule.dwell_days)
            yield Scheme(f"{spec.name}.{tag.segment}", (only,), NO, rule.texts, spec.scope, spec.name)

    def _rules(self, scheme: SchemeSpec, specs: Sequence[RuleSpec], where: Where) -> Iterator[Rule]:
        for number, spec in enumerate(specs):
            when = self._condition(spec.when, scheme, (*where, number, "when"))
            stay = None if spec.stay is None else self._condition(spec.stay, scheme, (*where, number, "stay"))
            yield Rule(spec.segment, when, spec.texts(), stay, frozenset(spec.after), spec.dwell or scheme.dwell or 0)

    def _condition(self, source: str, scheme: SchemeSpec, where: Where) -> Condition:
        try:
            if scheme.scope == "account":
                _refuse_personal(source)
            self._traits.refuse(source)
            condition = compiled(source, self._terms, self._traits)
        except ValueError as error:
            self._places.fault(where, str(error))
            return Condition(source, None)
        self._conditions.append(condition)
        return condition

    def _refuse_reserved(self, segment: str, where: Where) -> None:
        if segment == UNKNOWN:
            self._places.fault(where, f"{UNKNOWN!r} is kept for people without a profile; choose another name")


def _without_space(source: str) -> str:
    return " ".join(token.text for token in tokens_of(source))


def _rules_of(file: SegmentsFile) -> str:
    """Return all of *file* that decides: not its version, nor what segments are for, nor of which type traits should be."""
    texts = {"owner", "goal", "action"}
    schemes: Any = {"__all__": {"rules": {"__all__": texts}, "tags": {"__all__": texts}, "default": texts}}
    return file.model_dump_json(exclude={"version": True, "traits": True, "schemes": schemes})


def _declared(file: SegmentsFile, places: Places) -> Traits:
    given: list[tuple[Scope, Mapping[str, TraitType] | None]] = [("person", file.traits.person), ("account", file.traits.account)]
    return Traits(
        {
            scope: {name: Declared(kind, places.line(("traits", scope, name))) for name, kind in known.items()}
            for scope, known in given
            if known is not None
        },
        str(places.path),
    )


def _refuse_personal(source: str) -> None:
    tokens = tokens_of(source)
    for place, token in enumerate(tokens):
        is_member = place > 0 and tokens[place - 1].text == "."
        if token.kind == "name" and token.text in _PERSONAL and not is_member:
            raise ValueError(f"{token.text} differs between the people of an account; a scheme of `scope: account` may use account alone")


def _grid(spec: RfmSpec) -> Grid:
    return Grid(
        names=spec.activity,
        window=Window(spec.window),
        recency=tuple(round(days * DAY) for days in spec.recency),
        frequency=spec.frequency,
        monetary=spec.monetary,
        least_count=spec.minimum.count,
        least_days=spec.minimum.history or 0,
    )


def _expanded(lists: Mapping[str, tuple[str, ...]], places: Places) -> dict[str, tuple[str, ...]]:
    """Return *lists* with each entry ``@other`` replaced by that list's entries."""
    return {name: tuple(dict.fromkeys(_entries(name, lists, places, (name,)))) for name in lists}


def _entries(name: str, lists: Mapping[str, tuple[str, ...]], places: Places, path: tuple[str, ...]) -> Iterator[str]:
    for number, entry in enumerate(lists[name]):
        inner = entry.removeprefix("@")
        if inner == entry:
            yield entry
        elif inner not in lists:
            places.fault(("lists", name, number), f"no list is called {inner!r}; there are {', '.join(sorted(lists))}")
        elif inner in path:
            places.fault(("lists", name, number), f"a list that contains itself: {' > '.join((*path, inner))}; take one entry out")
        else:
            yield from _entries(inner, lists, places, (*path, inner))
