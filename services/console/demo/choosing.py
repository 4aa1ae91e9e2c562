"""Which decisions are worth showing."""

from __future__ import annotations

from collections.abc import Iterable

from services.common.events import Decision, PersonEvent
from services.console.board import Links, candidates_of
from services.console.ideas import BoardView


def closest_miss(view: BoardView, idea: str) -> Decision | None:
    """Return the decision that opened an idea of its own although *idea* was its best candidate, the closest of them."""
    links = view.links()
    misses = []
    for decision in _weighed(view.decisions):
        best = candidates_of(decision)[0]
        still_apart = decision.idea_id in view.ideas and links.root(decision.idea_id or "") == decision.idea_id != links.root(idea)
        if best["score"] < (decision.threshold or 0) and still_apart and links.root(best["idea"]) == idea:
            misses.append((best["score"], decision))
    return max(misses, key=lambda miss: miss[0])[1] if misses else None


def boldest_link(view: BoardView, links: Links) -> Decision | None:
    """Return the semantic link whose text shares fewest words with its idea's title, among those that still hold."""
    bold = []
    for decision in _weighed(view.decisions):
        idea = view.ideas.get(decision.idea_id or "")
        title = "" if idea is None else idea.title
        joined = candidates_of(decision)[0]["score"] >= (decision.threshold or 1)
        if (
            joined
            and decision.text
            and links.idea_of.get(decision.feedback_id or "") == decision.idea_id
            and 4 <= len(decision.text.split()) <= 40
        ):
            bold.append((_overlap(decision.text, title), decision))
    return min(bold, key=lambda entry: entry[0])[1] if bold else None


def mailable(events: Iterable[PersonEvent]) -> dict[str, str]:
    """Return an alias of each person whose e-mail address is known."""
    aliases: dict[str, str] = {}
    reached: set[str] = set()
    for event in events:
        if event.type == "alias" and event.alias:
            aliases.setdefault(event.person_id, event.alias)
        elif event.type == "contact" and event.address:
            reached.add(event.person_id)
    return {person: alias for person, alias in aliases.items() if person in reached}


def _weighed(decisions: Iterable[Decision]) -> list[Decision]:
    return [decision for decision in decisions if decision.type == "linked" and decision.threshold is not None and candidates_of(decision)]


def _overlap(text: str, title: str) -> float:
    words, others = _words(text), _words(title)
    return len(words & others) / max(min(len(words), len(others)), 1)


def _words(text: str) -> set[str]:
    return {word.strip(".,!?:;()").lower() for word in text.split()}
