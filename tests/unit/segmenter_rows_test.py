"""What is promised of segments, a test a promise; those of single ways of segmenting are in segmenter_schemes_test."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from services.common.errors import ConfigurationError
from services.common.events import EnrichedFeedback, PersonSegments, SegmentTransition
from services.common.paths import EXAMPLES
from services.console.app import app
from services.console.failures import ExitCode
from services.segmenter.domain.loading import load_definition
from tests.unit.segmenter_world import DAY, START, WORKSPACE, Board, Segmenter, define, person_event, told

ANN = f"{WORKSPACE}:person:ann"
USE = """
version: "7"
schemes:
  - name: use
    rules:
      - {segment: chef, when: person.traits.role == "chef"}
      - {segment: active, when: 'activity.count("cook", days(7)) >= 2'}
    default: quiet
"""


async def test_re_evaluation_on_every_attribute_on_activity_and_on_the_passing_of_time(tmp_path: Path) -> None:
    segmenter = Segmenter(define(tmp_path, USE))
    await told(segmenter, person_event(1, "profile", ANN, START))
    await told(segmenter, *(person_event(n, "activity", ANN, START + n, name="cook") for n in (2, 3)))
    segmenter.clock.moment = START + 30 * DAY
    await segmenter.ticks()
    await told(segmenter, person_event(4, "profile", ANN, segmenter.clock.moment, traits_json='{"role":"chef"}'))
    found = [(c.segment, c.cause, c.definition_version) for c in segmenter.events(SegmentTransition)]
    assert found == [("quiet", "attribute", "7"), ("active", "activity", "7"), ("quiet", "time", "7"), ("chef", "attribute", "7")]
    rows = segmenter.events(PersonSegments)
    assert [row.evaluated_at for row in rows] == [START, START + 3, (START // DAY + 7) * DAY, START + 30 * DAY]


async def test_late_activity_counts_by_when_it_happened(tmp_path: Path) -> None:
    segmenter = Segmenter(define(tmp_path, USE))
    await told(segmenter, person_event(1, "profile", ANN, START))
    await told(segmenter, *(person_event(n, "activity", ANN, START, occurred_at=START - 20 * DAY, name="cook") for n in (2, 3)))
    await told(segmenter, person_event(4, "activity", ANN, START, name="cook"))
    assert [c.segment for c in segmenter.events(SegmentTransition)] == ["quiet"]
    await told(segmenter, person_event(5, "activity", ANN, START + 1, occurred_at=START - 2 * DAY, name="cook"))
    assert [c.segment for c in segmenter.events(SegmentTransition)] == ["quiet", "active"]


async def test_enter_and_exit_history_has_previous_segment_and_cause(tmp_path: Path) -> None:
    segmenter = Segmenter(define(tmp_path, USE))
    await told(segmenter, person_event(1, "profile", ANN, START, traits_json='{"role":"chef"}'), person_event(2, "profile", ANN, START + 1))
    entered, left = segmenter.events(SegmentTransition)
    assert (entered.previous_segment, entered.segment, entered.cause_id) == (None, "chef", f"{WORKSPACE}:event:p1")
    assert (left.previous_segment, left.segment, left.cause_id) == ("chef", "quiet", f"{WORKSPACE}:event:p2")


async def test_as_of_the_event_feedback_keeps_the_segments_of_its_moment(tmp_path: Path) -> None:
    segmenter, board = Segmenter(define(tmp_path, USE)), Board()
    await told(segmenter, person_event(1, "profile", ANN, START, traits_json='{"role":"chef"}'), board.link("f1", ANN, "i1"))
    await told(segmenter, person_event(2, "profile", ANN, START + 1), board.link("f2", ANN, "i1"))
    assert [orjson.loads(row.segments_json)["use"] for row in segmenter.events(EnrichedFeedback)] == ["chef", "quiet"]


def test_ten_thousand_schemes_are_refused(tmp_path: Path) -> None:
    scheme = "  - {{name: s{0}, rules: [{{segment: a, when: 'true'}}], default: b}}\n"
    with pytest.raises(ConfigurationError, match=r"segments.yaml:2: schemes: 10000 schemes; at most 200 are evaluated: make `tags`"):
        define(tmp_path, 'version: "1"\nschemes:\n' + "".join(scheme.format(number) for number in range(10_000)))


async def test_a_profile_of_a_megabyte_and_a_trait_of_another_type_are_no_error(tmp_path: Path) -> None:
    segmenter = Segmenter(define(tmp_path, USE))
    traits = {f"trait{number}": "x" * 100 for number in range(9_000)}
    await told(segmenter, person_event(1, "profile", ANN, START, traits_json=orjson.dumps({**traits, "role": "chef"}).decode()))
    await told(segmenter, person_event(2, "profile", ANN, START + 1, traits_json=orjson.dumps({**traits, "role": 7}).decode()))
    assert [c.segment for c in segmenter.events(SegmentTransition)] == ["chef", "quiet"]


def test_check_tells_a_good_file_from_a_bad_one(tmp_path: Path) -> None:
    good = CliRunner().invoke(app, ["segments", "check", "--json"])
    assert good.exit_code == 0
    assert orjson.loads(good.output)["version"] == load_definition(EXAMPLES / "segments.yaml").version
    plain = CliRunner().invoke(app, ["segments", "check", str(EXAMPLES / "segments" / "rfm.yaml")])
    assert "valid" in plain.output
    path = tmp_path / "bad.yaml"
    path.write_text(USE.replace('person.traits.role == "chef"', "person.traits.role ="))
    bad = CliRunner().invoke(app, ["segments", "check", str(path)])
    assert bad.exit_code == ExitCode.CONFIGURATION
    assert f"{path}:6: schemes.use.rules.chef.when" in bad.stderr.replace("\n", "")
