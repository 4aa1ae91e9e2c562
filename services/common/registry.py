"""Schemas from ``schemas/avro`` and their ids, from a schema registry or from the committed file of ids.

Ids are a registry's own, so they are never written down in code. Services look them up and never register: in production a
deployment job does that.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from services.common.errors import ConfigurationError, MalformedRecord, TransientError
from services.common.paths import SCHEMAS

_FILE = re.compile(r"(?P<topic>.+)-v(?P<version>[1-9][0-9]*)\.avsc")
_TIMEOUT_SECONDS = 10
_ASK_AGAIN_SECONDS = 60.0
"""So long an id that the registry did not know counts as unknown: poison must not become a storm of questions."""
_UNKNOWN_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """One released version of a subject's schema. *id* is the number in the wire format; *version* 0 is newer than this release."""

    subject: str
    version: int
    id: int
    schema: Mapping[str, Any]


class IdSource(Protocol):
    """Knows the id of a schema."""

    def id_of(self, subject: str, version: int, schema: Mapping[str, Any]) -> int:
        """Return the id.

        Raises:
            ConfigurationError: The schema is not registered.
            TransientError: The registry does not answer.
        """

    def schema_of(self, number: int) -> Mapping[str, Any] | None:
        """Return the schema that has the id *number*, whoever registered it; None where nobody did.

        Raises:
            TransientError: The registry does not answer.
        """


class FileIds:
    """Ids from the committed ``schemas/ids.json``, for stacks without a registry."""

    def __init__(self, path: Path = SCHEMAS / "ids.json") -> None:
        self._path = path
        self._ids: dict[str, dict[str, int]] = json.loads(path.read_text())

    def id_of(self, subject: str, version: int, schema: Mapping[str, Any]) -> int:  # noqa: ARG002 - the port's shape
        """Return the id that the file gives to *version* of *subject*."""
        try:
            return self._ids[subject][str(version)]
        except KeyError:
            raise ConfigurationError(f"{self._path}: no id for version {version} of {subject}; add the next free number") from None

    def schema_of(self, number: int) -> None:
        """Return None: the file knows the schemas of this release, and no others."""


class RegistryIds:
    """Ids from a Confluent-compatible schema registry, found by the schema itself."""

    def __init__(self, url: str) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ConfigurationError(f"GROUNDSWELL_SCHEMA_REGISTRY_URL={url!r} is no http(s) URL")
        self._url = url.rstrip("/")

    def id_of(self, subject: str, version: int, schema: Mapping[str, Any]) -> int:
        """Return the id under which the registry holds *schema* for *subject*."""
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            f"{self._url}/subjects/{quote(subject, safe='')}",
            data=json.dumps({"schema": json.dumps(schema)}).encode(),
            headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                return int(json.load(answer)["id"])
        except urllib.error.HTTPError as error:
            if error.code == 404:  # 40401 unknown subject, 40403 unknown schema
                raise ConfigurationError(
                    f"{self._url} does not hold version {version} of {subject}: run the schema registration job first"
                ) from error
            raise TransientError(f"{self._url} answered {error.code} for {subject}") from error
        except OSError as error:
            raise TransientError(f"{self._url} does not answer: {error}") from error

    def schema_of(self, number: int) -> Mapping[str, Any] | None:
        """Return the schema that the registry holds under *number*, whoever registered it; None where there is none.

        Raises:
            TransientError: The registry does not answer.
        """
        try:
            with urllib.request.urlopen(f"{self._url}/schemas/ids/{number}", timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                return dict(json.loads(json.load(answer)["schema"]))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise TransientError(f"{self._url} answered {error.code} for schema {number}") from error
        except OSError as error:
            raise TransientError(f"{self._url} does not answer: {error}") from error


class Schemas:
    """All released schema versions, by subject and by id."""

    def __init__(self, ids: IdSource, folder: Path = SCHEMAS / "avro") -> None:
        self._ids = ids
        self._unknown: dict[int, float] = {}
        """When the ids source was last asked for a number that it did not know (monotonic seconds)."""
        self._by_subject: dict[str, list[SchemaVersion]] = {}
        self._by_id: dict[int, SchemaVersion] = {}
        for topic, number, schema in read_schemas(folder):
            subject = f"{topic}-value"
            version = SchemaVersion(subject, number, ids.id_of(subject, number, schema), schema)
            self._by_subject.setdefault(subject, []).append(version)
            self._by_id[version.id] = version

    def subjects(self) -> Mapping[str, list[SchemaVersion]]:
        """Return every subject with its versions, oldest first."""
        return self._by_subject

    def newest(self, subject: str) -> SchemaVersion:
        """Return the version that writers use."""
        try:
            return self._by_subject[subject][-1]
        except KeyError:
            raise ConfigurationError(f"schemas/avro has no schema for {subject}") from None

    def by_id(self, subject: str, number: int) -> SchemaVersion:
        """Return the version of *subject* that has the id *number*: one of this release, or a newer one that a registry holds.

        Raises:
            MalformedRecord: No schema has this id, or one of another subject has it.
            TransientError: The registry would have to be asked, and does not answer.
        """
        version = self._by_id.get(number) or self._newer(subject, number)
        if version is None:
            raise MalformedRecord("unknown_schema", f"no schema has the id {number}; registered for this topic: {subject}")
        if version.subject != subject:
            raise MalformedRecord("wrong_schema", f"id {number} belongs to {version.subject}, this topic takes {subject}")
        return version

    def _newer(self, subject: str, number: int) -> SchemaVersion | None:
        """Return the version that a later release, or a producer outside, has registered; None where there is none."""
        now = time.monotonic()
        if now - self._unknown.get(number, -_ASK_AGAIN_SECONDS) < _ASK_AGAIN_SECONDS:
            return None
        schema = self._ids.schema_of(number)
        if schema is None or _full_name(schema) != _full_name(self.newest(subject).schema):
            if len(self._unknown) >= _UNKNOWN_KEPT:
                self._unknown.clear()
            self._unknown[number] = now
            return None
        version = self._by_id[number] = SchemaVersion(subject, 0, number, schema)
        return version


def _full_name(schema: Mapping[str, Any]) -> tuple[Any, Any]:
    return schema.get("namespace"), schema.get("name")


def read_schemas(folder: Path) -> list[tuple[str, int, dict[str, Any]]]:
    """Return (topic, version, schema) of every file in *folder*, versions ascending."""
    found = []
    for path in folder.glob("*.avsc"):
        name = _FILE.fullmatch(path.name)
        if name is None:
            raise ConfigurationError(f"{path}: expected a name like <topic>-v<version>.avsc")
        try:
            schema = json.loads(path.read_text())
        except ValueError as error:
            raise ConfigurationError(f"{path}: not JSON: {error}") from error
        found.append((name["topic"], int(name["version"]), schema))
    return sorted(found, key=lambda entry: entry[:2])


def open_schemas(registry_url: str | None) -> Schemas:
    """Return the schemas with ids from *registry_url*, or from the committed file where there is none."""
    return Schemas(FileIds() if registry_url is None else RegistryIds(registry_url))
