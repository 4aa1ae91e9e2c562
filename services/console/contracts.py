"""The lint of ``schemas/``: what keeps a reader outside our control reading, whatever we release next.

Pure functions that return faults as sentences, each naming its file or subject and what to do; an empty list means that all holds.
Compatibility is checked offline with Apache Avro's own checker, as a registry would for FULL_TRANSITIVE. That checker lets a changed
unit, scale, union order or string/bytes pass in silence, so on top of it the type of a released field is frozen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import Any, TypeAlias

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException

from services.common.errors import ConfigurationError
from services.common.paths import SCHEMAS
from services.common.registry import read_schemas
from services.common.topics import TopicContract, load_topics

SERVICES = frozenset({"ingest", "dedup", "segmenter", "notifier"})
OUTSIDE = frozenset({"bi", "channels", "console", "crm", "product", "roadmap"})
"""Who else may stand in a topic's producers or consumers."""
OWNERS = SERVICES | {"console"}
"""Who may answer for a topic."""

AvroSchema: TypeAlias = Mapping[str, Any]
Versions: TypeAlias = Mapping[int, AvroSchema]
"""A subject's released schemas by version."""

_PLAIN = frozenset({"boolean", "int", "long", "float", "double", "string"})
_MOMENT_SUFFIXES = ("_at", "_seen")
_RELEASED = "released.sha256"


def check(folder: Path = SCHEMAS) -> list[str]:
    """Return every fault of the contracts in *folder* (``avro/``, ``topics/``, ``ids.json``, ``released.sha256``)."""
    try:
        topics = load_topics(folder / "topics")
        schemas = read_schemas(folder / "avro")
        ids = json.loads((folder / "ids.json").read_text())
    except (ConfigurationError, OSError, ValueError) as error:
        return [str(error)]
    subjects: dict[str, dict[int, AvroSchema]] = {}
    for topic, version, parsed in schemas:
        subjects.setdefault(topic, {})[version] = parsed
    faults = [*topic_faults(topics), *reference_faults(topics, subjects), *id_faults(subjects, ids), *released_faults(folder)]
    for topic, versions in subjects.items():
        contract = topics.get(topic)
        published = contract is None or contract.value == "avro"
        for version, schema in versions.items():
            faults += schema_faults(f"avro/{topic}-v{version}.avsc", schema, flat=published)
        faults += evolution_faults(f"{topic}-value", versions)
    return faults


def topic_faults(topics: Mapping[str, TopicContract]) -> list[str]:
    """Return what is wrong between *topics*: unknown parties, broken ownership, counts that would part what belongs together."""
    faults = []
    for name, topic in topics.items():
        unknown = sorted({*topic.producers, *topic.consumers} - SERVICES - OUTSIDE)
        if unknown:
            faults.append(f"topics/{name}.yaml: nobody is called {', '.join(unknown)}; known are {', '.join(sorted(SERVICES | OUTSIDE))}")
        if topic.owner not in OWNERS:
            faults.append(f"topics/{name}.yaml: owner: {topic.owner} is no service of ours")
        ours = topic.consumers if topic.partition_by == "producer" else topic.producers
        if ours != [topic.owner]:
            faults.append(
                f"topics/{name}.yaml: {topic.owner} owns it, so it alone must {'read' if ours is topic.consumers else 'write'} it"
            )
        if topic.internal and topic.consumers != [topic.owner]:
            faults.append(f"topics/{name}.yaml: it is internal to {topic.owner}, yet {', '.join(topic.consumers)} read it")
    counts = {name: topic.partitions for name, topic in topics.items() if topic.partition_by in ("board", "person", "account")}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        faults.append(f"topics: one worker must own the same key in all of them, so their partition counts must be equal ({listed})")
    return faults


def reference_faults(topics: Mapping[str, TopicContract], subjects: Mapping[str, Versions]) -> list[str]:
    """Return schema files that no topic names, and versions that a topic names without a file."""
    faults = []
    for name in sorted({*topics, *subjects}):
        topic = topics.get(name)
        files = sorted(subjects.get(name, {}))
        if topic is None:
            faults.append(f"avro/{name}-v*.avsc: no topics/{name}.yaml names it")
            continue
        if topic.value == "avro" and (topic.accepts or not topic.versions):
            faults.append(f"topics/{name}.yaml: an Avro topic lists its released `versions`, and no `accepts`")
        if topic.value == "raw" and topic.versions:
            faults.append(f"topics/{name}.yaml: a raw topic lists the schema versions that it takes in `accepts`, and no `versions`")
        named = topic.versions if topic.value == "avro" else topic.accepts
        if named != files:
            faults.append(f"topics/{name}.yaml: names the schema versions {named}, schemas/avro has {files}")
        if files and files != list(range(1, len(files) + 1)):
            faults.append(f"avro/{name}-v*.avsc: versions must be 1, 2, 3, … without a gap; found {files}")
    return faults


def id_faults(subjects: Mapping[str, Versions], ids: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return what ``ids.json`` lacks, has too much, or gives twice."""
    wanted = {(f"{topic}-value", str(version)) for topic, versions in subjects.items() for version in versions}
    given = {(subject, version): number for subject, versions in ids.items() for version, number in versions.items()}
    faults = [f"ids.json: no id for version {version} of {subject}" for subject, version in sorted(wanted - given.keys())]
    faults += [f"ids.json: there is no version {version} of {subject}" for subject, version in sorted(given.keys() - wanted)]
    faults += [f"ids.json: {place}: {number!r} is no positive integer" for place, number in given.items() if not _is_id(number)]
    if len(set(given.values())) < len(given):
        faults.append("ids.json: two schemas share an id")
    return faults


def schema_faults(place: str, schema: AvroSchema, *, flat: bool) -> list[str]:
    """Return what would trip a reader of *schema*.

    *flat* asks for what tables can hold, and belongs to what we publish: no record, array or map inside the row, and moments in
    microseconds. Optional fields and enums are held to the same rules everywhere.
    """
    try:
        avro.schema.parse(json.dumps(schema))
    except AvroException as error:
        return [f"{place}: no valid Avro schema: {error}"]
    if schema.get("type") != "record":
        return [f"{place}: a value must be a record"]
    faults = []
    for field in schema["fields"]:
        where = f"{place}: {field['name']}"
        faults += [f"{where}: {fault}" for fault in _type_faults(field["type"])]
        if isinstance(field["type"], list) and ("default" not in field or field["default"] is not None):
            faults.append(f"{where}: an optional field needs the default null")
        if flat:
            faults += [f"{where}: {fault}" for fault in _flat_faults(field["name"], _member(field["type"]))]
    return faults


def evolution_faults(subject: str, versions: Versions) -> list[str]:
    """Return why *versions* of *subject* are not FULL_TRANSITIVE: every one must read what any other wrote, and mean the same."""
    parsed = {}
    for version, schema in versions.items():
        try:
            parsed[version] = avro.schema.parse(json.dumps(schema))
        except AvroException as error:
            return [f"{subject} v{version}: no valid Avro schema: {error}"]
    faults = []
    for reader, writer in permutations(sorted(versions), 2):
        verdict = ReaderWriterCompatibilityChecker().get_compatibility(parsed[reader], parsed[writer])
        if verdict.compatibility is not SchemaCompatibilityType.compatible:
            why = "; ".join(sorted(verdict.messages))
            faults.append(f"{subject}: v{reader} cannot read what v{writer} wrote: {why} (at {', '.join(sorted(verdict.locations))})")
    for older, newer in combinations(sorted(versions), 2):
        faults += [f"{subject}: v{older} → v{newer}: {fault}" for fault in _meaning_faults(versions[older], versions[newer])]
    return faults


def released_faults(folder: Path) -> list[str]:
    """Return released files that were edited or removed, and files that are not listed as released yet.

    The list, ``released.sha256``, has the form of sha256sum: ``(cd schemas && sha256sum -c released.sha256)`` checks it as well.
    """
    path = folder / _RELEASED
    lines = path.read_text().splitlines() if path.exists() else []
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {f"avro/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest() for file in (folder / "avro").glob("*.avsc")}
    faults = []
    for name in sorted({*listed, *found}):
        if name not in found:
            faults.append(f"{name}: it was released and is gone; records that it wrote still lie in topics")
        elif name not in listed:
            faults.append(f"{name}: not in {_RELEASED}; release it: (cd schemas && sha256sum {name} >> {_RELEASED})")
        elif listed[name] != found[name]:
            faults.append(f"{name}: it was released and has been edited; put it back and add the next version instead")
    return faults


def _type_faults(kind: Any) -> Iterator[str]:
    """Yield what is wrong with unions and enums anywhere in *kind*."""
    if isinstance(kind, list):
        if len(kind) != 2 or kind[0] != "null" or kind[1] == "null":
            yield f"a union must be [null, T], null first; found {json.dumps(kind)}"
        for member in kind:
            yield from _type_faults(member)
    elif isinstance(kind, dict):
        if kind["type"] == "enum" and kind.get("default") not in kind["symbols"]:
            yield f"the enum {kind['name']} needs a default among its symbols, for readers that do not know a newer one"
        for inner in (kind.get("items"), kind.get("values"), *(field["type"] for field in kind.get("fields", ()))):
            if inner is not None:
                yield from _type_faults(inner)


def _flat_faults(name: str, kind: Any) -> Iterator[str]:
    """Yield why a column *name* of type *kind* (of the non-null member, where optional) does not fit a table."""
    base, logical = (kind["type"], kind.get("logicalType")) if isinstance(kind, dict) else (kind, None)
    if base not in _PLAIN and base != "enum" and (base, logical) != ("bytes", "decimal"):
        yield f"{base} does not fit a flat row; use a child topic, or one JSON document in a string column"
    if (name.endswith(_MOMENT_SUFFIXES) or (logical or "").startswith(("timestamp", "local-timestamp"))) and logical != "timestamp-micros":
        yield "a moment must be a long of logicalType timestamp-micros"
    if name.endswith("_json") and base != "string":
        yield "a JSON document must be a string"


def _meaning_faults(older: AvroSchema, newer: AvroSchema) -> Iterator[str]:
    """Yield what *newer* changes of what *older* promised, where the checker sees no incompatibility."""
    if (older["name"], older.get("namespace")) != (newer["name"], newer.get("namespace")):
        yield f"the record {older['name']} was renamed"
    fields = {field["name"]: field for field in newer["fields"]}
    for before in older["fields"]:
        after = fields.get(before["name"])
        if after is None:
            continue
        where = before["name"]
        if _frozen(before["type"]) != _frozen(after["type"]):
            yield f"{where}: its type changed (name, logicalType, precision, scale and union order are frozen)"
        lost = sorted(set(_symbols(before["type"])) - set(_symbols(after["type"])))
        if lost:
            yield f"{where}: the symbols {', '.join(lost)} are gone; records that hold them would read as the default"
        if "default" in before and before.get("default") != after.get("default"):
            yield f"{where}: its default was removed or changed"


def _frozen(kind: Any) -> Any:
    """Return *kind* without what may differ between versions: texts, and an enum's symbols."""
    if isinstance(kind, list):
        return [_frozen(member) for member in kind]
    if isinstance(kind, dict):
        return {name: _frozen(value) for name, value in kind.items() if name not in ("doc", "symbols")}
    return kind


def _symbols(kind: Any) -> Sequence[str]:
    member = _member(kind)
    return member.get("symbols", ()) if isinstance(member, dict) else ()


def _member(kind: Any) -> Any:
    """Return what an optional type holds when it is not null, and any other type as it is."""
    return next((member for member in kind if member != "null"), "null") if isinstance(kind, list) else kind


def _is_id(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**32
