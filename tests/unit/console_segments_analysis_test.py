"""``groundswell segments analyse``: planted differences are found, with their sizes; what is chance is not called one."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from services.console.failures import CommandFailed
from services.console.segments.analysis.chance import mean, share, superiority, together, unlike
from services.console.segments.analysis.customers import KINDS, best
from services.console.segments.analysis.outcomes import Course, Outcome, rates, read_outcome, recomputed, usual_outcomes
from services.console.segments.analysis.printing import analysis_json, print_analysis
from services.console.segments.analysis.voices import voices
from services.console.segments.analysis.whole import Analysis, Question, SchemeAnalysis, analysed
from services.console.segments.analysis.wishes import over_represented, wishes
from services.console.segments.analysis.worth import Worth, low_evidence
from services.console.segments.evidence import Evidence
from services.segmenter.domain.definition import Definition
from tests.unit.console_segments_world import DEFINITION, END, eighty, person
from tests.unit.segmenter_world import DAY, START, define


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("segments"), DEFINITION)


@pytest.fixture(scope="module")
def evidence(definition: Definition) -> Evidence:
    return asyncio.run(eighty(definition))


@pytest.fixture(scope="module")
def found(evidence: Evidence, definition: Definition) -> Analysis:
    outcomes = usual_outcomes(definition)
    return analysed(evidence, definition, Question(["plan", "worth"], START + 29 * DAY, END, outcomes, by_events=True))


@pytest.fixture(scope="module")
def plan(found: Analysis) -> SchemeAnalysis:
    return found.schemes[0]


def test_over_represented_ideas_against_the_rest_with_significance(plan: SchemeAnalysis) -> None:
    special = over_represented(plan.wishes)
    assert [(wish.segment, wish.root_id) for wish in special][:1] == [("enterprise", "sso")]
    assert (special[0].people, special[0].of, special[0].rest_people, special[0].index) == (27, 40, 0, None)
    assert {wish.segment for wish in special if wish.root_id != "sso"} <= {"free"}
    assert next(wish for wish in plan.wishes if wish.root_id == "rare").q is None, "one person is no evidence for a test"


def test_what_is_chance_is_called_over_represented_in_few_schemes_of_a_hundred(evidence: Evidence) -> None:
    chance, false = random.Random(11), 0
    heard = voices(evidence, then=True)
    for _ in range(100):
        drawn = {voice.person_id: chance.choice("abcd") for voice in heard}
        shuffled = [type(v)(v.person_id, v.root_id, {"s": drawn[v.person_id]}, v.row, v.valence) for v in heard]
        false += bool(over_represented(wishes(evidence, shuffled, "s")))
    assert false <= 10


def test_who_is_unknown_is_not_the_rest(evidence: Evidence) -> None:
    heard = voices(evidence, then=True)
    veiled = [v if int(v.person_id[-3:]) % 2 else type(v)(v.person_id, v.root_id, {"plan": "unknown"}, v.row, v.valence) for v in heard]
    assert {(w.of, w.rest_of) for w in wishes(evidence, veiled, "plan")} == {(20, 20)}


async def test_feedback_counts_in_the_segments_of_its_moment_or_of_now(evidence: Evidence) -> None:
    then, now = ({w.segment for w in wishes(evidence, voices(evidence, then=t), "life")} for t in (True, False))
    assert now == {"churned", "power"}
    assert then != now


def test_sentiment_distribution_by_segment(plan: SchemeAnalysis) -> None:
    enterprise, free = plan.moods
    assert (enterprise.negative, enterprise.positive, free.negative, free.positive) == (41, 0, 0, 40)
    assert enterprise.mean is not None
    assert (enterprise.mean.value, free.told) == (-1.0, 40)


def test_value_behind_each_idea_counts_an_account_once(found: Analysis) -> None:
    sso = next(worth for worth in found.worths if worth.root_id == "sso")
    assert (sso.people, sso.accounts, sso.mentions) == (27, 8, 27)
    assert sso.mrr_cents == sum(500_000 + n for n in range(8))
    assert sso.clv == pytest.approx(sso.mrr_cents / 100 * 0.8 * 0.97 / (1 + 0.01 - 0.97))


def test_low_evidence_of_high_value_is_listed_to_be_asked_about() -> None:
    many = [Worth(f"i{n}", 20 - n, 5, 30, 10_000 * n, None) for n in range(8)]
    rare, cheap, loud = Worth("rare", 1, 1, 1, 90_000, None), Worth("cheap", 1, 1, 1, 100, None), Worth("loud", 40, 9, 60, 99_000, None)
    assert low_evidence([*many, rare, cheap, loud]) == [rare]
    assert low_evidence([]) == low_evidence([Worth("free", 1, 0, 1, 0, None)]) == []


def test_conversion_and_churn_by_the_segment_at_the_time(plan: SchemeAnalysis) -> None:
    told = {(rate.outcome, rate.segment): rate for rate in plan.rates}
    churn, kept = told["churn", "enterprise"], told["churn", "free"]
    assert (churn.people, churn.reached, kept.reached) == (40, 40, 0)
    assert churn.q is not None
    assert churn.q < 0.001
    assert churn.share is not None
    assert churn.share.low > 0.9
    assert told["activation", "free"].reached == 40


def test_the_past_as_it_was_published_and_as_it_happened(evidence: Evidence, definition: Definition) -> None:
    outcome = Outcome("churn", "life", frozenset({"churned"}), is_loss=True)
    course = Course(evidence.history.at(START + 31 * DAY), evidence.history.at(END), [outcome])
    assert {(r.segment, r.people, r.reached) for r in rates(course, "plan")} == {("enterprise", 40, 40), ("free", 40, 0)}
    assert recomputed(evidence, definition, START - 1) == {}
    assert recomputed(evidence, definition, START + 29 * DAY)[person(0)]["life"] == "power"


def test_a_fit_scorecard_with_confidence_intervals(plan: SchemeAnalysis) -> None:
    enterprise, free = plan.fits
    by = {score.criterion: score for score in enterprise.scores}
    assert by["revenue a month, by account"].fit.value == 100
    assert by["revenue a month, by account"].fit.low < 90, "eight accounts prove little, however clear they are"
    assert (by["mood"].fit.value, by["no churn"].fit.value) == (0, 0)
    assert enterprise.overall is not None
    assert free.overall is not None
    assert enterprise.overall.low < enterprise.overall.value < enterprise.overall.high < free.overall.value
    assert enterprise.overall.value + free.overall.value == pytest.approx(100)


def test_generated_personas_have_name_size_jobs_pains_gains_and_quotes(plan: SchemeAnalysis) -> None:
    enterprise, free = plan.portraits
    assert (enterprise.people, enterprise.share) == (40, 0.5)
    assert enterprise.name == "enterprise (admin)"
    assert enterprise.jobs[0].startswith("share results (")
    assert any(job.startswith("sso (27 of 40") for job in enterprise.jobs)
    assert enterprise.pains
    assert enterprise.gains == [] == free.pains
    assert free.gains
    assert enterprise.quotes[0].startswith("“We cannot use it without single sign-on” (mail, ")
    assert any("role == 'admin': 100%, of the others 0%" in trait for trait in enterprise.traits) or enterprise.traits


def test_best_customers_are_three_separate_scores_never_one(found: Analysis) -> None:
    volume, performance = (best(found.customers, kind) for kind in ("volume", "performance"))
    assert volume[0].name == "Enterprise 7"
    assert all((customer.name or "").startswith("Free") for customer in performance)
    assert all((customer.name or "").startswith("Free") for customer in best(found.customers, "win")[:8])
    assert set(KINDS) == {"volume", "performance", "win"}
    assert not {"score", "total", "overall"} & set(dir(volume[0]))


def test_it_prints_and_is_json_and_says_that_nothing_is_a_cause(found: Analysis, capsys: pytest.CaptureFixture[str]) -> None:
    print_analysis(found)
    printed = capsys.readouterr().out
    for text in ("over-represented", "sentiment", "what became of them", "fit", "To be asked about", "Best customers by win", "never one"):
        assert text in printed, text
    print_analysis(replace(found, worths=[], customers=[]))
    assert "Ideas by what stands behind them: none" in capsys.readouterr().out
    told = json.loads(json.dumps(analysis_json(found), default=str))
    assert told["schemes"][0]["wishes"][0].keys() >= {"index", "q", "over_represented", "mrr_cents", "title"}
    assert "causes" in told["note"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("churn", "expected NAME=SCHEME:SEGMENT"),
        ("churn=plan", "expected NAME=SCHEME:SEGMENT"),
        ("churn=plans:free", "no scheme 'plans'; there are plan, life, worth"),
        ("churn=plan:gone", "plan has no segment gone; it has enterprise, free"),
    ],
)
def test_a_wrong_outcome_is_refused_with_what_there_is(text: str, why: str, definition: Definition) -> None:
    with pytest.raises(CommandFailed, match=r"--loss .*") as failed:
        read_outcome(text, definition, is_loss=True)
    assert why in str(failed.value)
    assert read_outcome("won=plan:enterprise,free", definition, is_loss=False).segments == {"enterprise", "free"}


@given(hits=st.integers(0, 200), misses=st.integers(0, 200))
def test_a_share_lies_in_its_interval(hits: int, misses: int) -> None:
    found = share(hits, hits + misses)
    if found is None:
        assert hits + misses == 0
        return
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    chance = np.random.default_rng(5)
    truths = chance.uniform(0.05, 0.95, size=1000)
    held = [(truth, share(int(chance.binomial(40, truth)), 40)) for truth in truths]
    assert 0.93 <= sum(i is not None and i.low <= truth <= i.high for truth, i in held) / 1000 <= 0.97
    means = [mean(list(chance.normal(0.3, 0.1, size=12)), -9, 9) for _ in range(1000)]
    assert 0.93 <= sum(i is not None and i.low <= 0.3 <= i.high for i in means) / 1000 <= 0.97
    assert mean([1.0], -9, 9) is None


@given(st.lists(st.floats(0, 1), max_size=40))
def test_many_tests_make_each_less_sure_and_keep_their_order(chances: Sequence[float]) -> None:
    found = together(list(chances))
    assert all(q >= p - 1e-12 for p, q in zip(chances, found, strict=True))
    ranked = [q for _, q in sorted(zip(chances, found, strict=True))]
    assert ranked == sorted(ranked)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_superiority_is_the_area_under_the_curve(inside: list[int], rest: list[int]) -> None:
    ours, theirs = superiority(np.array(inside, dtype=np.float64), np.array(rest, dtype=np.float64))
    truth = roc_auc_score([1] * len(inside) + [0] * len(rest), inside + rest)
    assert ours.mean() == pytest.approx(truth)
    assert theirs.mean() == pytest.approx(truth)


def test_a_difference_of_shares_is_fishers() -> None:
    assert unlike(3, 4, 1, 4) == pytest.approx(0.4857, abs=1e-4)  # the lady who tasted tea
    assert unlike(0, 10, 0, 10) == 1


def test_the_command_names_schemes_that_are_not_there(tmp_path: Path) -> None:
    from typer.testing import CliRunner  # noqa: PLC0415 - only here

    from services.console.commands.segments import app  # noqa: PLC0415 - only here

    define(tmp_path, DEFINITION)
    ended = CliRunner().invoke(app, ["analyse", str(tmp_path / "segments.yaml"), "--scheme", "plans"])
    assert ended.exit_code == 2
    assert "no scheme plans; there are plan, life, worth" in ended.output
