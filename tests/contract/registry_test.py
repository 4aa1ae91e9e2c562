"""Ids of schemas: from a registry over HTTP, or from the committed file."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.common.errors import ConfigurationError, MalformedRecord, TransientError
from services.common.registry import FileIds, RegistryIds, Schemas, open_schemas
from tests.registry_server import RegistryServer


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        yield server


def test_a_registry_gives_ids_of_its_own(registry: RegistryServer) -> None:
    registry.schemas = {subject: {number + 4000: schema for number, schema in known.items()} for subject, known in registry.schemas.items()}
    schemas = Schemas(RegistryIds(registry.url + "/"))
    offline = Schemas(FileIds())
    assert {s: [v.id + 4000 for v in versions] for s, versions in offline.subjects().items()} == {
        s: [v.id for v in versions] for s, versions in schemas.subjects().items()
    }
    newest = schemas.newest("ideas-value")
    assert newest == schemas.by_id("ideas-value", newest.id)


def test_schemas_are_looked_up_and_never_registered(registry: RegistryServer) -> None:
    open_schemas(registry.url)
    assert {f"POST /subjects/{subject}" for subject in registry.schemas} == set(registry.asked)


def test_an_unknown_subject_refuses_start(registry: RegistryServer) -> None:
    del registry.schemas["ideas-value"]
    with pytest.raises(ConfigurationError, match="version 1 of ideas-value: run the schema registration job"):
        Schemas(RegistryIds(registry.url))


def test_another_schema_under_the_subject_refuses_start(registry: RegistryServer) -> None:
    with pytest.raises(ConfigurationError, match="does not hold version 2 of ideas-value"):
        RegistryIds(registry.url).id_of("ideas-value", 2, {"type": "record", "name": "Idea", "fields": []})


@pytest.mark.parametrize("status", [500, 503])
def test_a_registry_in_trouble_is_transient(registry: RegistryServer, status: int) -> None:
    registry.fail_with = status
    with pytest.raises(TransientError, match=str(status)):
        Schemas(RegistryIds(registry.url))


def test_an_absent_registry_is_transient() -> None:
    with socket.socket() as bound:  # bound, never listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(TransientError, match="does not answer"):
            Schemas(RegistryIds(f"http://127.0.0.1:{bound.getsockname()[1]}"))


def test_a_url_that_is_none_refuses_start() -> None:
    with pytest.raises(ConfigurationError, match="GROUNDSWELL_SCHEMA_REGISTRY_URL"):
        RegistryIds("registry:8081")


def test_a_file_without_the_version_refuses_start(tmp_path: Path) -> None:
    path = tmp_path / "ids.json"
    path.write_text(json.dumps({"ideas-value": {"1": 5}}))
    with pytest.raises(ConfigurationError, match="no id for version 2 of ideas-value"):
        FileIds(path).id_of("ideas-value", 2, {})


def test_a_version_newer_than_this_release_is_asked_for_once(registry: RegistryServer) -> None:
    number, schema = next(iter(registry.schemas["ideas-value"].items()))
    schemas = Schemas(RegistryIds(registry.url))
    registry.asked.clear()
    with pytest.raises(MalformedRecord, match="unknown_schema"):
        schemas.by_id("ideas-value", 4711)
    newer = {**schema, "fields": [*schema["fields"], {"name": "later", "type": ["null", "string"], "default": None}]}
    registry.schemas["ideas-value"][4712] = newer
    assert schemas.by_id("ideas-value", 4712).schema == schemas.by_id("ideas-value", 4712).schema == newer
    with pytest.raises(MalformedRecord, match="unknown_schema"):
        schemas.by_id("ideas-value", 4711)
    assert registry.asked == ["GET /schemas/ids/4711", "GET /schemas/ids/4712"]
    assert schemas.newest("ideas-value").id == number


def test_a_newer_version_of_another_subject_stays_unknown(registry: RegistryServer) -> None:
    schemas = Schemas(RegistryIds(registry.url))
    registry.schemas["ideas-value"][4712] = next(iter(registry.schemas["accounts-value"].values()))
    with pytest.raises(MalformedRecord, match="unknown_schema"):
        schemas.by_id("ideas-value", 4712)


def test_a_newer_version_waits_for_a_registry_in_trouble(registry: RegistryServer) -> None:
    schemas = Schemas(RegistryIds(registry.url))
    registry.fail_with = 503
    with pytest.raises(TransientError, match="503"):
        schemas.by_id("ideas-value", 4712)


def test_an_id_of_another_subject_is_malformed() -> None:
    schemas = Schemas(FileIds())
    other = schemas.newest("ideas-value").id
    with pytest.raises(MalformedRecord, match="wrong_schema"):
        schemas.by_id("accounts-value", other)
    with pytest.raises(MalformedRecord, match="unknown_schema"):
        schemas.by_id("accounts-value", 4_000_000)
