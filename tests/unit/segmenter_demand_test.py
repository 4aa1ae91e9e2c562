"""``ideas.demand`` beyond its counts: how fast it grows, what is over-represented, whose words stand for it; all as a recount has it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from services.common.events import Decision, EnrichedFeedback, IdeaDemand
from services.common.ids import board_key
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.quotes import excerpt
from services.segmenter.domain.significance import Share, chance_of_more, lift
from tests.unit.segmenter_history import History, Truth
from tests.unit.segmenter_laws_test import LENGTHS, SEEDS, interleaved
from tests.unit.segmenter_world import DAY, START, WORKSPACE, Board, Segmenter, define, person_event, told

_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("definition"))


@dataclass
class Spoken:
    """A mention as the decisions of a board leave it, read without the segmenter's own code."""

    person: str
    idea: str
    at: int
    text: str


class Recount:
    """What the mentions of a board add up to."""

    def __init__(self, history: History, definition: Definition, board: str) -> None:
        self.truth, self.history, self.place = Truth(history, definition), history, history.boards[board]
        self.mentions: dict[str, Spoken] = {}
        for event in history.events:
            if isinstance(event, Decision) and event.board == board and event.type == "linked":
                self.mentions[event.feedback_id or ""] = Spoken("", "", event.occurred_at, event.text or "")
        for feedback, (person, idea) in self.place.links.items():
            self.mentions[feedback].person, self.mentions[feedback].idea = person, idea
        self.mentions = {name: said for name, said in self.mentions.items() if said.idea}

    def human(self, feedback: str) -> str:
        return self.history.human(self.mentions[feedback].person)

    def segment(self, human: str, scheme: str) -> str:
        return (self.truth.memberships[human] or {}).get(scheme, "unknown")

    def of(self, root: str) -> list[str]:
        return [name for name, said in self.mentions.items() if self.place.root(said.idea) == root]

    def velocity(self, feedback: list[str], today: int) -> tuple[int, int]:
        ages = [today - self.mentions[name].at // DAY for name in feedback]
        return sum(0 <= age < 28 for age in ages), sum(28 <= age < 56 for age in ages)

    def best(self, feedback: list[str]) -> str | None:
        """Return the newest whole text of a readable length, else the newest that says anything."""
        said = [name for name in feedback if excerpt(self.mentions[name].text)]
        return min(said, key=lambda n: (len(self.mentions[n].text) < 40, -self.mentions[n].at, n), default=None)


class LongHistory(History):
    """A history that takes months, in which people say different things."""

    def __init__(self, chance: random.Random, length: int) -> None:
        self._texts = ("Dark mode", "Please make the export of a board as good as the board itself", "It does not work for me")
        super().__init__(chance, length)

    def _link(self) -> None:
        self._now += self._chance.choice([0, 0, 9 * DAY])
        super()._link()
        event = self.events[-1]
        assert isinstance(event, Decision)
        fields = {name: getattr(event, name) for name in event.__slots__}
        self.events[-1] = Decision(**{**fields, "text": self._chance.choice(self._texts)})


@settings(max_examples=60, deadline=None, suppress_health_check=_SLOW)
@given(seed=SEEDS, length=LENGTHS)
@example(seed=2357269, length=32)  # whoever is quoted goes to another account, and no number changes by it
async def test_a_demand_says_what_a_recount_says_whatever_was_merged_moved_and_joined(
    definition: Definition, seed: int, length: int
) -> None:
    chance = random.Random(seed)
    history = LongHistory(chance, length)
    segmenter = Segmenter(definition)
    segmenter.publish(*interleaved(history, chance))  # type: ignore[arg-type]
    await segmenter.drain(chance)
    newest: dict[str, IdeaDemand] = {}
    for row in segmenter.events(IdeaDemand):
        newest[row.idea_id] = max(newest.get(row.idea_id, row), row, key=lambda one: one.version)
    for board in history.boards:
        recount = Recount(history, definition, board)
        rows = [row for row in newest.values() if row.board == board and row.mentions]
        assert {row.idea_id for row in rows} == {recount.place.root(said.idea) for said in recount.mentions.values()}
        for row in rows:
            _check(row, recount)
        entries = len(await segmenter.stores.boards.read(board_key(WORKSPACE, board), 0, 10_000))
        for row in [row for row in rows if row.version == entries]:
            _check_against_the_board(row, recount, definition)


def _check(row: IdeaDemand, recount: Recount) -> None:
    feedback, today = recount.of(row.idea_id), row.updated_at // DAY
    assert (row.recent_mentions, row.earlier_mentions) == recount.velocity(feedback, today)
    expected = {recount.best(feedback)}
    for scheme, cells in orjson.loads(row.segments_json).items():
        for segment, cell in cells.items():
            inside = [name for name in feedback if recount.segment(recount.human(name), scheme) == segment]
            assert (cell["recent_mentions"], cell["earlier_mentions"]) == recount.velocity(inside, today)
            expected.add(recount.best(inside))
    quotes = orjson.loads(row.quotes_json)
    assert {quote["feedback_id"] for quote in quotes} == expected - {None}
    for quote in quotes:
        said = recount.mentions[quote["feedback_id"]]
        assert (quote["text"], quote["occurred_at"], quote["source"]) == (said.text, said.at, "mail")
        human = recount.human(quote["feedback_id"])
        assert quote["account_id"] == recount.truth.company[human]
        assert all(recount.segment(human, scheme) == segment for scheme, segment in quote["segments"].items())


def _check_against_the_board(row: IdeaDemand, recount: Recount, definition: Definition) -> None:
    """Only what was said last is held against the board as it is at the end."""
    everybody = {recount.human(name) for name in recount.mentions}
    asking = {recount.human(name) for name in recount.of(row.idea_id)}
    assert row.board_people == len(everybody)
    groups = {(scheme.name, recount.segment(human, scheme.name)) for scheme in definition.schemes for human in everybody}
    assert row.comparisons == len(groups) * len({recount.place.root(said.idea) for said in recount.mentions.values()})
    for scheme, cells in orjson.loads(row.segments_json).items():
        for segment, cell in cells.items():
            if segment == "unknown":
                continue
            inside = {human for human in everybody if recount.segment(human, scheme) == segment}
            rest = len(inside - asking)
            expected = (len(inside & asking) / len(asking)) / (rest / len(everybody - asking)) if rest else None
            assert cell["lift"] == (None if expected is None else round(expected, 3))
            assert cell["p"] <= 1.0


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 60), st.integers(1, 400), st.data())
def test_the_chance_is_fishers_exact_test(asking: int, others: int, data: st.DataObject) -> None:
    idea = Share(data.draw(st.integers(0, asking)), asking)
    rest = Share(data.draw(st.integers(0, others)), others)
    exact = hypergeom.sf(idea.inside - 1, asking + others, idea.inside + rest.inside, asking)
    found = chance_of_more(idea, rest)
    if idea.inside * (asking + others) > (idea.inside + rest.inside) * asking:
        assert found == pytest.approx(exact, rel=1e-6)
    else:
        assert found == 1.0


def test_a_large_idea_is_held_against_a_large_board() -> None:
    idea, rest = Share(1_100, 10_000), Share(19_000, 190_000)
    assert chance_of_more(idea, rest) == pytest.approx(hypergeom.sf(1_099, 200_000, 20_100, 10_000), rel=1e-6)
    assert lift(idea, rest) == pytest.approx(1.1)
    assert chance_of_more(Share(5, 5), Share(0, 0)) == 1.0
    assert lift(Share(5, 5), Share(0, 7)) is None


async def test_chance_alone_over_represents_nothing_and_a_real_difference_shows(definition: Definition) -> None:
    chance, segmenter, board = random.Random(5), Segmenter(definition), Board()
    people = [f"{WORKSPACE}:person:{number}" for number in range(300)]
    roles = ['{"role":"designer"}' if number % 3 == 0 else "{}" for number in range(300)]
    segmenter.publish(*(person_event(n, "profile", who, START, traits_json=roles[n]) for n, who in enumerate(people)))
    await segmenter.drain()
    links = [board.link(f"n{n}", who, f"noise-{chance.randrange(12)}") for n, who in enumerate(people)]
    links += [board.link(f"d{n}", people[n], "design") for n in range(0, 90, 3)]
    segmenter.publish(*links)
    await segmenter.drain()
    rows = {row.idea_id: row for row in segmenter.events(IdeaDemand)}
    assert rows["design"].over_represented == "role=designer"
    assert {row.over_represented for name, row in rows.items() if name != "design"} == {""}
    cell = orjson.loads(rows["design"].segments_json)["role"]["designer"]
    assert cell["p_adjusted"] == pytest.approx(cell["p"] * rows["design"].comparisons, rel=0.01)
    assert cell["p"] == pytest.approx(hypergeom.sf(29, 300, 100, 30), rel=0.01)


async def test_quotes_are_whole_sentences_with_source_and_date(definition: Definition) -> None:
    segmenter, board = Segmenter(definition), Board()
    texts = ("No!", "Please add a dark theme, it hurts my eyes at night", "word " * 200, "Dark mode please")
    for number, text in enumerate(texts):
        fields = {"feedback_id": f"f{number}", "person_id": f"{WORKSPACE}:person:{number}", "text": text, "source": "app"}
        decision = board.decide("linked", START + number, idea_id="i", **fields)
        await told(segmenter, decision)
    quotes = orjson.loads(segmenter.events(IdeaDemand)[-1].quotes_json)
    assert [(q["feedback_id"], q["text"], q["source"], q["occurred_at"]) for q in quotes] == [("f1", texts[1], "app", START + 1)]
    assert excerpt("No!") == ""
    assert len(excerpt("word " * 200)) <= 280
    assert excerpt("word " * 200).endswith("word…")


@pytest.mark.parametrize(
    ("text", "language", "sounds"),
    [
        ("I love this, it is great", None, 1),
        ("The export is broken and I hate it", None, -1),
        ("The export opens a window", "en-GB", 0),
        ("Die Art, wie das stirbt, ist gut", None, None),
        ("Bitte macht die App schneller, sie ist super", None, None),
        ("I love this, it is great", "de", None),
        ("Le menu est horrible et la police est bad", None, None),
        ("   ", None, None),
        ("12345", None, None),
    ],
)
async def test_each_enriched_event_says_how_it_sounds_where_it_is_english(
    definition: Definition, text: str, language: str | None, sounds: int | None
) -> None:
    segmenter = Segmenter(definition)
    ann = f"{WORKSPACE}:person:ann"
    fields = {"feedback_id": "f", "person_id": ann, "idea_id": "i", "text": text, "language": language}
    await told(segmenter, Board().decide("linked", START, **fields))
    found = segmenter.events(EnrichedFeedback)[0].sentiment
    assert sounds == (None if found is None else (found > 0) - (found < 0))


async def test_an_enriched_event_names_the_first_and_the_current_root(definition: Definition) -> None:
    segmenter, board = Segmenter(definition), Board()
    ann = f"{WORKSPACE}:person:ann"
    await told(segmenter, board.decide("merged", START, idea_id="i1", other_idea_id="top"), board.link("f", ann, "i1"))
    await told(segmenter, board.decide("moved", START, feedback_id="f", person_id=ann, idea_id="i2", other_idea_id="i1"))
    unlinked = board.decide("unlinked", START, feedback_id="f", person_id=ann, idea_id="i2", method="revision", reason="revised")
    await told(segmenter, unlinked, board.link("f", ann, "i3", revision=1))
    rows: list[Any] = segmenter.events(EnrichedFeedback)
    assert [(row.first_idea_id, row.first_root_id, row.idea_id, row.root_id) for row in rows] == [
        ("i1", "top", "i1", "top"),
        ("i1", "top", "i2", "i2"),
        ("i1", "top", "i3", "i3"),
    ]


def test_the_short_way_to_a_sentiment_gives_what_the_library_gives() -> None:
    from services.segmenter.domain import sentiment  # noqa: PLC0415 - its inside is what is looked at

    analyser: Any = sentiment._analyser()
    hedges = "very kind of not no never least at but so GREAT BAD!!! isn't without doubt the :) , ok? never so this or nor"
    hedges += " bad ass yeah right don't kiss of death \u00c9 \U0001f600 Not-bad (good)"
    words = [*sorted(analyser.lexicon)[::150], *hedges.split()]
    chance = random.Random(1)
    for _ in range(2_000):
        text = " ".join(chance.choices(words, k=chance.randrange(1, 12)))
        assert sentiment.sentiment(text, "en") == analyser.polarity_scores(text)["compound"], text


async def test_a_hot_idea_is_told_once_a_batch_with_all_that_the_batch_brought(definition: Definition) -> None:
    segmenter, board = Segmenter(definition), Board()
    segmenter.publish(*(board.link(f"f{n}", f"{WORKSPACE}:person:{n}", "i") for n in range(50)))
    (place,) = segmenter.unread()
    await segmenter.take(place, 50)
    (row,) = segmenter.events(IdeaDemand)
    assert (row.people, row.version) == (50, 50)
    assert len(segmenter.events(EnrichedFeedback)) == 50
