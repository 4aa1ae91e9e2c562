"""Eighty people whose wishes, moods and ways are known, as the segmenter's topics tell of them."""

from __future__ import annotations

import random

import orjson

from services.common.events import Event
from services.common.records import Record
from services.console.segments.evidence import TOPICS, Evidence
from services.segmenter.domain.definition import Definition
from tests.unit.segmenter_world import CODEC, DAY, START, WORKSPACE, Board, Segmenter, account, person_event

DEFINITION = """
version: "1"
clv: {margin: 0.8, retention: 0.97, discount: 0.01}
schemes:
  - name: plan
    rules: [{segment: enterprise, when: account.plan == "enterprise"}]
    default: free
  - name: life
    rules:
      - {segment: churned, when: 'activity.since_last("*") >= 20'}
      - {segment: power, when: 'activity.days("*", days(28)) >= 4'}
    default: quiet
  - name: worth
    scope: account
    rules: [{segment: high, when: clv >= 10000.0}]
    default: low
"""
END = START + 60 * DAY
SIX, TWO = 6, 2


def person(number: int) -> str:
    """Return the id of the person with that number."""
    return f"{WORKSPACE}:person:p{number:03}"


def history() -> tuple[list[Event], list[Event]]:
    """Return who 80 people are and what they did, and what they said: enterprise wants sso, the free use it daily and praise it."""
    accounts = [account(f"e{n}", 1, plan="enterprise", mrr_cents=500_000 + n, name=f"Enterprise {n}") for n in range(8)]
    accounts += [account(f"f{n}", 1, plan="free", name=f"Free {n}") for n in range(8)]
    events: list[Event] = [*accounts]
    for number in range(80):
        home = accounts[number % 16]
        traits = orjson.dumps(
            {
                "role": "admin" if number % 16 < 8 else "teacher",
                "pilot": number % 16 < 8,
                "coin": "heads" if number // 16 % 2 == 0 else "tails",
            }
        ).decode()
        events.append(person_event(number, "profile", person(number), START, account_id=home.account_id, traits_json=traits))
        # the last activity of enterprise is on day 30, that of the free on day 58
        for use in range(6):
            at = START + (5 * use + 5 if number % 16 < 8 else 5 * use + 33) * DAY
            events.append(person_event(1000 + 10 * number + use, "activity", person(number), at, name="open"))
    answer = '"share results"'
    events += [person_event(5000 + number, "answer", person(number), START, name="job", answer_json=answer) for number in range(0, 80, 5)]
    return events, [*_said()]


def _said() -> list[Event]:
    board, chance, said = Board(), random.Random(4), list[Event]()
    for number in range(80):
        wanted = "sso" if number % 16 < 8 and number % 3 else chance.choice(["dark", "pdf", "timer"])
        rating = 2.0 if number % 16 < 8 else 9.0
        text = "We cannot use it without single sign-on" if number % 16 < 8 else f"I love this, it is great; could we have {wanted}?"
        said.append(_link(board, f"f{number:03}", number, wanted, rating, text))
    said.append(_link(board, "f900", 0, "rare", 3.0, "Seltener Wunsch"))
    return said


def _link(board: Board, feedback: str, number: int, idea: str, rating: float, text: str) -> Event:  # noqa: PLR0917 - one row of the story
    return board.decide(
        "linked", START + DAY, feedback_id=feedback, person_id=person(number), idea_id=idea, text=text, source="mail", external_id="x",
        rating=rating,
    )  # fmt: skip


async def eighty(definition: Definition) -> Evidence:
    """Return what a reader of the topics knows of those 80 people, 60 days later, under *definition*."""
    return read(await lived(definition))


async def lived(definition: Definition) -> Segmenter:
    """Return a segmenter that has heard all of it, 60 days later."""
    segmenter = Segmenter(definition)
    people, said = history()
    segmenter.publish(*people)
    await segmenter.drain()
    segmenter.publish(*said)
    await segmenter.drain()
    segmenter.clock.moment = END
    await segmenter.ticks()
    await segmenter.drain()
    return segmenter


def read(segmenter: Segmenter) -> Evidence:
    """Return what a reader of the segmenter's topics sees."""
    records: dict[str, list[Record]] = {topic: [] for topic in TOPICS}
    for (topic, _), found in sorted(segmenter.topics.items()):
        if topic in records:
            records[topic] += found
    return Evidence.of(CODEC, records, WORKSPACE)
