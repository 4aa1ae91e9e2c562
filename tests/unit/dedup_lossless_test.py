"""Whatever a human does to ideas is undone by its inverse; of several, in whatever order, by `undo`: dedup_undo_test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.events import Decision
from services.dedup.domain.board import Board
from services.dedup.domain.decide import decide
from services.dedup.domain.entry import Entry, read_entry
from services.dedup.domain.states import idea_state
from tests.fakes_dedup import BOARDS, DIMENSIONS, WORKSPACE, FakeEncoder, command, event_of, submitted

LAW = settings(max_examples=150, deadline=None)
_TEXTS = (
    "dark mode",
    "dark mode please",
    "dark theme",
    "export to pdf",
    "pdf export please",
    "crash on start",
    "billing page",
    "logo",
    "dark mode",
)
_SUGGESTED = "dark mode please export"

_KINDS = ("merge", "unmerge", "move", "split", "rename", "accept", "dismiss")
STEPS = st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=12)
_Wish: TypeAlias = dict[str, str]


class Table:
    """A board with ideas, hands that act on it, and the log of what came of it."""

    def __init__(self) -> None:
        self.board = Board(WORKSPACE, BOARDS[0], DIMENSIONS)
        self.log: list[Entry] = []
        for place, text in enumerate((*_TEXTS, _SUGGESTED), start=1):
            self._decide(submitted(place, text, person=f"p{place % 4}"))

    def order(self, name: str, **fields: Any) -> tuple[Decision, ...]:
        """Give a command; return the decisions."""
        return self._decide(command(len(self.log) + 1, name, **fields)).decisions

    def act(self, kind: str, one: int, other: int) -> tuple[Decision, ...]:
        """Give some command of *kind* that means something here."""
        ideas, feedback = sorted(self.board.ideas), sorted(self.board.links)
        idea, second = ideas[one % len(ideas)], ideas[other % len(ideas)]
        match kind:
            case "move" | "split":
                return self.order(kind, idea_id=idea, feedback_id=feedback[other % len(feedback)])
            case "rename":
                return self.order(kind, idea_id=idea, title=f"Title {other}")
            case "accept" | "dismiss":
                pairs = sorted(self.board.suggestions)
                idea, second = pairs[one % len(pairs)] if pairs else (idea, second)
        return self.order(kind, idea_id=idea, other_idea_id=second)

    def undo(self, said: Sequence[Decision], titles: dict[str, str]) -> None:
        """Take back what *said* established, last first; *titles* are those of before."""
        for decision in reversed(said):
            wish = _inverse(decision, titles)
            if wish is not None:
                name = wish.pop("name")
                assert "refused" not in {made.type for made in self.order(name, **wish)}

    def titles(self) -> dict[str, str]:
        """Return the title of each idea."""
        return {name: idea.title for name, idea in self.board.ideas.items()}

    def _decide(self, event: Any) -> Entry:
        self.log.append(decide(self.board, event, "o/0/0", lambda text: FakeEncoder().encode([text])[0]))
        return self.log[-1]


def _inverse(decision: Decision, titles: dict[str, str]) -> _Wish | None:
    """Return the command that takes *decision* back; None for what changes neither votes, nor requesters, nor clusters."""
    idea, other = decision.idea_id or "", decision.other_idea_id or ""
    match decision.type:
        case "merged":
            return {"name": "unmerge", "idea_id": idea, "other_idea_id": other}
        case "unmerged":  # merging again would lead to where the other one leads by then
            return {"name": "undo", "idea_id": idea, "undone_event_id": decision.event_id}
        case "moved" | "split":
            return {"name": "move", "idea_id": other, "feedback_id": decision.feedback_id or ""}
        case "renamed":
            return {"name": "rename", "idea_id": idea, "title": titles[idea]}
    return None


def picture(board: Board) -> dict[str, Any]:
    """Return all that counts: clusters, their votes, requesters, titles, and where each link is."""
    roots = {board.root_of(link.idea_id) for link in board.links.values()}
    clusters = {}
    for root in roots:
        state, tally = idea_state(board, root, 0, 0), board.family(root)
        moments = (state.people, state.mentions, state.first_seen, state.last_seen)
        clusters[root] = (
            frozenset(tally.people),
            moments,
            frozenset(f for f in board.links if board.root_of(board.links[f].idea_id) == root),
        )
    pointers = {idea: board.root_of(idea) for idea in board.ideas if board.ideas[idea].links}
    return {"clusters": clusters, "links": {f: link.idea_id for f, link in board.links.items()}, "pointers": pointers}


@LAW
@given(steps=STEPS, probe=st.tuples(st.sampled_from(_KINDS), st.integers(0, 40), st.integers(0, 40)))
def test_each_is_undone_exactly_wherever_it_was_done(steps: Sequence[tuple[str, int, int]], probe: tuple[str, int, int]) -> None:
    table = Table()
    for step in steps:
        table.act(*step)
    before, titles = picture(table.board), table.titles()

    table.undo(table.act(*probe), titles)

    assert picture(table.board) == before
    assert {name: title for name, title in table.titles().items() if name in titles} == titles


@LAW
@given(steps=STEPS, order=st.randoms(use_true_random=False))
def test_what_touches_different_ideas_is_undone_in_any_order(steps: Sequence[tuple[str, int, int]], order: Any) -> None:
    table = Table()
    before = picture(table.board)
    done, touched = [], set[str]()
    for step in steps:
        titles = table.titles()
        said = table.act(*step)
        names = {name for made in said for name in (made.idea_id, made.other_idea_id, made.feedback_id, made.root_id) if name}
        families = {table.board.root_of(name) if name in table.board.ideas else name for name in names} | names
        if touched & families:
            table.undo(said, titles)
        else:
            touched |= families
            done.append((said, titles))
    order.shuffle(done)

    for said, titles in done:
        table.undo(said, titles)

    assert picture(table.board) == before


@LAW
@given(steps=STEPS)
def test_each_is_idempotent(steps: Sequence[tuple[str, int, int]]) -> None:
    table = Table()
    for kind, one, other in steps:
        table.act(kind, one, other)
        before, titles, suggestions = picture(table.board), table.titles(), dict(table.board.suggestions)
        if kind != "split":  # which opens an idea, so that the same numbers name other ideas
            table.act(kind, one, other)
        assert (picture(table.board), table.titles(), table.board.suggestions) == (before, titles, suggestions)


@LAW
@given(steps=STEPS, idea=st.integers(0, 40), feedback=st.integers(0, 40))
def test_a_split_is_idempotent(steps: Sequence[tuple[str, int, int]], idea: int, feedback: int) -> None:
    table = Table()
    for step in steps:
        table.act(*step)
    names, texts = sorted(table.board.ideas), sorted(table.board.links)
    wish = {"idea_id": names[idea % len(names)], "feedback_id": texts[feedback % len(texts)]}
    first = table.order("split", **wish)
    before = picture(table.board)

    again = table.order("split", **wish)

    assert {made.type for made in again} <= ({"refused"} if "refused" in {made.type for made in first} else set())
    assert picture(table.board) == before


@LAW
@given(steps=STEPS)
def test_a_folded_board_is_the_decided_one(steps: Sequence[tuple[str, int, int]]) -> None:
    table = Table()
    for step in steps:
        table.act(*step)
    folded = Board(WORKSPACE, BOARDS[0], DIMENSIONS)
    for entry in table.log:
        folded.fold(read_entry(entry.board, entry.position, entry.body(), entry.vector))

    assert picture(table.board) == picture(folded)
    assert (table.board.kept_apart, table.board.splits) == (folded.kept_apart, folded.splits)


@pytest.mark.parametrize("name", ["merge", "unmerge", "accept", "dismiss"])
def test_an_idea_of_another_board_is_refused(name: str) -> None:
    table, other = Table(), Board(WORKSPACE, BOARDS[1], DIMENSIONS)
    stranger = submitted(90, "dark mode", board=BOARDS[1])
    decide(other, stranger, "o/0/0", lambda text: FakeEncoder().encode([text])[0])
    idea, foreign = min(table.board.ideas), next(iter(other.ideas))
    before = picture(table.board)

    for pair in ((idea, foreign), (foreign, idea)):
        assert [made.type for made in table.order(name, idea_id=pair[0], other_idea_id=pair[1])] == ["refused"]
    for kind in ("move", "split"):
        said = table.order(kind, idea_id=foreign, feedback_id=min(table.board.links))
        assert [made.type for made in said] == ["refused"]
        assert [made.type for made in table.order(kind, idea_id=idea, feedback_id="lumora:feedback:90")] == ["refused"]
    assert picture(table.board) == before


def test_a_retracted_text_does_not_hinder_an_undo() -> None:
    table = Table()
    titles = table.titles()
    said = table.act("split", 0, 0)
    feedback = min(table.board.links)
    decide(table.board, event_of(99, type="retracted", feedback_id=feedback, revision=5), "o/0/0", lambda _: pytest.fail("no text"))

    table.undo([made for made in said if made.feedback_id != feedback], titles)

    assert feedback not in table.board.links
