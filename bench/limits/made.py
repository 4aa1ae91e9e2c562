"""Made-up events of any number: a board's feedback, its decisions, people, accounts. The same seed makes the same."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.common import ids
from services.common.events import BoardEvent, Decision, PersonEvent
from services.common.records import Output

WORKSPACE = "bench"
NOW = 1_790_000_000_000_000
_SECOND = 1_000_000

_SUBJECTS = (
    "the board", "a sticky note", "the PDF export", "the mobile app", "my template", "the search", "a comment", "the timer", "voting",
    "the guest link", "the history", "an imported file", "single sign-on", "the invoice", "a frame", "the presenter mode", "the eraser",
    "a connector", "the minimap", "keyboard navigation", "the calendar", "a private room", "the API", "a webhook", "the audit log",
)  # fmt: skip
_WISHES = (
    "opens slowly", "should be locked for guests", "loses its colours", "needs a dark theme", "crashes on tablets", "is missing a shortcut",
    "forgets my settings", "should be shared", "looks dated", "is too small", "cannot be undone", "needs a filter", "should be translated",
    "is hard to find", "shows the wrong name", "should work offline", "asks too often", "needs an owner", "should sort by date", "flickers",
)  # fmt: skip
_DETAILS = (
    "since the last update", "when printed", "for our whole team", "in a workshop with forty people", "on a slow connection",
    "before every meeting", "after an import", "in the free plan", "with a screen reader", "on the second monitor", "in Safari",
    "every Monday", "when two people type", "near the edge", "with large files",
)  # fmt: skip
_ADDED = ("please", "thanks", "we lose time", "a customer asked", "it blocks us", "would pay for it", "again", "any plans?")


@dataclass(frozen=True, slots=True)
class Wishes:
    """Texts as people write them: some tens of thousands of wordings, a share of them said before word for word."""

    seed: int = 7
    repeated: float = 0.3
    """The share of texts that were said before."""

    def texts(self, count: int) -> Iterator[str]:
        """Yield so many texts."""
        rng = random.Random(self.seed)
        said: list[str] = []
        for number in range(count):
            if said and rng.random() < self.repeated:
                yield rng.choice(said)
                continue
            parts = [rng.choice(_SUBJECTS), rng.choice(_WISHES), rng.choice(_DETAILS), rng.choice(_ADDED), f"(ticket {number})"]
            text = " ".join(parts).capitalize()
            said.append(text)
            yield text


def person(number: int) -> str:
    """Return the id of a person."""
    return ids.person_id(WORKSPACE, f"email:person-{number}@example.com")


def said(texts: Iterable[str], first: int = 0, boards: int = 1) -> list[Output]:
    """Return each of *texts* as the outside world publishes it, numbered from *first*; everybody says five of them, on *boards* in turn."""
    made = []
    for number, text in enumerate(texts, first):
        place = {"workspace": WORKSPACE, "board": "hot" if boards == 1 else f"b{number % boards}"}
        body = {"id": f"f{number}", **place, "text": text, "author": {"email": f"person-{number // 5}@example.com"}}
        made.append(Output("feedback.raw", b"k%d" % number, json.dumps(body).encode(), b"k%d" % number))
    return made


def submitted(board: str, number: int, text: str, person_id: str) -> BoardEvent:
    """Return the event of one piece of feedback."""
    feedback = ids.feedback_id(WORKSPACE, "bench", f"{board}/{number}")
    at = NOW + number * _SECOND
    return BoardEvent(
        event_id=ids.event_id(WORKSPACE, feedback, "0"),
        type="submitted",
        workspace=WORKSPACE,
        board=board,
        source="bench",
        occurred_at=at,
        ingested_at=at,
        origin=f"feedback.raw/0/{number}",
        feedback_id=feedback,
        external_id=f"{board}/{number}",
        person_id=person_id,
        text=text,
    )


class Decided:
    """A board's decisions, one after another, as dedup would publish them."""

    def __init__(self, board: str) -> None:
        self.board = board
        self.sequence = 0

    def idea(self, number: int) -> str:
        """Return the id of an idea."""
        return ids.idea_id(WORKSPACE, self.board, str(number))

    def opened(self, number: int) -> Decision:
        """Return the decision that opens idea *number*."""
        return self._decision("opened", idea_id=self.idea(number), title=f"Idea {number}")

    def linked(self, number: int, person_id: str, idea: int) -> Decision:
        """Return the decision that links feedback *number* to an idea."""
        feedback = ids.feedback_id(WORKSPACE, "bench", f"{self.board}/{number}")
        return self._decision(
            "linked",
            idea_id=self.idea(idea),
            root_id=self.idea(idea),
            feedback_id=feedback,
            person_id=person_id,
            source="bench",
            external_id=f"{self.board}/{number}",
            text=f"I would like to have this too, says ticket {number}, and soon",
            method="semantic",
            score=0.8,
            threshold=0.6,
        )

    def merged(self, idea: int, into: int) -> Decision:
        """Return the decision that idea *idea* is the same as *into*."""
        return self._decision("merged", idea_id=self.idea(idea), other_idea_id=self.idea(into))

    def unmerged(self, idea: int, out_of: int) -> Decision:
        """Return the decision that takes that back."""
        return self._decision("unmerged", idea_id=self.idea(idea), other_idea_id=self.idea(out_of))

    def shipped(self, idea: int) -> Decision:
        """Return the decision that an idea has shipped."""
        return self._decision("status_changed", idea_id=self.idea(idea), status="shipped", release_id="r1", release_name="Autumn")

    def _decision(self, kind: str, **fields: object) -> Decision:
        self.sequence += 1
        at = NOW + self.sequence * _SECOND
        return Decision(
            decision_id=ids.decision_id(WORKSPACE, self.board, self.sequence),
            type=kind,  # type: ignore[arg-type]  # one of its literals
            workspace=WORKSPACE,
            board=self.board,
            sequence=self.sequence,
            event_id=ids.event_id(WORKSPACE, self.board, str(self.sequence)),
            occurred_at=at,
            ingested_at=at,
            **fields,  # type: ignore[arg-type]  # named by the callers above
        )


def contact(number: int) -> PersonEvent:
    """Return the event that a person can be reached by mail."""
    return _of_person(number, 0, "contact", channel="email", address=f"person-{number}@example.com")


def profile(number: int, at: int = 0) -> PersonEvent:
    """Return a person's profile, the *at*-th."""
    return _of_person(number, at, "profile", traits_json='{"seats": 3}', name=f"Person {number}")


def activity(number: int, at: int) -> PersonEvent:
    """Return the *at*-th thing that a person did."""
    return _of_person(number, at, "activity", name=("board_opened", "login", "export")[at % 3], amount=1.0)


def _of_person(number: int, at: int, kind: str, **fields: object) -> PersonEvent:
    moment = NOW + at * 60 * _SECOND
    return PersonEvent(
        event_id=ids.event_id(WORKSPACE, kind, str(number), str(at)),
        type=kind,  # type: ignore[arg-type]  # one of its literals
        workspace=WORKSPACE,
        person_id=person(number),
        source="bench",
        occurred_at=moment,
        ingested_at=moment,
        origin=f"people.raw/0/{at}",
        **fields,  # type: ignore[arg-type]  # named by the callers above
    )
