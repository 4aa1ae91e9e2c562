"""A board's ideas with the demand behind them, as the published topics tell it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.common.codec import Codec
from services.common.events import Decision, Idea, IdeaDemand
from services.common.records import Record
from services.console.board import Links, decoded, in_order, newest
from services.console.cluster import Cluster
from services.console.context import codec

BOARD_TOPICS = ("ideas", "ideas.demand", "board.decisions")


@dataclass(frozen=True, slots=True)
class BoardView:
    """One board at one moment."""

    ideas: Mapping[str, Idea]
    demand: Mapping[str, IdeaDemand]
    decisions: list[Decision]
    """In the board's order."""

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
        )

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

    def merged_into(self, idea_id: str) -> list[str]:
        """Return the ideas whose pointers end at *idea_id*."""
        links = self.links()
        return sorted(idea for idea in links.pointers if links.root(idea) == idea_id)


async def read_board(cluster: Cluster, workspace: str, board: str) -> BoardView:
    """Return the present view of a board."""
    return BoardView.of(codec(), await cluster.read(BOARD_TOPICS), workspace, board)
