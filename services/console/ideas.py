"""A board's ideas with the demand behind them, as the published topics tell it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.common.codec import Codec
from services.common.events import Decision, Idea, IdeaDemand
from services.common.records import Record
from services.console.board import Links, candidates_of, decoded, find, in_order, newest
from services.console.cluster import Cluster
from services.console.context import codec

BOARD_TOPICS = ("ideas", "ideas.demand", "board.decisions")


@dataclass(frozen=True, slots=True)
class Weighed:
    """An idea that a text, or another idea, was compared with, and the parts of its score; None where a part was not needed."""

    idea_id: str
    title: str
    score: float | None
    centroid: float | None
    member: float | None
    penalty: float | None
    nearest_event: str | None
    nearest_text: str | None
    """The idea's text that is nearest, as it was said first."""

    @classmethod
    def of(cls, entry: Mapping[str, Any], ideas: Mapping[str, Idea], said: Mapping[str, str]) -> Weighed:
        """Return *entry* of a decision's candidates with its titles and texts."""
        idea, nearest = str(entry["idea"]), entry.get("nearest")
        title = ideas[idea].title if idea in ideas else ""
        parts = (entry.get("score"), entry.get("centroid"), entry.get("member"), entry.get("penalty"))
        return cls(idea, title, *parts, nearest, said.get(nearest or ""))


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and what it was weighed against, best first."""

    decision: Decision
    candidates: list[Weighed]


@dataclass(frozen=True, slots=True)
class BoardView:
    """One board at one moment."""

    ideas: Mapping[str, Idea]
    demand: Mapping[str, IdeaDemand]
    decisions: list[Decision]
    """In the board's order."""
    elsewhere: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How many ideas there are on other boards, by workspace and board."""

    @classmethod
    def of(cls, codec: Codec, records: Mapping[str, list[Record]], workspace: str, board: str) -> BoardView:
        """Return the view that *records* of ``BOARD_TOPICS`` give."""
        ideas = newest(decoded(codec, Idea, records["ideas"]))
        demand = newest(decoded(codec, IdeaDemand, records["ideas.demand"]))
        decisions = in_order(decoded(codec, Decision, records["board.decisions"]))
        place = (workspace, board)
        return cls(
            {key: idea for key, idea in ideas.items() if (idea.workspace, idea.board) == place},
            {key: idea for key, idea in demand.items() if (idea.workspace, idea.board) == place},
            [decision for decision in decisions if (decision.workspace, decision.board) == place],
            Counter(there for idea in ideas.values() if (there := (idea.workspace, idea.board)) != place),
        )

    def lacks(self, workspace: str, board: str) -> str | None:
        """Return, where the board has no ideas, which ones have; None where it has some."""
        if self.ideas:
            return None
        others = [f"{there}/{name} ({count})" for (there, name), count in sorted(self.elsewhere.items())]
        return f"{workspace}/{board} has no ideas; " + (f"there are some on {', '.join(others)}" if others else "nor has any other board")

    def ranked(self) -> list[str]:
        """Return the roots that somebody asks for, most people first, then most mentions."""
        roots = [idea for idea in self.ideas.values() if idea.root_id == idea.idea_id and idea.mentions > 0]
        return [idea.idea_id for idea in sorted(roots, key=lambda idea: (-idea.people, -idea.mentions, idea.first_seen, idea.idea_id))]

    def askers(self, idea_id: str) -> set[str]:
        """Return the persons whose feedback is linked to the root *idea_id* or to an idea that was merged into it."""
        links = self.links()
        return {links.person_of[feedback] for feedback in links.by_root().get(idea_id, ()) if feedback in links.person_of}

    def summary(self, idea_id: str) -> dict[str, Any]:
        """Return what is known of an idea as plain values; MRR in whole units of the workspace's currency."""
        idea, demand = self.ideas[idea_id], self.demand.get(idea_id)
        return {
            "idea_id": idea.idea_id,
            "root_id": idea.root_id,
            "title": idea.title,
            "quote": idea.quote,
            "keywords": (idea.keywords or "").split(),
            "trend": idea.trend,
            "recent_people": idea.recent_people,
            "earlier_people": idea.earlier_people,
            "status": idea.status,
            "people": idea.people,
            "accounts": 0 if demand is None else demand.accounts,
            "mentions": idea.mentions,
            "mrr": 0 if demand is None else demand.mrr_cents // 100,
            "segments": {} if demand is None else json.loads(demand.segments_json),
            "merged_ideas": idea.merged_ideas,
            "release": idea.release_name or idea.release_id,
            "version": idea.version,
        }

    def links(self) -> Links:
        """Return which feedback belongs to which idea."""
        return Links.of(self.decisions)

    def links_of(self, idea_id: str) -> list[Decision]:
        """Return the decisions that put feedback where it is, of *idea_id* and what was merged into it."""
        links = self.links()
        inside = {feedback for feedback, idea in links.idea_of.items() if idea_id in (idea, links.root(idea))}
        placed = {d.feedback_id: d for d in self.decisions if d.type == "linked" and d.feedback_id in inside}
        return list(placed.values())

    def explained(self, wanted: str) -> list[Explanation]:
        """Return what the event *wanted* established and why, in the board's order.

        *wanted* is the id of an event or of a piece of feedback, or how their last part begins, or the feedback's id in its channel; of
        feedback it is what was said last.
        """
        by_event: dict[str, list[Decision]] = {}
        names: dict[str, str] = {}
        for decision in self.decisions:
            by_event.setdefault(decision.event_id, []).append(decision)
            if decision.type == "linked":
                names.update(dict.fromkeys(filter(None, (decision.feedback_id, decision.external_id)), decision.event_id))
        event = names.get(wanted) or find((*by_event, *names), wanted, "event or feedback")
        said = {decision.event_id: decision.text or "" for decision in self.decisions if decision.type == "linked"}
        return [
            Explanation(decision, [Weighed.of(entry, self.ideas, said) for entry in candidates_of(decision) if "idea" in entry])
            for decision in by_event[names.get(event, event)]
        ]

    def commanded(self, wanted: str) -> Decision:
        """Return the first decision of the command whose event is *wanted*, or whose id's last part begins so."""
        made = {decision.event_id: decision for decision in reversed(self.decisions) if decision.method in ("command", "undo")}
        return made[find(made, wanted, "command")]

    def open_suggestions(self) -> list[Decision]:
        """Return the suggestions that are still to be answered, then the proposed splits, worst fit first.

        Of the suggestions those of the last pass come first, as it ranked them; then the others, likeliest first.
        """
        links, found, asked = self.links(), dict[tuple[str | None, str | None], Decision](), dict[tuple[str | None, str | None], Decision]()
        for decision in self.decisions:
            if decision.type == "suggested":
                pair = decision.idea_id, decision.other_idea_id
                found[pair] = decision if decision.method != "undo" else asked.get(pair, decision)
                asked[pair] = found[pair]
            elif decision.type in ("accepted", "dismissed"):
                found.pop((decision.idea_id, decision.other_idea_id), None)
            elif decision.type == "split" and decision.other_idea_id is not None:
                found.pop((links.root(decision.other_idea_id), None), None)
        splits = [made for made in found.values() if made.other_idea_id is None]
        pairs = [made for made in found.values() if made.other_idea_id is not None]
        pairs = [made for made in pairs if links.root(made.idea_id or "") != links.root(made.other_idea_id or "")]
        passes = [made for made in self.decisions if made.type == "suggested" and made.method == "repair"]
        last = passes[-1].event_id if passes else None
        fresh = sorted((made for made in pairs if made.event_id == last), key=lambda made: made.sequence)
        others = sorted((made for made in pairs if made.event_id != last), key=lambda made: -(made.score or 0.0))
        return fresh + others + sorted(splits, key=lambda made: made.score or 0.0)

    def title_of(self, idea_id: str | None) -> str:
        """Return the title of *idea_id*; nothing where it is not known."""
        idea = self.ideas.get(idea_id or "")
        return "" if idea is None else idea.title

    def merged_into(self, idea_id: str) -> list[str]:
        """Return the ideas whose pointers end at *idea_id*."""
        links = self.links()
        return sorted(idea for idea in links.pointers if links.root(idea) == idea_id)


async def read_board(cluster: Cluster, workspace: str, board: str) -> BoardView:
    """Return the present view of a board."""
    return BoardView.of(codec(), await cluster.read(BOARD_TOPICS), workspace, board)
