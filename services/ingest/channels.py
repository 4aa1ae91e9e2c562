"""``channels.yaml``: which raw topic holds what, and how it becomes the canonical form."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.common.definition import read_definition
from services.common.ids import is_slug
from services.common.topics import load_topics
from services.ingest.domain.mapping import FieldMapping, RecordMapping
from services.ingest.domain.moments import TimestampFormat
from services.ingest.domain.paths import compile_path
from services.ingest.domain.reading import Place
from services.ingest.domain.texts import Step
from services.ingest.domain.texts.masking import Mask
from services.ingest.domain.texts.refining import TextRules
from services.ingest.domain.texts.splitting import Split

CANONICAL_TOPIC = "feedback.raw"
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def _slug(name: str) -> str:
    if not is_slug(name):
        raise ValueError("expected 1-63 of a-z 0-9 . _ - with a letter or digit first")
    return name


def _expression(text: str) -> str:
    try:
        compile_path(text)
    except JMESPathError as error:
        raise ValueError(f"not a JMESPath expression: {str(error).splitlines()[0]}") from None
    return text


def _topic(name: str) -> str:
    if _TOPIC.fullmatch(name) is None:
        raise ValueError("expected the name of a Kafka topic: 1-249 of a-z A-Z 0-9 . _ -")
    if name != CANONICAL_TOPIC and name in _our_topics():
        raise ValueError("this topic has another purpose; feedback needs one of its own")
    return name


@functools.cache
def _our_topics() -> frozenset[str]:
    return frozenset(load_topics())


Slug = Annotated[str, AfterValidator(_slug)]
Expression = Annotated[str, AfterValidator(_expression)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldSpec(_Part):
    """How one field is found; a bare text in the file is its *path*."""

    path: Expression | None = None
    """JMESPath on the record's JSON."""
    constant: str | int | float | bool | None = None
    prefix: str = ""
    timestamp: TimestampFormat | None = None
    steps: list[Step] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.constant is None):
            raise ValueError("expected either `path` or `constant`")
        if self.constant is not None and (self.prefix or self.timestamp or self.steps):
            raise ValueError("`constant` stands alone")
        return self

    def compiled(self, name: str, default: TimestampFormat | None = None) -> FieldMapping:
        """Return the search for this field; *default* is the timestamp format where the file names none."""
        if self.path is None:
            return FieldMapping(name, constant=self.constant)
        return FieldMapping(
            name,
            expression=self.path,
            search=compile_path(self.path),
            prefix=self.prefix,
            timestamp=self.timestamp or default,
            steps=tuple(self.steps),
        )


def _short(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


Spec = Annotated[FieldSpec, BeforeValidator(_short)]


class AuthorSpec(_Part):
    """How the author is found."""

    email: Spec | None = None
    name: Spec | None = None
    alias: Spec | None = None
    """``namespace:name``; give the namespace as `prefix`."""
    crm_id: Spec | None = None


class MappingSpec(_Part):
    """How the canonical fields are found."""

    id: Spec
    text: Spec
    occurred_at: Spec | None = None
    author: AuthorSpec = AuthorSpec()
    agent: AuthorSpec = AuthorSpec()
    """Who wrote it down for the author, where that is somebody else: an agent, a salesperson."""
    workspace: Spec | None = None
    board: Spec | None = None
    thread: Spec | None = None
    """The id, in this channel, of the piece that the record answers."""
    revision: Spec | None = None
    deleted: Spec | None = None
    ignore: Spec | None = None
    """True where the record is no feedback: a bot's message, a change of labels."""
    spam: Spec | None = None
    """True where the channel says that it is."""
    rating: Spec | None = None
    url: Spec | None = None
    language: Spec | None = None

    def compiled(self) -> RecordMapping:
        """Return the mapping, its expressions compiled."""
        fields = [spec.compiled(name, "iso" if name == "occurred_at" else None) for name, spec in _specs(self)]
        author, agent = ([spec.compiled(name) for name, spec in _specs(part)] for part in (self.author, self.agent))
        return RecordMapping(fields, author, agent)


def _specs(part: _Part) -> list[tuple[str, FieldSpec]]:
    return [(name, spec) for name in type(part).model_fields if isinstance(spec := getattr(part, name), FieldSpec)]


class TextSpec(_Part):
    """What is done to the text that was found."""

    mask: list[Mask] = Field(default_factory=list)
    """Personal data that nobody downstream shall see."""
    phone_region: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    """Whose national telephone numbers are masked beside those that begin with ``+``, as ISO 3166 has it."""
    split: Split = "none"
    """What holds several requests: the items of lists, or paragraphs."""
    language: Literal["detect", "as_given"] = "detect"
    praise: Literal["recognise", "keep"] = "recognise"
    spam: Literal["refuse", "keep"] = "refuse"
    spam_phrases: list[Annotated[str, Field(min_length=3)]] = Field(default_factory=list)

    def rules(self, limit: int) -> TextRules:
        """Return these settings; *limit* is the service's, in characters."""
        return TextRules(
            limit=limit,
            masks=tuple(self.mask),
            phone_region=self.phone_region,
            split=self.split,
            detect_language=self.language == "detect",
            praise=self.praise == "recognise",
            refuse_spam=self.spam == "refuse",
            spam_phrases=tuple(phrase.lower() for phrase in self.spam_phrases),
        )


class ChannelSpec(_Part):
    """One raw topic of feedback."""

    topic: Annotated[str, AfterValidator(_topic)]
    name: Slug
    workspace: Slug | None = None
    """Whose feedback it is; absent means that each record says so."""
    board: Slug | None = None
    """Where records go that name no board."""
    adapter: Literal["canonical"] | None = None
    named: list[Slug] | None = None
    """The channels that canonical records may name as their own; absent means any."""
    format: Literal["json", "email"] = "json"
    """What a mapping reads: JSON, or an e-mail as it travels."""
    mapping: MappingSpec | None = None
    text: TextSpec = TextSpec()

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.adapter is None) == (self.mapping is None):
            raise ValueError("expected either `adapter: canonical` or `mapping`")
        if self.mapping is None and self.format != "json":
            raise ValueError("`format` belongs to `mapping`")
        if self.mapping is not None:
            if self.workspace is None and self.mapping.workspace is None:
                raise ValueError("expected `workspace`, here or in `mapping`")
            if self.board is None and self.mapping.board is None:
                raise ValueError("expected `board`, here or in `mapping`")
            if self.named is not None:
                raise ValueError("`named` belongs to `adapter: canonical`")
        return self

    def place(self) -> Place:
        """Return where its feedback belongs."""
        return Place(self.name, self.workspace, self.board, None if self.named is None else frozenset(self.named))


class Channels(_Part):
    """The whole file."""

    version: Literal[1]
    channels: list[ChannelSpec] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        topics = [channel.topic for channel in self.channels]
        twice = sorted({topic for topic in topics if topics.count(topic) > 1})
        if twice:
            raise ValueError(f"a topic is one channel; listed twice: {', '.join(twice)}")
        return self

    def topics(self) -> list[str]:
        """Return every raw topic of feedback, in the file's order."""
        return [channel.topic for channel in self.channels]


def load_channels(path: Path) -> Channels:
    """Return the channels that *path* defines.

    Raises:
        ConfigurationError: Names the file, and line and field of everything that is wrong.
    """
    return read_definition(path, Channels, "GROUNDSWELL_CHANNELS_FILE")
