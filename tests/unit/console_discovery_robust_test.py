"""Discovery on people as they are: of mixed types, half known, alike, few, or very many."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from services.console.segments import clustering
from services.console.segments.clustering import clustered
from services.console.segments.discovery import discover
from services.console.segments.evidence import TOPICS, Evidence
from services.console.segments.features import features, matrix_of
from services.segmenter.domain.compiling import compiled
from services.segmenter.domain.helpers import Settings, Terms
from services.segmenter.domain.loading import load_definition
from services.segmenter.offline import Human, fold
from tests.unit.segmenter_world import CODEC, START, WORKSPACE, person_event

TRAITS = st.dictionaries(
    st.sampled_from(["role", "seats", "admin", "a b", "ключ", 'quo"te', "none"]),
    st.one_of(
        st.none(), st.booleans(), st.integers(-5, 5), st.floats(-9, 9), st.sampled_from(["x", "y", ""]), st.just([1]), st.just({"z": 1})
    ),
)


def people(traits: list[dict[str, Any]]) -> Evidence:
    """Return people with these traits, and nothing else known of them."""
    events = [
        person_event(number, "profile", f"{WORKSPACE}:person:{number:05}", START, traits_json=orjson.dumps(given).decode())
        for number, given in enumerate(traits)
    ]
    empty = Evidence.of(CODEC, {topic: [] for topic in TOPICS}, WORKSPACE)
    return Evidence(fold(events, [], []), empty.rows, empty.history, {}, {}, events)


def humans(evidence: Evidence) -> list[Human]:
    return list(evidence.population.humans.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(TRAITS, min_size=1, max_size=25))
def test_any_traits_make_columns_of_numbers_whose_conditions_are_rules(traits: list[dict[str, Any]]) -> None:
    crowd = humans(people(traits))
    columns = features(crowd, START)
    rows = matrix_of(len(crowd), columns)
    assert rows.shape == (len(crowd), len(columns))
    assert not np.isinf(rows).any()
    for column in columns:
        for above in (True, False):
            for threshold in (0.5, column.below + 0.5):
                compiled(column.condition(threshold, above=above), Terms(Settings()))


def test_a_field_of_several_types_has_columns_for_each() -> None:
    traits = [{"seats": n % 7} if n % 3 == 0 else {"seats": "many"} if n % 3 == 1 else {"seats": n % 2 == 0} for n in range(90)]
    kinds = {(c.kind, c.equals) for c in features(humans(people(traits)), START) if "seats" in c.expression}
    assert kinds >= {("number", None), ("is", "many"), ("is", True)}


def test_what_is_the_same_for_all_is_no_column() -> None:
    crowd = humans(people([{"role": "x", "seats": 3, "admin": True} for _ in range(50)]))
    assert features(crowd, START) == []
    assert discover(people([{"role": "x"} for _ in range(50)]), START).best is None


@pytest.mark.parametrize("number", [0, 1, 12, 39])
def test_few_people_give_no_clusters_however_different_they_are(number: int) -> None:
    found = discover(people([{"role": "ab"[n % 2], "seats": 100 * (n % 2)} for n in range(number)]), START)
    assert (found.best, found.personas, found.people, found.draft()) == (None, [], number, "")


def test_missing_values_do_not_hide_groups_and_are_no_group_of_zeros(tmp_path: Path) -> None:
    chance = random.Random(6)
    group = [n % 3 for n in range(240)]
    full = [
        {"seats": 10 ** (g + 1) + chance.randrange(3), "role": "abc"[g], "admin": g == 1, "hours": 5 * g + chance.random()} for g in group
    ]
    holes = [{name: value for name, value in one.items() if chance.random() > 0.12} for one in full]
    evidence = people(holes)
    found = discover(evidence, START, most=5)
    assert found.best is not None
    path = tmp_path / "draft.yaml"
    path.write_text(found.draft())
    named = load_definition(path)
    crowd = humans(evidence)
    columns = [column for column in features(crowd, START) if not column.is_presence]
    rows = clustered(matrix_of(len(crowd), columns, scaled=True), 5)
    assert adjusted_rand_score(group, rows.labels) > 0.7
    assert {rule.segment for rule in named.schemes[0].rules} == {persona.name for persona in found.personas}


def test_to_be_unknown_makes_nobody_alike() -> None:
    chance = random.Random(9)
    traits = [
        {"seats": chance.randrange(50), "hours": chance.randrange(50)} if n % 4 else {"hours": chance.randrange(50)} for n in range(200)
    ]
    assert discover(people(traits), START, most=4).best is None


def test_what_is_not_known_is_asked_for_by_has_and_not_by_a_number() -> None:
    column = next(c for c in features(humans(people([{"seats": n} if n % 2 else {} for n in range(60)])), START) if c.kind == "number")
    assert column.condition(column.below + 0.5, above=False) == "!(has(person.traits.seats))"
    assert column.condition(column.below + 0.5, above=True) == "has(person.traits.seats)"
    assert column.condition(30.5, above=False) == "person.traits.seats <= 30"


def test_clusters_are_chosen_on_people_that_they_have_not_seen() -> None:
    rows = np.random.default_rng(2).normal(size=(90, 3))
    found = clustered(rows)
    assert found.holdout.sum() == 30
    moved = rows.copy()
    moved[found.holdout] += np.arange(30)[:, None] % 2 * 50.0  # two groups, in the holdout only
    assert clustered(moved).best is None


def test_the_work_is_bounded_whatever_the_number_of_people(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[int] = []
    true = clustering._fitted

    def counted(rows: clustering.Matrix, k: int, seed: int = 0) -> Any:
        fitted.append(len(rows))
        return true(rows[:200], k, seed)

    monkeypatch.setattr(clustering, "_fitted", counted)
    clustered(np.random.default_rng(1).normal(size=(50_000, 3)), 3)
    assert max(fitted) <= 4_000
    assert len(fitted) <= 2 * (1 + 20 + 5)
