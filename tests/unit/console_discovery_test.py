"""Discovery: it finds the groups that are there, and none where there are none."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import orjson
import pytest
from sklearn.datasets import load_wine
from sklearn.metrics import adjusted_rand_score

from services.console.segments.clustering import clustered
from services.console.segments.discovery import NOTE, Discovery, discover
from services.console.segments.evidence import TOPICS, Evidence
from services.console.segments.printing import print_discovery
from services.segmenter.domain.loading import load_definition
from services.segmenter.domain.recency import DAY
from services.segmenter.offline import fold
from tests.unit.segmenter_world import CODEC, START, WORKSPACE, Board, account, person_event

NOW = START + 100 * DAY


def crowd(groups: int, people: int = 150) -> Evidence:
    """Return *people* who belong to so many groups by role, plan and use; in one group they are all alike but for chance."""
    chance = random.Random(groups)
    accounts = [
        account("big", 1, plan="enterprise", mrr_cents=900_000),
        account("mid", 1, plan="team", mrr_cents=20_000),
        account("tiny", 1, plan="free"),
    ]
    events, board, decisions = [], Board(), []
    for number in range(people):
        person, group = f"{WORKSPACE}:person:p{number:03}", number % groups
        role = ("admin", "designer", "teacher")[group] if groups > 1 else chance.choice(["admin", "designer", "teacher"])
        home = accounts[group] if groups > 1 else chance.choice(accounts)
        traits = orjson.dumps({"role": role}).decode()
        events.append(person_event(10_000 + number, "profile", person, NOW, account_id=home.account_id, traits_json=traits))
        for use in range(chance.randrange(3) + (6, 18, 30)[group]):
            at = NOW - chance.randrange(1, 60) * DAY
            events.append(
                person_event(20_000 + 100 * number + use, "activity", person, NOW, occurred_at=at, name=chance.choice(["open", "export"]))
            )
        decisions.append(board.link(f"f{number}", person, f"i{group}"))
    empty = Evidence.of(CODEC, {topic: [] for topic in TOPICS}, WORKSPACE)
    return Evidence(fold(events, accounts, decisions), empty.rows, empty.history, {}, {f"i{n}": f"Idea {n}" for n in range(3)}, events)


@pytest.fixture(scope="module")
def found() -> Discovery:
    return discover(crowd(3), NOW, most=6)


def test_the_groups_that_are_there_are_found_and_described(found: Discovery) -> None:
    assert found.best is not None
    assert found.best.clusters == 3
    assert sorted(persona.people for persona in found.personas) == [50, 50, 50]
    assert min(min(persona.precision, persona.recall) for persona in found.personas) > 0.95
    assert all(persona.ideas and persona.ideas[0].startswith("Idea ") and persona.traits for persona in found.personas)


def test_a_draft_is_a_valid_definition_that_is_marked_and_never_applied_by_itself(found: Discovery, tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    path.write_text(found.draft())
    assert NOTE in found.draft()
    assert [scheme.name for scheme in load_definition(path).schemes] == ["discovered"]


def test_where_there_are_no_groups_none_are_found(tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    assert clustered(chance.normal(size=(200, 6))).best is None
    assert clustered(chance.normal(size=(20, 2))).best is None
    assert clustered(np.empty((100, 0))).best is None


def test_three_growers_of_wine_are_told_apart() -> None:
    wine = load_wine()
    found = clustered(np.asarray(wine.data, dtype=np.float64))
    assert found.best is not None
    assert found.best.clusters == 3
    assert adjusted_rand_score(wine.target, found.labels) > 0.8


def test_discovery_repeats_and_prints(found: Discovery, capsys: pytest.CaptureFixture[str]) -> None:
    again = discover(crowd(3), NOW, most=6)
    assert again == found
    print_discovery(found, NOTE)
    print_discovery(discover(crowd(1, 30), NOW), NOTE)
    printed = capsys.readouterr().out
    assert "Correlational" in printed
    assert "No natural clusters" in printed
