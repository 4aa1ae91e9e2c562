"""A board's working state: the fold of its log. Deciding changes it through ``apply`` and ``link`` only, loading it through ``fold``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from services.common.clock import Micros
from services.common.events import BoardEvent, Decision
from services.common.ids import board_key, decision_ids, idea_ids
from services.dedup.domain.acts import Acts
from services.dedup.domain.calibration import Calibration
from services.dedup.domain.doubts import Doubts, Pair
from services.dedup.domain.entry import Entry, PersonPointer
from services.dedup.domain.forest import Forest
from services.dedup.domain.holding import Holding
from services.dedup.domain.ideas import IdeaState, Link, Standing, Tallies, Tally
from services.dedup.domain.index import Units, in_units
from services.dedup.domain.links import Links
from services.dedup.domain.methods import UNDO, VOTE
from services.dedup.domain.policy import BALANCED, Bands, Policy
from services.dedup.domain.portrait import kept, portrait
from services.dedup.domain.votes import Vote, Votes

_FAMILY = "family of "
_ANSWERS = ("suggested", "accepted", "dismissed")


class Board:
    """One board, as far as its log has been folded."""

    def __init__(self, workspace: str, board: str, dimensions: int, policy: Policy = BALANCED) -> None:
        self.workspace, self.board = workspace, board
        self.key = board_key(workspace, board)
        self.decision_id, self.idea_id = decision_ids(workspace, board), idea_ids(workspace, board)
        """Give a decision's id by its sequence, an idea's by the event that opens it."""
        self.position = 0
        """Of the last entry of the log."""
        self.sequence = 0
        """Of the last decision."""
        self.ideas: dict[str, IdeaState] = {}
        self.slots: list[IdeaState] = []
        self.merges, self.persons = Forest(), Forest()
        self.links = Links()
        self.acts, self.calibration, self.votes = Acts(), Calibration(), Votes()
        self._doubts = doubts = Doubts(self.acts.is_in_force)
        self.suggestions, self.scores, self.kept_apart, self.fresh = doubts.suggestions, doubts.scores, doubts.kept_apart, doubts.fresh
        self.splits, self.looked_at = doubts.splits, doubts.looked_at
        self.merged_by_hand, self.merged_by_repair = doubts.merged_by_hand, doubts.merged_by_repair
        self.policy = policy
        """For decisions to come; folding does not ask it."""
        self._holding = holding = Holding(dimensions)
        self.index, self.wordings, self.vocabulary = holding.index, holding.wordings, holding.vocabulary
        self.touched: dict[str, int] = {}
        """Ideas whose published state has changed since it was last cleared, each with the sequence of the decision that changed it."""
        self.latest: Micros = 0
        """The latest moment at which anyone spoke: what is recent is so by this, never by a clock."""
        self.changed: set[str] = set()
        """Of the touched ideas those that lost a text, or were merged or unmerged: their portraits hold no longer."""
        self._positions: dict[str, int] = {}
        self._bands: tuple[Policy, float, float, Bands] | None = None
        self._tallies = Tallies(self.persons.root)

    def __len__(self) -> int:
        """Return how many texts it holds in memory."""
        return len(self.index)

    @property
    def bands(self) -> Bands:
        """From which scores on it merges and suggests at this moment."""
        policy, threshold, eager = self.policy, self.calibration.threshold, self.calibration.eager
        known = self._bands
        if known is None or known[0] is not policy or known[1] != threshold or known[2] != eager:
            self._bands = known = policy, threshold, eager, policy.bands(threshold, eager)
        return known[3]

    def position_of(self, event_id: str) -> int | None:
        """Return where the log speaks of *event_id*; None for an event that is new."""
        return self._positions.get(event_id)

    def idea_of(self, feedback_id: str) -> str | None:
        """Return the idea that *feedback_id* is linked to."""
        link = self.links.get(feedback_id)
        return None if link is None else link.idea_id

    def root_of(self, idea_id: str) -> str:
        """Return where the pointers of *idea_id* end."""
        return self.merges.root(idea_id)

    def own(self, idea_id: str) -> Tally:
        """Count the links of *idea_id* itself."""
        return self._tallies.of(idea_id, self.ideas[idea_id].links.values())

    def family(self, root_id: str) -> Tally:
        """Count the links of all ideas whose pointers end at *root_id*."""
        if self.merges.is_alone(root_id):
            return self.own(root_id)
        return self._tallies.of(_FAMILY + root_id, self._family_links(root_id))

    def rows_below(self, root_id: str) -> list[int]:
        """Return the rows of all texts of the family of *root_id*, in ascending order."""
        return sorted({link.row for link in self._family_links(root_id) if link.row >= 0})

    def fold(self, entry: Entry) -> None:
        """Take in the next entry of the log, as it was decided.

        Raises:
            ValueError: It is not the next one.
        """
        if entry.position != self.position + 1:
            raise ValueError(f"the log of {self.key} goes from {self.position} to {entry.position}")
        vector = None if entry.vector is None else in_units(np.frombuffer(entry.vector, "<f4"))
        for decision in entry.decisions:
            self.apply(decision, vector)
        if entry.seen is not None:
            self.see(*entry.seen)
        if entry.persons is not None:
            self.point_person(entry.persons)
        if entry.erased is not None:
            self.erase(entry.erased)
        if entry.census is not None:
            self.calibration.take(entry.census)
        if entry.undone is not None:
            self.undo(entry.undone, entry.event_id)
        self.close(entry)

    def close(self, entry: Entry) -> None:
        """Record that *entry*, whose decisions were applied, is the last of the log."""
        author = entry.author
        for idea in entry.ideas:
            state = self.ideas[idea.idea_id]
            state.version, state.said_by = idea.version, author
            only = state.only
            text = None if only is None or only.row < 0 else self.wordings.text(only.row)
            state.portrait = kept(portrait(idea.quote or "", tuple((idea.keywords or "").split()), idea.mentions), text)
        event_id = entry.decisions[-1].event_id if entry.decisions else entry.event_id  # the string that the link has, not its equal
        self._positions[event_id] = self.position = entry.position
        self.touched.clear()
        self.changed.clear()

    def see(self, feedback_id: str, revision: int, vote: Vote | None) -> None:
        """Remember the newest *revision* of a piece of feedback, and what it is a vote for."""
        self.links.see(feedback_id, revision)
        self.votes.put(feedback_id, vote)

    def apply(self, decision: Decision, vector: Units | None = None) -> None:
        """Make *decision* so. *vector* is the linked text's where its idea does not hold it yet."""
        self.sequence = decision.sequence
        if decision.type == "linked":
            if decision.method == VOTE:
                self.votes.recall(decision)
            self.link(decision, decision.idea_id or "", vector, has_words=decision.method != VOTE)
            return
        idea_id = decision.idea_id or ""
        self.acts.take(decision, self.ideas.get(idea_id))
        self._make_so(decision, idea_id)
        if decision.type in ("opened", "unlinked") or (decision.method == UNDO and decision.type in _ANSWERS):
            return  # they say nothing of pairs of ideas, or what ``undo`` says
        about = idea_id if decision.type != "split" else self.root_of(decision.other_idea_id or "")
        answer = self._doubts.take(decision, about, lambda root: len(self.rows_below(root)))
        if answer is not None:
            self.calibration.learn(*answer)

    def _make_so(self, decision: Decision, idea_id: str) -> None:
        match decision.type:
            case "opened":
                self._open(idea_id, decision.title or "", decision.occurred_at)
            case "unlinked":
                self._unlink(decision.feedback_id or "")
            case "moved" | "split":
                self._move(decision.feedback_id or "", idea_id)
            case "accepted" if decision.method != UNDO:
                between = self.merges.between(idea_id, decision.other_idea_id or idea_id)
                self._doubts.confirm(decision.event_id, [(idea, self.merges.parent(idea) or "") for idea in between])
            case "merged" | "unmerged":
                self._relate(decision.type, idea_id, decision.other_idea_id or "")
            case "renamed":
                self.ideas[idea_id].title, self.ideas[idea_id].titled_by = decision.title or "", decision.person_id or ""
                self._touch(idea_id)
            case "status_changed":
                self.ideas[idea_id].standing = Standing(
                    decision.status or "", decision.reason, decision.release_id, decision.release_name, decision.release_url
                )
                self._touch(idea_id)

    def link(
        self, said: Decision | BoardEvent, idea_id: str, vector: Units | None, *, has_words: bool = True, row: int | None = None
    ) -> str:
        """Link what was *said* to *idea_id*, and return the root under which that counts; see ``apply`` for *vector*.

        *row* is where the idea holds the text already, if whoever asks has looked.
        """
        idea, text = self.ideas[idea_id], said.text
        feedback, person, at = said.feedback_id or "", said.person_id or "", said.occurred_at
        row = self._holding.hold(idea.slot, text, feedback, vector, row) if text and has_words else -1
        if idea.titled_by is None:
            idea.name(person, text, at)
        link = Link(feedback, person, idea.idea_id, row, said.event_id, at)
        self.links.put(link)
        idea.put(link)
        if at > self.latest:  # noqa: PLR1730 - ``max`` costs three times as much
            self.latest = at
        return self._count(link)

    def undo(self, event_id: str, by: str) -> list[tuple[Pair, str]]:
        """Let the event *by* undo the command *event_id*, which is in force; return the suggestions that this changes, and their state."""
        changed = self.acts.undo(event_id, by)
        self._doubts.reconsider(changed)
        return changed

    def point_person(self, pointer: PersonPointer) -> None:
        """Let a person count as another, or as one of its own again; touches the ideas that count differently then."""
        links = [link for person in self.persons.below(pointer.person_id) for link in self.links.of_person(person)]
        ideas = {link.idea_id for link in links} | {self.root_of(link.idea_id) for link in links}
        before = {idea: (len(self.own(idea).people), len(self.family(idea).people)) for idea in ideas}
        if pointer.joined:
            self.persons.join(pointer.person_id, pointer.other_person_id)
        else:
            self.persons.cut(pointer.person_id)
        for idea in ideas:
            self._forget(idea)
        for idea in ideas:
            if (len(self.own(idea).people), len(self.family(idea).people)) != before[idea]:
                self.touched.setdefault(idea, 0)

    def erase(self, person_id: str) -> None:
        """Let go of what a person said: the links stay, and count."""
        self.acts.erase(person_id)
        self.votes.erase(person_id)
        for link in self.links.of_person(person_id):
            self._holding.release(link)
            link.row = -1
            for idea_id in (link.idea_id, self.root_of(link.idea_id)):
                self._change(idea_id)
        # Their events go, and whoever reads the rest again must end with their states all the same.
        self.touched = {idea.idea_id: 0 for idea in self.slots if idea.said_by == person_id} | self.touched

    def _open(self, idea_id: str, title: str, at: Micros) -> None:
        self.ideas[idea_id] = idea = IdeaState(idea_id, self.index.open(), title, at)
        self.slots.append(idea)
        self._touch(idea_id)

    def _unlink(self, feedback_id: str) -> None:
        link = self.links.take_out(feedback_id)
        self.ideas[link.idea_id].drop(feedback_id)
        self._holding.release(link)
        self._forget(link.idea_id)
        self._change(link.idea_id)
        self._change(self.root_of(link.idea_id))

    def _move(self, feedback_id: str, idea_id: str) -> None:
        link = self.links[feedback_id]
        former, idea = self.ideas[link.idea_id], self.ideas[idea_id]
        held = None if link.row < 0 else (self.wordings.text(link.row), self.index.vector(link.row))
        former.drop(feedback_id)
        self._holding.release(link)
        self._forget(former.idea_id)
        self._change(former.idea_id)
        self._change(self.root_of(former.idea_id))
        link.idea_id = idea_id
        link.row = -1 if held is None else self._holding.hold(idea.slot, held[0], feedback_id, held[1])
        if idea.titled_by is None:
            idea.titled_by = link.person_id
        idea.put(link)
        self._count(link)

    def _relate(self, how: str, child: str, parent: str) -> None:
        self.merges.join(child, parent) if how == "merged" else self.merges.cut(child)
        self._tallies.forget(_FAMILY + child)
        for idea in self.merges.below(child):
            self._change(idea)
        for idea in self.merges.chain(parent):
            self._tallies.forget(_FAMILY + idea)
            self._change(idea)

    def _count(self, link: Link) -> str:
        idea_id, root = link.idea_id, self.merges.root(link.idea_id)
        self._tallies.add(idea_id, link)
        self.touched[idea_id] = self.sequence
        if root != idea_id or not self.merges.is_alone(root):
            self.touched[root] = self.sequence
            self._tallies.add(_FAMILY + root, link)
        return root

    def _forget(self, idea_id: str) -> None:
        self._tallies.forget(idea_id)
        self._tallies.forget(_FAMILY + self.root_of(idea_id))

    def _touch(self, idea_id: str) -> None:
        self.touched[idea_id] = self.sequence

    def _change(self, idea_id: str) -> None:
        self._touch(idea_id)
        self.changed.add(idea_id)

    def _family_links(self, root_id: str) -> Iterator[Link]:
        for idea_id in self.merges.below(root_id):
            yield from self.ideas[idea_id].links.values()
