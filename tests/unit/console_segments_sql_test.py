"""The SQL of docs/BI.md as it stands there, on DuckDB, over rows that Confluent's deserializer read: the command's own numbers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from services.common.events import Idea
from services.common.paths import ROOT
from services.console.segments.analysis.outcomes import Course, Outcome, rates
from services.console.segments.analysis.voices import voices
from services.console.segments.analysis.wishes import wishes
from services.console.segments.analysis.worth import low_evidence, worths
from services.console.segments.evidence import Evidence
from services.segmenter.domain.definition import Definition
from tests.independent_reader import StrangersDeserializer
from tests.registry_server import RegistryServer
from tests.unit.console_segments_world import DEFINITION, END, lived, read
from tests.unit.segmenter_world import BOARD, DAY, START, WORKSPACE, Segmenter, define

TABLES = ("feedback.enriched", "ideas", "ideas.demand", "people.segments", "people.transitions")
SINCE, UNTIL = START + 31 * DAY, END
BLOCKS = re.findall(
    r"```sql\n(.*?)```", (ROOT / "docs" / "BI.md").read_text().split("## Analysis by segment")[1].split("\n## ")[0], re.DOTALL
)
VIEWS, SIZES, TOP, OVER, SENTIMENT, LITTLE, RATES, MOVES = BLOCKS


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("sql"), DEFINITION)


@pytest.fixture(scope="module")
def segmenter(definition: Definition) -> Segmenter:
    found = asyncio.run(lived(definition))
    for name in ("sso", "dark", "pdf", "timer", "rare"):
        for version, title in ((1, "old"), (2, name)):
            found.publish(
                Idea(
                    idea_id=name, workspace=WORKSPACE, board=BOARD, version=version, root_id=name, title=title, status="open", people=1,
                    mentions=1, first_seen=START, last_seen=START, updated_at=START,
                )
            )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def evidence(segmenter: Segmenter) -> Evidence:
    return read(segmenter)


@pytest.fixture(scope="module")
def base(segmenter: Segmenter) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    with RegistryServer() as registry, StrangersDeserializer(registry.url) as stranger:
        for topic in TABLES:
            rows = [
                value
                for (name, _), records in sorted(segmenter.topics.items())
                if name == topic
                for record in records
                if (value := stranger.value(topic, record.value)) is not None
            ]
            _load(connection, topic.replace(".", "_"), rows)
    connection.execute(VIEWS)
    yield connection
    connection.close()


def _load(connection: duckdb.DuckDBPyConnection, table: str, rows: list[Any]) -> None:
    """Make a table of *rows*; a column's type is that of its values."""
    kinds = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", datetime: "TIMESTAMPTZ"}
    names = list(rows[0])
    types = [next((kinds[type(row[name])] for row in rows if row[name] is not None), "VARCHAR") for name in names]
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, types, strict=True))
    connection.execute(f"CREATE TABLE {table} ({columns})")
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})", [[row[name] for name in names] for row in rows])


def asked(base: duckdb.DuckDBPyConnection, query: str, scheme: str | None = None, **given: Any) -> list[dict[str, Any]]:
    found = base.execute(query, given or None)
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [row for row in rows if scheme is None or row["scheme"] == scheme]


def moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)


def test_sizes_of_segments(base: duckdb.DuckDBPyConnection) -> None:
    assert {(r["segment"], r["people"], r["share"]) for r in asked(base, SIZES, "plan")} == {("enterprise", 40, 0.5), ("free", 40, 0.5)}


def test_top_ideas_with_the_revenue_behind_them(base: duckdb.DuckDBPyConnection, evidence: Evidence) -> None:
    told = {(w.segment, w.root_id): (w.people, w.accounts, w.mrr_cents) for w in wishes(evidence, voices(evidence, then=True), "plan")}
    assert told == {(r["segment"], r["root_id"]): (r["people"], r["accounts"], r["mrr_cents"]) for r in asked(base, TOP, "plan")}


def test_over_represented_ideas(base: duckdb.DuckDBPyConnection, evidence: Evidence) -> None:
    rows = asked(base, OVER, "plan")
    told = {(w.segment, w.root_id): (w.people, w.of, w.index) for w in wishes(evidence, voices(evidence, then=True), "plan")}
    assert told == {(r["segment"], r["root_id"]): _near(r["people"], r["of_people"], r["index"]) for r in rows}
    sure = {(r["segment"], r["root_id"]) for r in rows if r["p_adjusted"] is not None and float(r["p_adjusted"]) < 0.05}
    assert ("enterprise", "sso") in sure


def _near(people: int, of: int, index: float | None) -> tuple[Any, ...]:
    return people, of, None if index is None else pytest.approx(index)


def test_sentiment_distribution(base: duckdb.DuckDBPyConnection, evidence: Evidence) -> None:
    rows = asked(base, SENTIMENT, "plan")
    said = [v.row.sentiment for v in voices(evidence, then=True) if v.segments["plan"] == "free"]
    free = next(row for row in rows if row["segment"] == "free")
    assert (free["mentions"], free["told"]) == (len(said), len([s for s in said if s is not None]))
    assert free["positive"] == len([s for s in said if s is not None and s > 0.05]) > 0
    assert all(row["negative"] + row["neutral"] + row["positive"] == row["told"] for row in rows)


def test_little_evidence_of_much_value(base: duckdb.DuckDBPyConnection, evidence: Evidence, definition: Definition) -> None:
    found = [w for w in worths(evidence, voices(evidence, then=True), definition, END) if w.clv is not None]
    by_revenue = [type(w)(w.root_id, w.people, w.accounts, w.mentions, w.mrr_cents, None) for w in found]
    assert {w.root_id for w in low_evidence(by_revenue)} <= {row["idea_id"] for row in asked(base, LITTLE)} | {"rare"}
    assert [row for row in asked(base, LITTLE) if row["people"] > 3] == []


def test_churn_by_the_segment_then(base: duckdb.DuckDBPyConnection, evidence: Evidence) -> None:
    course = Course(evidence.history.at(SINCE), evidence.history.at(UNTIL), [Outcome("churn", "life", frozenset({"churned"}))])
    rows = asked(base, RATES, "plan", since=moment(SINCE), until=moment(UNTIL), outcome_scheme="life", outcome="churned")
    found = {r["segment"]: (r["people"], r["hits"], r["low"], r["high"]) for r in rows}
    for rate in rates(course, "plan"):
        assert rate.share is not None
        near = (pytest.approx(rate.share.low, abs=1e-4), pytest.approx(rate.share.high, abs=1e-4))
        assert found[rate.segment] == (rate.people, rate.reached, *near)
    assert found["enterprise"][1] == 40


def test_moves_between_two_moments(base: duckdb.DuckDBPyConnection, evidence: Evidence) -> None:
    rows = asked(base, MOVES, "life", since=moment(SINCE), until=moment(UNTIL))
    moved: dict[tuple[str, str], int] = {}
    for row in rows:
        pair = (row["segment_then"], row["segment_later"])
        moved[pair] = moved.get(pair, 0) + 1
    assert moved == dict(evidence.history.migration("life", SINCE, UNTIL).counts)


def test_every_block_of_the_documentation_is_run_here() -> None:
    assert len(BLOCKS) == 8
    assert Path(ROOT / "docs" / "BI.md").read_text().count("```sql") == len(BLOCKS) + 1  # and ClickHouse's
