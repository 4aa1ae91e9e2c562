"""The segmenter's promises, one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.common.events import EnrichedFeedback, IdeaDemand, PersonSegments, SegmenterWork, SegmentTransition
from services.common.ids import account_id
from services.common.outcome import Drop, Reject
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.tally import Cell, Part
from tests.unit.segmenter_world import DAY, START, WORKSPACE, Board, Segmenter, account, define, person_event, told

ANN, BOB = f"{WORKSPACE}:person:ann", f"{WORKSPACE}:person:bob"
ACME = account_id(WORKSPACE, "acme")
HOUR = 3_600_000_000


@pytest.fixture
def definition(tmp_path: Path) -> Definition:
    return define(tmp_path)


@pytest.fixture
def segmenter(definition: Definition) -> Segmenter:
    return Segmenter(definition)


@pytest.fixture
def board() -> Board:
    return Board()


def rows(segmenter: Segmenter) -> list[EnrichedFeedback]:
    return segmenter.events(EnrichedFeedback)


def segments(row: Any) -> dict[str, str]:
    found: dict[str, str] = orjson.loads(row.segments_json)
    return found


UNKNOWN = {"plan": "unknown", "engagement": "unknown", "role": "unknown"}


async def test_each_link_is_enriched_once_with_who_asked(segmenter: Segmenter, board: Board) -> None:
    acme = account("acme", 1, name="Acme", plan="enterprise", mrr_cents=4_200)
    profile = person_event(1, "profile", ANN, START, account_id=ACME, traits_json='{"role":"designer"}')
    await told(segmenter, acme, profile, board.link("f1", ANN, "i1", START + 5, language="en", rating=4.0))
    (row,) = rows(segmenter)
    assert segments(row) == {"plan": "enterprise", "engagement": "quiet", "role": "designer"}
    assert (row.primary_segment, row.account_id, row.account_name, row.plan, row.mrr_cents) == (
        "enterprise",
        ACME,
        "Acme",
        "enterprise",
        4_200,
    )
    assert (row.enrichment_version, row.retracted, row.root_id, row.definition_version) == (1, False, "i1", "1")
    assert (row.evaluated_at, row.language, row.rating) == (START + 5, "en", 4.0)


async def test_a_person_nobody_has_a_profile_of_is_unknown(segmenter: Segmenter, board: Board) -> None:
    await told(segmenter, person_event(1, "activity", ANN, START, name="export"), board.link("f1", ANN, "i1"))
    (row,) = rows(segmenter)
    assert segments(row) == UNKNOWN
    assert (row.primary_segment, row.account_id, row.mrr_cents) == ("unknown", None, None)
    assert segmenter.events(PersonSegments) == []
    assert segmenter.demand()["i1"]["segments"]["plan"] == {"unknown": {"people": 1, "accounts": 0, "mentions": 1, "mrr_cents": 0}}


async def test_a_profile_whose_account_is_not_known_yet_is_no_error(segmenter: Segmenter, board: Board) -> None:
    await told(segmenter, person_event(1, "profile", ANN, START, account_id=ACME), board.link("f1", ANN, "i1"))
    assert (rows(segmenter)[0].account_id, rows(segmenter)[0].mrr_cents, rows(segmenter)[0].primary_segment) == (ACME, None, "free")
    await told(segmenter, account("acme", 1, mrr_cents=300))
    assert segmenter.demand()["i1"]["segments"]["plan"] == {"paying": {"people": 1, "accounts": 1, "mentions": 1, "mrr_cents": 300}}
    assert [change.cause for change in segmenter.events(SegmentTransition)] == ["attribute"] * 3 + ["account"]


@pytest.mark.parametrize(("late", "count"), [(DAY, 2), (DAY + 1, 1)])
async def test_a_first_profile_within_a_day_repeats_the_enrichment(segmenter: Segmenter, board: Board, late: int, count: int) -> None:
    await told(segmenter, board.link("f1", ANN, "i1", START), person_event(1, "profile", ANN, START + late))
    await told(segmenter, person_event(2, "profile", ANN, START + late + 1, traits_json='{"role":"designer"}'))
    assert [row.enrichment_version for row in rows(segmenter)] == list(range(1, count + 1))
    if count == 2:
        assert segments(rows(segmenter)[1]) == {"plan": "free", "engagement": "quiet", "role": "other"}
        assert replace(rows(segmenter)[1], enrichment_version=1, **_memberships(rows(segmenter)[0])) == rows(segmenter)[0]


def _memberships(row: EnrichedFeedback) -> dict[str, Any]:
    names = ("primary_segment", "segments_json", "definition_version", "evaluated_at")
    return {name: getattr(row, name) for name in names}


async def test_a_join_long_after_the_feedback_is_no_first_profile_in_time(segmenter: Segmenter, board: Board) -> None:
    await told(segmenter, person_event(1, "profile", ANN, START), board.link("f1", BOB, "i1", START + 1))
    await told(segmenter, person_event(2, "joined", BOB, START + 2 * DAY, other_person_id=ANN))
    assert len(rows(segmenter)) == 1
    assert segmenter.demand()["i1"]["segments"]["role"] == {"other": {"people": 1, "accounts": 0, "mentions": 1, "mrr_cents": 0}}


async def test_a_join_within_a_day_repeats_the_enrichment(segmenter: Segmenter, board: Board) -> None:
    await told(segmenter, person_event(1, "profile", ANN, START), board.link("f1", BOB, "i1", START + 1))
    await told(segmenter, person_event(2, "joined", BOB, START + HOUR, other_person_id=ANN))
    assert [row.enrichment_version for row in rows(segmenter)] == [1, 2]
    assert segments(rows(segmenter)[1])["role"] == "other"


async def test_then_stays_then(segmenter: Segmenter, board: Board) -> None:
    """A move and a revision keep the memberships of the first evaluation; a retraction too, without the words."""
    profile = person_event(1, "profile", ANN, START)
    await told(segmenter, profile, board.link("f1", ANN, "i1", START + 1))
    await told(segmenter, person_event(2, "profile", ANN, START + 2, traits_json='{"role":"designer"}'))
    await told(segmenter, board.decide("moved", START + 3, feedback_id="f1", person_id=ANN, idea_id="i2", other_idea_id="i1"))
    unlinked = {"feedback_id": "f1", "person_id": ANN, "idea_id": "i2"}
    await told(segmenter, board.decide("unlinked", START + 4, **unlinked, method="revision", reason="revised"))
    await told(segmenter, board.link("f1", ANN, "i3", START + 4, revision=1))
    await told(segmenter, board.decide("unlinked", START + 5, **{**unlinked, "idea_id": "i3"}, method="retraction", reason="retracted"))
    found = rows(segmenter)
    assert [(row.enrichment_version, row.idea_id, row.revision, row.retracted) for row in found] == [
        (1, "i1", 0, False),
        (2, "i2", 0, False),
        (3, "i3", 1, False),
        (4, "i3", 1, True),
    ]
    assert {row.segments_json for row in found} == {found[0].segments_json}
    assert {row.evaluated_at for row in found} == {START + 1}
    assert found[-1].text == ""
    assert segmenter.demand() == {}
    assert segments(segmenter.events(PersonSegments)[-1])["role"] == "designer"


async def test_a_merged_idea_counts_nothing_and_its_root_everything(segmenter: Segmenter, board: Board) -> None:
    await told(segmenter, board.link("f1", ANN, "i1"), board.link("f2", ANN, "i2"), board.link("f3", BOB, "i3"))
    await told(segmenter, board.decide("merged", START, idea_id="i1", other_idea_id="i2"))
    await told(segmenter, board.decide("merged", START, idea_id="i2", other_idea_id="i3"))
    newest = {row.idea_id: row for row in segmenter.events(IdeaDemand)}
    assert [(newest[idea].root_id, newest[idea].people, newest[idea].mentions) for idea in ("i1", "i2", "i3")] == [
        ("i3", 0, 0),
        ("i3", 0, 0),
        ("i3", 2, 3),
    ]
    await told(segmenter, board.decide("unmerged", START, idea_id="i2", other_idea_id="i3"))
    newest = {row.idea_id: row for row in segmenter.events(IdeaDemand)}
    assert [(newest[idea].root_id, newest[idea].people, newest[idea].mentions) for idea in ("i1", "i2", "i3")] == [
        ("i2", 0, 0),
        ("i2", 1, 2),
        ("i3", 1, 1),
    ]


async def test_an_account_counts_once_however_many_of_its_people_ask(segmenter: Segmenter, board: Board) -> None:
    people = [person_event(1, "profile", ANN, START, account_id=ACME, traits_json='{"role":"designer"}')]
    people += [person_event(2, "profile", BOB, START, account_id=ACME)]
    await told(segmenter, account("acme", 1, mrr_cents=500), *people, board.link("f1", ANN, "i1"), board.link("f2", BOB, "i1"))
    found = segmenter.demand()["i1"]
    assert (found["people"], found["accounts"], found["mentions"], found["mrr_cents"]) == (2, 1, 2, 500)
    assert {cell["mrr_cents"] for cell in found["segments"]["role"].values()} == {500}
    await told(segmenter, account("acme", 2, mrr_cents=700))
    assert segmenter.demand()["i1"]["mrr_cents"] == 700


async def test_a_joined_persons_row_goes_and_comes_back(segmenter: Segmenter) -> None:
    await told(segmenter, person_event(1, "profile", BOB, START, traits_json='{"role":"designer"}'))
    await told(segmenter, person_event(2, "activity", ANN, START + 1, name="export"))
    await told(segmenter, person_event(3, "joined", BOB, START + 2, other_person_id=ANN))
    bob, gone, ann = segmenter.events(PersonSegments)
    assert (bob.person_id, gone, ann.person_id) == (BOB, None, ANN)
    assert segments(ann) == {"plan": "free", "engagement": "active", "role": "designer"}
    await told(segmenter, person_event(4, "separated", BOB, START + 3, other_person_id=ANN))
    back, ann_gone = segmenter.events(PersonSegments)[3:]
    assert (back.person_id, segments(back), back.version > bob.version, ann_gone) == (BOB, segments(bob), True, None)
    assert {change.cause for change in segmenter.events(SegmentTransition) if change.person_id == ANN} == {"joined"}


async def test_erasure_leaves_a_tombstone_and_counts_as_unknown(segmenter: Segmenter, board: Board) -> None:
    await told(segmenter, person_event(1, "profile", ANN, START), board.link("f1", ANN, "i1"), person_event(2, "erased", ANN, START + 1))
    assert segmenter.events(PersonSegments)[-1] is None
    assert set(segmenter.demand()["i1"]["segments"]["plan"]) == {"unknown"}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("linked", {"feedback_id": "f1", "idea_id": "i1"}),
        ("linked", {"person_id": ANN, "idea_id": "i1"}),
        ("linked", {"person_id": ANN, "feedback_id": "f1"}),
        ("moved", {"feedback_id": "never", "idea_id": "i1"}),
        ("unlinked", {"feedback_id": "never", "idea_id": "i1"}),
        ("merged", {"idea_id": "i1"}),
    ],
)
async def test_a_decision_that_lacks_something_is_rejected_and_changes_nothing(
    segmenter: Segmenter, board: Board, kind: str, fields: dict[str, str]
) -> None:
    segmenter.publish(board.decide(kind, START, **fields))
    ((place, records),) = segmenter.topics.items()
    (outcome,) = await segmenter.handle(records)
    assert isinstance(outcome, Reject)
    assert outcome.reason == "incomplete_decision"
    assert place[0] == "board.decisions"
    await told(segmenter, Board("mobile").link("f1", ANN, "i1"))
    assert len(rows(segmenter)) == 1


async def test_tombstones_and_what_concerns_others_is_dropped(segmenter: Segmenter, board: Board) -> None:
    segmenter.publish(person_event(1, "contact", ANN, START, address="x"), board.decide("opened", START, idea_id="i1"), account("acme", 1))
    for (topic, _), records in list(segmenter.topics.items()):
        tombstone = replace(records[0], value=None, offset=1)
        outcomes = await segmenter.handle([records[0], tombstone])
        assert outcomes[1] == Drop("tombstone")
        assert isinstance(outcomes[0], Drop) or topic == "accounts"


async def test_an_ordinary_link_costs_one_note_and_none_for_the_next(segmenter: Segmenter, board: Board) -> None:
    await told(segmenter, person_event(1, "profile", ANN, START), board.link("f1", ANN, "i1"), board.link("f2", ANN, "i2"))
    notes = [record for (topic, _), records in segmenter.topics.items() if topic == SegmenterWork.TOPIC for record in records]
    assert len(notes) == 1


async def test_a_failed_write_leaves_nothing_behind_in_memory(segmenter: Segmenter, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter.publish(board.link("f1", ANN, "i1"))
    (place,) = segmenter.unread()

    async def fail(_: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(segmenter.stores.boards, "append", fail)
        with pytest.raises(ConnectionError):
            await segmenter.handle(segmenter.topics[place])
    await segmenter.drain()
    assert segmenter.demand()["i1"]["mentions"] == 1


def test_a_cell_forgets_whom_it_counted_out() -> None:
    cell = Cell()
    cell.count(Part(1, [(7, 1)]), "acme", 5, 1)
    cell.count(Part(-1, [(7, -1)]), "acme", 5, -1)
    assert cell == Cell()
