"""The contracts in schemas/ hold, and the lint that says so fails on every evolution that would harm a reader."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from services.common.paths import SCHEMAS
from services.console.contracts import check, evolution_faults, schema_faults

Schema: TypeAlias = dict[str, Any]


def _schema(*fields: Schema) -> Schema:
    return {"type": "record", "name": "Thing", "namespace": "groundswell", "fields": [{"name": "id", "type": "string"}, *fields]}


def _colour(*symbols: str, **more: object) -> Schema:
    return {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": list(symbols), **more}}


_NOTE = {"name": "note", "type": ["null", "string"], "default": None}
_COUNT = {"name": "count", "type": "long", "default": 0}
_MILLIS = {"name": "seen", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 0}
_MICROS = {"name": "seen", "type": {"type": "long", "logicalType": "timestamp-micros"}, "default": 0}


def _money(precision: int, scale: int) -> Schema:
    return {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}}


def test_the_contracts_hold() -> None:
    assert check() == []


@pytest.mark.parametrize(
    "newer",
    [
        pytest.param(_schema(_NOTE, _COUNT), id="a field with a default is added"),
        pytest.param(_schema(), id="a field with a default is taken away"),
        pytest.param(_schema({**_NOTE, "doc": "said better"}), id="a text changes"),
    ],
)
def test_harmless_evolutions_pass(newer: Schema) -> None:
    assert evolution_faults("things-value", {1: _schema(_NOTE), 2: newer}) == []


def test_a_symbol_may_be_added_to_an_enum_with_a_default() -> None:
    older, newer = _schema(_colour("unknown", "red", default="unknown")), _schema(_colour("unknown", "red", "blue", default="unknown"))
    assert evolution_faults("things-value", {1: older, 2: newer}) == []


@pytest.mark.parametrize(
    ("older", "newer", "says"),
    [
        pytest.param(_schema(_COUNT), _schema({"name": "count", "type": "long"}), "default was removed", id="removed default"),
        pytest.param(_schema(_COUNT), _schema({**_COUNT, "default": 1}), "default was removed or changed", id="changed default"),
        pytest.param(_schema(), _schema({"name": "count", "type": "long"}), "v2 cannot read what v1 wrote", id="new field without default"),
        pytest.param(
            _schema({"name": "count", "type": "long"}), _schema(), "v1 cannot read what v2 wrote", id="field without default taken away"
        ),
        pytest.param(_schema(_COUNT), _schema({**_COUNT, "type": "string", "default": ""}), "cannot read", id="type change"),
        pytest.param(_schema(_COUNT), _schema({**_COUNT, "type": "double", "default": 0.0}), "v1 cannot read", id="widened type"),
        pytest.param(
            _schema({"name": "body", "type": "string"}),
            _schema({"name": "body", "type": "bytes"}),
            "its type changed",
            id="string to bytes",
        ),
        pytest.param(_schema(_MILLIS), _schema(_MICROS), "its type changed", id="millis to micros"),
        pytest.param(_schema(_money(9, 2)), _schema(_money(9, 4)), "its type changed", id="decimal scale"),
        pytest.param(_schema(_money(9, 2)), _schema(_money(18, 2)), "its type changed", id="decimal precision"),
        pytest.param(_schema(_colour("red")), _schema(_colour("red", "blue")), "v1 cannot read", id="enum symbol without default"),
        pytest.param(
            _schema(_colour("unknown", "red", default="unknown")),
            _schema(_colour("unknown", default="unknown")),
            "the symbols red are gone",
            id="enum symbol taken away",
        ),
        pytest.param(_schema(_NOTE), _schema({**_NOTE, "type": ["string", "null"]}), "its type changed", id="union order"),
        pytest.param(
            _schema(_NOTE), _schema({"name": "note", "type": "string", "default": ""}), "v2 cannot read", id="optional made required"
        ),
        pytest.param(_schema(), {**_schema(), "name": "Other"}, "was renamed", id="renamed record"),
    ],
)
def test_harmful_evolutions_fail(older: Schema, newer: Schema, says: str) -> None:
    faults = evolution_faults("things-value", {1: older, 2: newer})
    assert any(says in fault for fault in faults), faults


def test_compatibility_is_transitive() -> None:
    """Version 3 agrees with 2 and 2 with 1, yet 3 gives a name that 2 had dropped another type."""
    versions = {1: _schema(_COUNT), 2: _schema(), 3: _schema({**_COUNT, "type": "string", "default": ""})}
    assert evolution_faults("things-value", {1: versions[1], 2: versions[2]}) == []
    assert evolution_faults("things-value", {2: versions[2], 3: versions[3]}) == []
    assert any("v3 cannot read what v1 wrote" in fault for fault in evolution_faults("things-value", versions))


@pytest.mark.parametrize(
    ("field", "says"),
    [
        pytest.param(_colour("red"), "needs a default among its symbols", id="enum without default"),
        pytest.param({**_NOTE, "type": ["string", "null"], "default": "x"}, "null first", id="null second"),
        pytest.param({**_NOTE, "type": ["null", "string", "long"]}, "must be [null, T]", id="three in a union"),
        pytest.param({"name": "note", "type": ["null", "string"]}, "needs the default null", id="optional without default"),
        pytest.param({"name": "tags", "type": {"type": "array", "items": "string"}}, "array does not fit", id="array"),
        pytest.param({"name": "tags", "type": {"type": "map", "values": "string"}}, "map does not fit", id="map"),
        pytest.param({"name": "inner", "type": {"type": "record", "name": "Inner", "fields": []}}, "record does not fit", id="record"),
        pytest.param({"name": "raw", "type": "bytes"}, "bytes does not fit", id="bytes"),
        pytest.param(_MILLIS, "timestamp-micros", id="milliseconds"),
        pytest.param({"name": "made_at", "type": "long"}, "timestamp-micros", id="a bare moment"),
        pytest.param({"name": "ended_at", "type": ["null", "long"], "default": None}, "timestamp-micros", id="an optional bare moment"),
        pytest.param({"name": "more_json", "type": "long"}, "must be a string", id="JSON that is no text"),
        pytest.param({"name": "x", "type": "strnig"}, "no valid Avro schema", id="misspelt type"),
    ],
)
def test_what_trips_readers_fails(field: Schema, says: str) -> None:
    faults = schema_faults("avro/things-v1.avsc", _schema(field), flat=True)
    assert any(says in fault for fault in faults), faults


def test_accepted_values_may_be_nested_yet_keep_the_rules_of_unions_and_enums() -> None:
    nested = {"name": "author", "type": {"type": "record", "name": "Author", "fields": [_NOTE]}}
    assert schema_faults("avro/things-v1.avsc", _schema(nested), flat=False) == []
    bad = {"name": "author", "type": {"type": "record", "name": "Author", "fields": [{**_NOTE, "type": ["string", "null"]}]}}
    assert schema_faults("avro/things-v1.avsc", _schema(bad), flat=False)


def _edit(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


_HARM: dict[str, tuple[Callable[[Path], object], str]] = {
    "a released file is edited": (
        lambda root: _edit(root / "avro/ideas-v1.avsc", lambda schema: schema.update(doc="other")),
        "avro/ideas-v1.avsc: it was released and has been edited",
    ),
    "a released file is removed": (
        lambda root: (root / "avro/ideas-v1.avsc").unlink(),
        "avro/ideas-v1.avsc: it was released and is gone",
    ),
    "a new file is not released": (
        lambda root: shutil.copy(root / "avro/ideas-v1.avsc", root / "avro/ideas-v2.avsc"),
        "sha256sum avro/ideas-v2.avsc >> released.sha256",
    ),
    "a file that no topic names": (
        lambda root: shutil.copy(root / "avro/ideas-v1.avsc", root / "avro/others-v1.avsc"),
        "no topics/others.yaml names it",
    ),
    "a file whose name is no version": (
        lambda root: shutil.copy(root / "avro/ideas-v1.avsc", root / "avro/ideas.avsc"),
        "expected a name like",
    ),
    "a version without a file": (
        lambda root: _replace(root / "topics/ideas.yaml", "versions: [1]", "versions: [1, 2]"),
        "names the schema versions [1, 2], schemas/avro has [1]",
    ),
    "an id is missing": (lambda root: _edit(root / "ids.json", lambda ids: ids.pop("ideas-value")), "no id for version 1 of ideas-value"),
    "an id too many": (lambda root: _edit(root / "ids.json", lambda ids: ids.update({"x-value": {"1": 999}})), "no version 1 of x-value"),
    "an id twice": (lambda root: _edit(root / "ids.json", lambda ids: ids.update({"ideas-value": {"1": 1}})), "share an id"),
    "an id that is no number": (
        lambda root: _edit(root / "ids.json", lambda ids: ids.update({"ideas-value": {"1": "5"}})),
        "no positive integer",
    ),
    "an unknown reader": (lambda root: _replace(root / "topics/ideas.yaml", "bi]", "nobody]"), "nobody is called nobody"),
    "a second writer": (
        lambda root: _replace(root / "topics/ideas.yaml", "producers: [dedup]", "producers: [dedup, ingest]"),
        "dedup owns it",
    ),
    "an internal topic with a reader outside": (
        lambda root: _replace(root / "topics/segmenter.work.yaml", "consumers: [segmenter]", "consumers: [bi]"),
        "internal to segmenter",
    ),
    "a count of its own": (
        lambda root: _replace(root / "topics/ideas.yaml", "partitions: 12", "partitions: 6"),
        "partition counts must be equal",
    ),
    "a misspelt field": (lambda root: _replace(root / "topics/ideas.yaml", "cleanup:", "cleanpu:"), "ideas.yaml"),
    "a raw topic with versions": (
        lambda root: _replace(root / "topics/activity.raw.yaml", "value: raw", "value: raw\nversions: [1]"),
        "lists the schema versions that it takes in `accepts`",
    ),
}


@pytest.mark.parametrize("harm", _HARM)
def test_harm_to_the_contracts_is_found(harm: str, tmp_path: Path) -> None:
    root = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, root)
    do, says = _HARM[harm]
    assert check(root) == []
    do(root)
    faults = check(root)
    assert any(says in fault for fault in faults), faults


def test_a_second_version_that_breaks_the_first_is_found_in_files(tmp_path: Path) -> None:
    root = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, root)
    schema = json.loads((root / "avro/ideas-v1.avsc").read_text())
    harmed = copy.deepcopy(schema)
    harmed["fields"].append({"name": "colour", "type": "string"})
    (root / "avro/ideas-v2.avsc").write_text(json.dumps(harmed))
    assert any("ideas-value: v2 cannot read what v1 wrote" in fault for fault in check(root))
