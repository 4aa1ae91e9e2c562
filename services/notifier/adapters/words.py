"""Which template says it, and in what frame: sandboxed, HTML escaped, nothing undefined."""

from __future__ import annotations

import re
import traceback
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.common.errors import ConfigurationError
from services.common.paths import EXAMPLES
from services.notifier.ports import Unrenderable

PARTS = ("subject.txt", "txt", "html")
DIGEST = "digest"
"""The templates that tell of several alerts at once."""
_FALLBACK = "default"
_SHIPPED_WITH_US = EXAMPLES / "templates"
"""Where the digest's templates are taken from if the folder has none: any person may ask for one."""
_TEMPLATE_FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What a template's own expressions can raise."""
_NAME = re.compile(
    r"(?P<kind>[a-z0-9._-]+?)(?:@(?P<segment>[a-z0-9._-]+=[a-z0-9._-]+?))?(?:\.(?P<language>[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*))?"
    r"\.(?P<part>subject\.txt|txt|html)"
)


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom something is written."""

    workspace: str
    language: str | None = None
    segments: Collection[str] = ()
    """``scheme=segment``, in the order in which they are asked for."""


@dataclass(frozen=True, slots=True)
class _Variation:
    """For whom a template is: None means for everybody."""

    kind: str
    workspace: str | None = None
    segment: str | None = None
    language: str | None = None


class Words:
    """The templates of a folder: ``STATUS.subject.txt``, ``STATUS.txt``, ``STATUS.html``, or ``default.*`` where a status has none.

    ``STATUS.de.txt`` is for people whose language is German (or any German, ``de-AT``), ``STATUS@plan=enterprise.txt`` for those in
    that segment, ``STATUS@plan=enterprise.de.txt`` for both; a sub-folder that is called like a workspace holds what is for that one
    alone. The workspace weighs most, then the status, the segment, the language. What is for some only has all three parts.
    """

    def __init__(self, folder: Path, statuses: Collection[str], samples: Mapping[str, Collection[Mapping[str, Any]]]) -> None:
        """Read every template of *folder* and try it on the *samples* of its kind, or on all of them.

        Raises:
            ConfigurationError: Names the template's file and line, or the file that is missing.
        """
        self._folder = folder
        self._environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader([folder, _SHIPPED_WITH_US]),
            autoescape=select_autoescape(("html",)),
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        self._templates: dict[tuple[_Variation, str], Template] = {}
        for path in sorted((*folder.glob("*"), *folder.glob("*/*"))):
            self._add(path)
        if (_Variation(DIGEST), PARTS[0]) not in self._templates:
            self._templates |= {(_Variation(DIGEST), part): self._loaded(f"{DIGEST}.{part}") for part in PARTS}
        self._refuse_gaps(statuses)
        for (variation, _), template in self._templates.items():
            for sample in samples.get(variation.kind, [one for kind, some in samples.items() if kind != DIGEST for one in some]):
                self._try(template, sample)

    def rendered(self, kind: str, reader: Reader, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return subject, plain text and HTML of *kind* for *reader*.

        Raises:
            Unrenderable: A template cannot be filled in, or there is none.
        """
        return tuple(self._rendered(self._chosen(kind, part, reader), values) for part in PARTS)

    def _chosen(self, kind: str, part: str, reader: Reader) -> Template:
        for variation in _fitting(kind, reader):
            template = self._templates.get((variation, part))
            if template is not None:
                return template
        raise Unrenderable(f"neither {kind}.{part} nor {_FALLBACK}.{part} is among the templates")

    def _rendered(self, template: Template, values: Mapping[str, Any]) -> str:
        try:
            return template.render(values)
        except _TEMPLATE_FAULTS as error:
            raise Unrenderable(f"the template {template.name} fails at line {_line_of(error, template)}: {type(error).__name__}") from error

    def _add(self, path: Path) -> None:
        name = path.relative_to(self._folder).as_posix()
        parts = _NAME.fullmatch(path.name)
        if parts is None or not path.is_file():
            return
        workspace = None if path.parent == self._folder else path.parent.name
        variation = _Variation(parts["kind"], workspace, parts["segment"], parts["language"])
        self._templates[variation, parts["part"]] = self._loaded(name)

    def _refuse_gaps(self, statuses: Collection[str]) -> None:
        for kind in (*statuses, DIGEST):
            for part in PARTS:
                plain = [_Variation(kind)] if kind == DIGEST else [_Variation(kind), _Variation(_FALLBACK)]
                if not any((variation, part) in self._templates for variation in plain):
                    raise ConfigurationError(
                        f"{self._folder}: neither {kind}.{part} nor {_FALLBACK}.{part} is there; GROUNDSWELL_TEMPLATES_DIR names the folder"
                    )
        for variation, part in self._templates:
            missing = next((other for other in PARTS if (variation, other) not in self._templates), None)
            if missing is not None and variation != _Variation(variation.kind):
                raise ConfigurationError(f"{self._folder}: {_file_of(variation, part)} is there, {_file_of(variation, missing)} is not")

    def _loaded(self, name: str) -> Template:
        try:
            return self._environment.get_template(name)
        except TemplateSyntaxError as error:
            raise ConfigurationError(f"{error.filename or self._folder / name}:{error.lineno}: {error.message}") from error
        except (TemplateError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self._folder / name}:1: {type(error).__name__}: {error}") from error

    def _try(self, template: Template, values: Mapping[str, Any]) -> None:
        try:
            template.render(values)
        except _TEMPLATE_FAULTS as error:
            raise ConfigurationError(f"{template.filename}:{_line_of(error, template)}: {type(error).__name__}: {error}") from error


def _fitting(kind: str, reader: Reader) -> Iterator[_Variation]:
    """Yield the variations that are for *reader*, the one that weighs most first."""
    language = reader.language or ""
    languages = (language, language.partition("-")[0], None) if language else (None,)
    for workspace in (reader.workspace, None):
        for of_kind in (kind,) if kind == DIGEST else (kind, _FALLBACK):
            for segment in (*reader.segments, None):
                for spoken in languages:
                    yield _Variation(of_kind, workspace, segment, spoken)


def _file_of(variation: _Variation, part: str) -> str:
    folder = "" if variation.workspace is None else f"{variation.workspace}/"
    segment = "" if variation.segment is None else f"@{variation.segment}"
    language = "" if variation.language is None else f".{variation.language}"
    return f"{folder}{variation.kind}{segment}{language}.{part}"


def _line_of(error: BaseException, template: Template) -> int:
    """Return the last line of *template* that *error* passed."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == template.filename]
    return next((line for line in reversed(lines) if line is not None), 1)
