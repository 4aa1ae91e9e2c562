"""What rules can ask for: windows by event time, recency, answers, RFM, CLV, wishes; and when each changes by itself."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import ConfigurationError
from services.segmenter.domain.definition import Definition, Held
from services.segmenter.domain.facts import Facts
from services.segmenter.domain.mentions import KEPT_MENTIONS, Asked, words_of
from services.segmenter.domain.occurrences import KEPT_DAYS
from services.segmenter.domain.recency import DAY
from services.segmenter.domain.worth import CELL, Scores
from tests.unit.segmenter_world import START, define, person_event

ANN = "lumora:person:ann"
NOON = START // DAY * DAY + DAY // 2
BLOCKS = """
rfm:
  activity: [buy, renew]
  window: days(90)
  recency: [3, 10, 30, 60]
  frequency: [2, 3, 5, 8]
  monetary: [50, 100, 500, 1000]
  minimum: {count: 2, history: days(5)}
clv: {margin: 0.8, retention: 0.95, discount: 0.01, activity: buy, window: days(30)}
answers: {expire: days(40), confidence: 0.3}
lists:
  dach: [DE, AT, CH]
  europe: ["@dach", FR]
"""


def one_rule(folder: Path, when: str, blocks: str = BLOCKS, extra: str = "") -> Definition:
    """Return a definition whose only rule is *when*."""
    rule = (
        f"      - segment: hit\n        when: {when!r}\n{extra}"
        if "'" not in when
        else f'      - segment: hit\n        when: "{when}"\n{extra}'
    )
    return define(folder, f'version: "1"\n{blocks}schemes:\n  - name: one\n    rules:\n{rule}    default: miss\n')


def acted(*events: tuple[str, int, float | None], answers: tuple[tuple[str, int, str, float | None], ...] = ()) -> Facts:
    """Return what *events* (name, moment, amount) and *answers* (question, moment, JSON, confidence) add up to."""
    facts = Facts()
    for number, (name, moment, amount) in enumerate(events):
        facts.learn(person_event(number, "activity", ANN, max(moment, NOON), occurred_at=moment, name=name, amount=amount))
    for number, (question, moment, text, confidence) in enumerate(answers):
        facts.learn(person_event(900 + number, "answer", ANN, moment, name=question, answer_json=text, confidence=confidence))
    return facts


def hits(definition: Definition, facts: Facts, as_of: int = NOON, account: dict[str, Any] | None = None) -> bool:
    return definition.evaluate_person(facts, account or {}, as_of, Held()).segments["one"] == "hit"


WEEK = acted(*(("export", NOON - day * DAY, 2.5) for day in (0, 0, 1, 6, 29, 30)), ("save", NOON - 2 * DAY, None))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ('activity.count("export") == 6', True),
        ('activity.count("export", days(30)) == 5', True),
        ('activity.count("export", days(31)) == 6', True),
        ('activity.count("export", days(1)) == 2', True),
        ('activity.count("export", weeks(1)) == 4', True),
        ('activity.count("export", days(7), ago(1)) == 2', True),
        ('activity.count(["export", "save"], days(7)) == 5', True),
        ('activity.count("*", days(7)) == 5', True),
        ('activity.count("never", days(7)) == 0', True),
        ('activity.sum("export", days(30)) == 12.5', True),
        ('activity.days("export", days(30)) == 4', True),
        ('activity.days("*", days(7)) == 4', True),
        ("activity.kinds(days(7)) == 2", True),
        ('activity.kinds(["export", "share"], days(7)) == 1', True),
        ('activity.since_last("export") == 0 && activity.since_first("export") == 30', True),
        ('activity.since_last("never") > 3', False),
        ('!(activity.since_last("never") > 3)', False),
        ('activity.count("export", days(10)) * 2 > activity.count("export", days(60))', True),
    ],
)
def test_behavioural_rules_count_in_windows_of_event_time(tmp_path: Path, when: str, expected: bool) -> None:
    assert hits(one_rule(tmp_path, when), WEEK) is expected


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ('activity.count("a", days(x)) > 1', "expected texts in quotes"),
        ('activity.count("a", hours(3)) > 1', "unknown unit hours"),
        ('activity.count("a", 30) > 1', "a number alone says no unit"),
        ('activity.count("a", days(300), ago(90)) > 1', "looks back 390 days"),
        ('activity.counts("a") > 1', "unknown helper activity.counts"),
        ("activity.count(days(3)) > 1", "expected a name in quotes"),
        ('activity.days("a") > 1', "needs a window"),
        ('activity.sum("a") / 2 > 3.0', "CEL does not coerce"),
        ('activity.count("a")', "gives int, not true or false"),
        ("helpers.t0 > 1", "unknown variable 'helpers'"),
        ("rfm.x > 1", "unknown rfm.x"),
        ("person.traits.country in lists.mars", "unknown list 'mars'"),
        ('answer("q", days(3), 2) == "x"', "a confidence of 0 to 1"),
        ('asked.count("!") > 1', "words of two letters"),
    ],
)
def test_a_helper_that_is_used_wrongly_is_named_with_its_line(tmp_path: Path, when: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        one_rule(tmp_path, when)
    assert "segments.yaml:" in str(error.value)
    assert says in str(error.value)


def test_rfm_and_clv_need_their_blocks(tmp_path: Path) -> None:
    for when in ("rfm.r > 1", "clv > 1.0"):
        with pytest.raises(ConfigurationError, match="needs the block"):
            one_rule(tmp_path, when, blocks="")


def test_rfm_scores_follow_the_grid_and_wait_for_enough_data(tmp_path: Path) -> None:
    bought = [("buy", NOON - day * DAY, 60.0) for day in (40, 20, 2)]
    assert hits(
        one_rule(tmp_path, 'rfm.r == 5 && rfm.f == 3 && rfm.m == 3 && rfm.score == 533 && rfm.cell == "potential_loyalists"'),
        acted(*bought),
    )
    for too_little in ([bought[0]], [("buy", NOON, 60.0)] * 3):
        assert not hits(one_rule(tmp_path, "rfm.r >= 1"), acted(*too_little))
        assert hits(one_rule(tmp_path, "!has(rfm.r)"), acted(*too_little))


def test_the_rfm_grid_names_every_cell_once() -> None:
    assert {Scores(r, f, 1).cell for r in range(1, 6) for f in range(1, 6)} == set(CELL.values())
    assert len(CELL) == 25
    assert (Scores(5, 5, 1).cell, Scores(1, 1, 5).cell, Scores(2, 5, 3).cell) == ("champions", "hibernating", "cannot_lose")


def test_clv_is_margin_times_retention_over_what_leaves(tmp_path: Path) -> None:
    by_mrr = BLOCKS.replace(", activity: buy, window: days(30)", "")
    exact = 100 * 0.8 * 0.95 / (1 + 0.01 - 0.95)
    assert hits(one_rule(tmp_path, f"clv > {exact - 0.01} && clv < {exact + 0.01}", by_mrr), Facts(), account={"mrr": 100.0})
    assert not hits(one_rule(tmp_path, "clv >= 0.0", by_mrr), Facts())
    monthly = 90 / (30 / 30.4375) * 0.8 * 0.95 / (1 + 0.01 - 0.95)
    assert hits(
        one_rule(tmp_path, f"clv > {monthly - 0.01} && clv < {monthly + 0.01}"), acted(("buy", NOON, 90.0), ("buy", NOON - 30 * DAY, 9.0))
    )


def test_psychographic_answers_have_confidence_an_inferred_mark_and_an_expiry(tmp_path: Path) -> None:
    sure, guessed = ("style", NOON, '"visual"', None), ("style", NOON, '"visual"', 0.6)
    assert hits(one_rule(tmp_path, 'answer("style") == "visual" && !inferred("style")'), acted(answers=(sure,)))
    assert hits(one_rule(tmp_path, 'answer("style") == "visual" && inferred("style")'), acted(answers=(guessed,)))
    assert not hits(one_rule(tmp_path, 'answer("style", 0.7) == "visual"'), acted(answers=(guessed,)))
    assert not hits(one_rule(tmp_path, 'answers.style == "visual"'), acted(answers=(("style", NOON, '"visual"', 0.2),)))
    for when, days in (
        ('answer("style") == "visual"', 40),
        ('answers.style == "visual"', 40),
        ('answer("style", days(10)) == "visual"', 10),
    ):
        rule, facts = one_rule(tmp_path, when), acted(answers=(sure,))
        found = rule.evaluate_person(facts, {}, NOON, Held())
        assert (found.segments["one"], found.next_check_at) == ("hit", NOON + days * DAY)
        assert hits(rule, facts, NOON + days * DAY - 1)
        assert not hits(rule, facts, NOON + days * DAY)


def test_needs_come_from_the_ideas_asked_for_with_confidence(tmp_path: Path) -> None:
    facts = Facts()
    for number, text in enumerate(["Exporting to PDF, please!", "PDF export is blurry", "dark mode", "Ein Export als pdf"]):
        facts.ask(f"f{number}", Asked(NOON - number * 10 * DAY, f"lumora:idea:{number % 2}", words_of(text)))
    assert hits(one_rule(tmp_path, 'asked.count("pdf export") == 3'), facts)
    assert hits(one_rule(tmp_path, 'asked.count("export", days(15)) == 2'), facts)
    assert hits(one_rule(tmp_path, 'asked.share("dark") == 0.25'), facts)
    assert hits(one_rule(tmp_path, 'asked.confidence("pdf") > 0.30 && asked.confidence("pdf") < 0.31'), facts)
    assert hits(one_rule(tmp_path, 'asked.idea("lumora:idea:1")'), facts)
    assert not hits(one_rule(tmp_path, 'asked.share("pdf") >= 0.0'), Facts())
    facts.ask("f1", None)
    assert not hits(one_rule(tmp_path, 'asked.count("pdf export") == 3'), facts)


def test_geographic_lists_nest(tmp_path: Path) -> None:
    for country, expected in (("CH", True), ("FR", True), ("US", False)):
        facts = Facts()
        facts.learn(person_event(1, "profile", ANN, NOON, traits_json=f'{{"country":"{country}"}}'))
        assert hits(one_rule(tmp_path, "person.traits.country in lists.europe"), facts) is expected


@pytest.mark.parametrize(
    ("lists", "line", "says"), [('  a: ["@b"]\n  b: ["@a"]\n', 3, "contains itself"), ('  a: ["@zz"]\n', 3, "no list is called 'zz'")]
)
def test_a_list_that_contains_itself_or_nothing_is_refused(tmp_path: Path, lists: str, line: int, says: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"segments.yaml:{line}: lists.a.0: .*{says}"):
        one_rule(tmp_path, "true", blocks="lists:\n" + lists)


RULES = [
    'activity.count("a", days(3)) >= 2',
    '2 > activity.count("a", days(3))',
    'activity.count("a", days(2), ago(2)) == 1',
    'activity.sum("*", days(4)) > 3.5',
    '-1 < activity.sum("b", days(4)) && activity.days("*", days(5)) != 2',
    'activity.count("a", days(5)) > activity.count("b", days(5))',
    'activity.count("a", days(5)) + 1 > 3',
    "activity.kinds(days(3)) == 2",
    'activity.since_last("*") < 3 || activity.since_first("a") == 6',
    'activity.since_last("a") >= 2.5',
    "rfm.r >= 4 || rfm.m == 3",
    'rfm.cell == "champions"',
    "has(rfm.f)",
    "clv > 100.0",
    'answer("q", days(6)) == 3.0 || answers.q != 4',
    'inferred("q")',
    'asked.count("pdf", days(4)) > 0',
    'asked.share("pdf", days(4)) < 1.0',
]
AMOUNTS = st.sampled_from([None, 0.1, 0.7, 30.0, 250.25])
EVENTS = st.lists(st.tuples(st.sampled_from(["a", "b", "buy"]), st.integers(0, 12 * DAY), AMOUNTS), max_size=12)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Definition]:
    blocks = BLOCKS.replace("[3, 10, 30, 60]", "[0.5, 2, 4, 8]").replace("days(90)", "days(6)").replace("days(40)", "days(8)")
    return {when: one_rule(tmp_path_factory.mktemp("rules"), when, blocks) for when in RULES}


@settings(max_examples=200, deadline=None)
@given(
    when=st.sampled_from(RULES),
    events=EVENTS,
    answered=st.integers(0, 12 * DAY),
    confidence=st.sampled_from([None, 0.2, 0.9]),
    as_of=st.integers(0, 14 * DAY),
    seed=st.integers(0, 99),
)
def test_due_at_is_never_later_than_the_true_change(  # noqa: PLR0917 - what is drawn
    rules: dict[str, Definition],
    when: str,
    events: list[tuple[str, int, float | None]],
    answered: int,
    confidence: float | None,
    as_of: int,
    seed: int,
) -> None:
    base = START // DAY * DAY
    facts = acted(*((name, base + moment, amount) for name, moment, amount in events), answers=(("q", base + answered, "3", confidence),))
    facts.ask("f", Asked(base + answered, "i", ("pdf",)))
    facts.ask("g", Asked(base + answered // 2, "i", ("csv",)))
    now = base + as_of
    found = rules[when].evaluate_person(facts, {}, now, Held())
    check = found.next_check_at
    assert check is None or check > now
    chance = random.Random(seed)
    edges = [base + moment + day * DAY + shift for _, moment, _ in events for day in range(9) for shift in (-1, 0)]
    moments = {
        *edges,
        *(base + day * DAY - shift for day in range(24) for shift in (0, 1)),
        *(base + chance.randrange(40 * DAY) for _ in range(20)),
    }
    for moment in sorted(moments):
        if now < moment and (check is None or moment < check):
            assert rules[when].evaluate_person(facts, {}, moment, Held()).segments == found.segments, (moment - now) / DAY


@settings(max_examples=60, deadline=None)
@given(when=st.sampled_from([rule for rule in RULES if "+" not in rule]), events=EVENTS, as_of=st.integers(0, 14 * DAY))
def test_nobody_is_looked_at_again_for_ever(
    rules: dict[str, Definition], when: str, events: list[tuple[str, int, float | None]], as_of: int
) -> None:
    base = START // DAY * DAY
    facts = acted(*((name, base + moment, amount) for name, moment, amount in events))
    now: int | None = base + as_of
    checks = 0
    while now is not None:
        now = rules[when].evaluate_person(facts, {}, now, Held()).next_check_at
        checks += 1
    assert checks <= 4 * len(events) + 20


def test_a_comparison_wakes_nobody_before_it_can_change(tmp_path: Path) -> None:
    facts = acted(*(("export", NOON - day * DAY, None) for day in range(30)))
    found = one_rule(tmp_path, 'activity.count("export", days(30)) >= 3').evaluate_person(facts, {}, NOON, Held())
    assert found.next_check_at == NOON // DAY * DAY + 28 * DAY
    assert one_rule(tmp_path, 'activity.count("export") >= 3').evaluate_person(facts, {}, NOON, Held()).next_check_at is None


@settings(max_examples=80, deadline=None)
@given(
    events=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, (KEPT_DAYS + 50) * DAY), AMOUNTS), max_size=30),
    seed=st.integers(0, 2**32),
)
def test_order_and_lateness_of_activity_do_not_matter(events: list[tuple[str, int, float | None]], seed: int) -> None:
    arrived = START + (KEPT_DAYS + 50) * DAY
    shuffled = list(enumerate(events))
    random.Random(seed).shuffle(shuffled)
    one, other = Facts(), Facts()
    for facts, order in ((one, list(enumerate(events))), (other, shuffled)):
        for place, (number, (name, moment, amount)) in enumerate(order):
            facts.learn(person_event(number, "activity", ANN, arrived + place, occurred_at=START + moment, name=name, amount=amount))
    assert one.activity == other.activity


def test_what_is_kept_of_a_person_is_bounded() -> None:
    facts = Facts()
    for number in range(1000):
        moment = START + number * DAY
        facts.learn(person_event(number, "activity", ANN, moment, name="a"))
        facts.learn(person_event(number, "activity", ANN, moment, name=f"other {number}"))
        facts.ask(f"f{number}", Asked(moment, "i", ("word",)))
    assert (facts.activity["a"].count, len(facts.activity["a"].days)) == (1000, KEPT_DAYS + 1)
    assert (len(facts.activity), len(facts.asked)) == (256, KEPT_MENTIONS)
    assert min(mention.at for mention in facts.asked.values()) == START + 900 * DAY
