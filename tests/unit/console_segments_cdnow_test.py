"""2,357 real customers of CDNOW through RFM, lifetime value, life cycle and analysis, held to what their authors published.

P. Fader, B. Hardie, K. Lee, "Counting Your Customers the Easy Way", Marketing Science 24 (2005): 39 weeks to learn from, 39 to judge by.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import fmean

import pytest

from services.console.segments.analysis.outcomes import Course, Outcome, rates, recomputed
from services.console.segments.evidence import TOPICS, Evidence
from services.segmenter.domain.definition import Definition, Held
from services.segmenter.domain.occurrences import Window
from services.segmenter.domain.terms import Age, Amount, Subject
from services.segmenter.domain.worth import Clv
from services.segmenter.offline import Population, fold
from tests.support import cdnow
from tests.unit.segmenter_world import CODEC, DAY, define

DEFINITION = """
version: "1"
rfm:
  activity: [purchase]
  window: days(273)
  recency: [60, 120, 180, 220]
  frequency: [2, 3, 4, 6]
  monetary: [20, 40, 80, 160]
  minimum: {count: 1, history: days(1)}
clv: {activity: [purchase], window: days(273), margin: 0.3, retention: 0.95, discount: 0.01}
schemes:
  - name: rfm
    rules:
      - {segment: champions, when: 'rfm.cell == "champions"'}
      - {segment: loyal, when: 'rfm.cell in ["loyal", "potential_loyalists", "need_attention"]'}
      - {segment: once_lately, when: 'rfm.cell in ["new_customers", "promising", "about_to_sleep"]'}
      - {segment: at_risk, when: 'rfm.cell in ["at_risk", "cannot_lose"]'}
    default: hibernating
  - name: repeats
    rules:
      - {segment: "0", when: 'activity.days("purchase", days(366)) <= 1'}
      - {segment: "1", when: 'activity.days("purchase", days(366)) == 2'}
      - {segment: "2", when: 'activity.days("purchase", days(366)) == 3'}
      - {segment: "3", when: 'activity.days("purchase", days(366)) == 4'}
      - {segment: "4", when: 'activity.days("purchase", days(366)) == 5'}
      - {segment: "5", when: 'activity.days("purchase", days(366)) == 6'}
      - {segment: "6", when: 'activity.days("purchase", days(366)) == 7'}
    default: 7-and-more
  - name: life
    rules:
      - {segment: churned, when: 'activity.since_last("purchase") >= 180'}
      - {segment: at_risk, when: 'activity.since_last("purchase") >= 90'}
      - {segment: new, when: 'activity.since_first("purchase") < 90'}
    default: active
  - name: value
    rules: [{segment: high, when: clv >= 80.0}, {segment: middle, when: clv >= 20.0}]
    default: low
"""
THEN, LATER = (cdnow.noon(day) for day in (cdnow.CALIBRATION_END, cdnow.LAST_DAY))


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("cdnow"), DEFINITION)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    empty = Evidence.of(CODEC, {topic: [] for topic in TOPICS}, cdnow.WORKSPACE)
    told = list(cdnow.events(cdnow.purchases()))
    return Evidence(fold(told, [], []), empty.rows, empty.history, {}, {}, told)


@pytest.fixture(scope="module")
def population(evidence: Evidence) -> Population:
    """As of the end of the 39 weeks."""
    return fold([event for event in evidence.events if event.occurred_at <= THEN], [], [])


@pytest.fixture(scope="module")
def then(evidence: Evidence, definition: Definition) -> dict[str, dict[str, str]]:
    return recomputed(evidence, definition, THEN)


@pytest.fixture(scope="module")
def afterwards() -> dict[str, list[float]]:
    """Each customer's purchases in the 39 weeks after."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for purchase in cdnow.purchases():
        if purchase.day > cdnow.CALIBRATION_END:
            found[cdnow.person(purchase.customer)].append(purchase.dollars)
    return found


def test_recency_frequency_and_age_are_those_of_the_published_table(population: Population) -> None:
    days, first, last = Amount("days", ("purchase",), Window(366)), Age("first", ("purchase",)), Age("last", ("purchase",))
    table = cdnow.published()
    assert len(table) == len(population.humans) == 2357
    for customer, truth in table.items():
        who = Subject(population.humans[cdnow.person(customer)].facts, {})
        counted, since_first, since_last = (term.value(who, THEN) for term in (days, first, last))
        assert counted - 1 == truth.repeats, customer
        assert (since_first - since_last) / 7 == pytest.approx(truth.recency_weeks, abs=0.006), customer
        assert since_first / 7 == pytest.approx(truth.observed_weeks, abs=0.006), customer


def test_money_is_that_of_the_published_table(population: Population) -> None:
    spent, firsts = Amount("sum", ("purchase",), Window(366)), defaultdict[str, float](float)
    first_day = {p.customer: p.day for p in reversed(cdnow.purchases())}
    for purchase in cdnow.purchases():
        if purchase.day == first_day[purchase.customer]:
            firsts[cdnow.person(purchase.customer)] += purchase.dollars
    for customer, truth in cdnow.published().items():
        name = cdnow.person(customer)
        if truth.repeats:
            total = spent.value(Subject(population.humans[name].facts, {}), THEN)
            assert (total - firsts[name]) / truth.repeats == pytest.approx(truth.mean_dollars, abs=0.006), customer


def test_how_many_came_back_how_often_is_what_the_paper_says(then: dict[str, dict[str, str]]) -> None:
    counts = Counter(segments["repeats"] for segments in then.values())
    assert [counts[str(n)] for n in range(7)] + [counts["7-and-more"]] == [1411, 439, 214, 100, 62, 38, 29, 64]


def test_value_based_rfm_tells_who_buys_in_the_weeks_to_come(
    then: dict[str, dict[str, str]], afterwards: dict[str, list[float]]
) -> None:  # fmt: skip
    bought = {segment: fmean(len(afterwards.get(p, ())) for p, s in then.items() if s["rfm"] == segment) for segment in _cells(then)}
    assert max(bought, key=lambda segment: bought[segment]) == "champions"
    assert min(bought, key=lambda segment: bought[segment]) == "hibernating"
    assert bought["champions"] > 10 * bought["hibernating"]


def test_value_based_clv_ranks_what_is_spent_afterwards(
    definition: Definition, population: Population, then: dict[str, dict[str, str]], afterwards: dict[str, list[float]]
) -> None:  # fmt: skip
    clv = next(watch.term for watch in definition.watches if isinstance(watch.term, Clv))
    human = population.humans[cdnow.person(1)]
    monthly = (29.33 + 29.73 + 14.96) / (273 / 30.4375)
    assert clv.value(Subject(human.facts, {}), THEN) == pytest.approx(monthly * 0.3 * 0.95 / (1 + 0.01 - 0.95))
    spent = {tier: fmean(sum(afterwards.get(p, ())) for p, s in then.items() if s["value"] == tier) for tier in ("high", "middle", "low")}
    assert spent["high"] > 2 * spent["middle"] > 2 * spent["low"]


def test_lifecycle_goes_both_ways_and_churn_differs_by_the_segment_at_the_time(
    evidence: Evidence, definition: Definition, then: dict[str, dict[str, str]]
) -> None:
    later = recomputed(evidence, definition, LATER)
    back = [p for p, segments in then.items() if segments["life"] == "churned" and later[p]["life"] == "active"]
    assert len(back) > 50, "some come back after half a year"
    lost = Outcome("churn", "life", frozenset({"churned"}), is_loss=True)
    told = {rate.segment: rate for rate in rates(Course(then, later, [lost]), "rfm")}
    assert told["champions"].reached / told["champions"].people < 0.35
    assert told["once_lately"].reached / told["once_lately"].people > 0.6
    assert (told["champions"].q or 0) < 1e-9


def test_time_alone_wakes_a_customer_when_the_life_cycle_changes(definition: Definition, population: Population) -> None:
    human = population.humans[cdnow.person(1)]  # bought last on the 2nd of August
    found = definition.evaluate_person(human.facts, {}, THEN, Held())
    assert found.segments["life"] == "active"
    assert found.next_check_at is not None
    assert found.next_check_at <= human.facts.activity["purchase"].last_seen + 90 * DAY


def _cells(then: dict[str, dict[str, str]]) -> set[str]:
    return {segments["rfm"] for segments in then.values()}
