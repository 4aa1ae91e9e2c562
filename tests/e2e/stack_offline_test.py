"""``groundswell try`` and the service decide the same for the same order; real boards go through the stack once, and only once."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from services.console.board import Links
from tests.e2e.harness import StackProcess, decisions, enriched, groundswell, ideas, quiet, texts_of_sample

pytestmark = [pytest.mark.stack, pytest.mark.model, pytest.mark.timeout(900)]

DATA = Path(os.environ.get("GROUNDSWELL_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))


async def service_labels(stack: StackProcess, workspace: str, file: Path) -> dict[str, str]:
    """Publish *file* to the running stack and return the root idea of each text."""
    groundswell(stack, "publish", file, "--workspace", workspace, "--board", "b", "--json")
    async with stack.opened() as (cluster, tail):
        await quiet(cluster, tail)
        decided = decisions(tail.records["board.decisions"], workspace)
    links = Links.of(decided)
    external = {d.feedback_id: d.external_id for d in decided if d.type == "linked"}
    return {external[feedback] or "": links.root(idea) for feedback, idea in links.idea_of.items()}


def offline_labels(stack: StackProcess, workspace: str, file: Path, out: Path) -> dict[str, str]:
    groundswell(stack, "try", file, "--workspace", workspace, "--board", "b", "--out", out, "--json")
    return {label["id"]: label["idea"] for label in map(json.loads, out.read_text().splitlines())}


async def test_try_finds_what_the_service_finds(stack: StackProcess, tmp_path: Path) -> None:
    file = tmp_path / "wishes.jsonl"
    file.write_text("".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in texts_of_sample()))
    labels = offline_labels(stack, "trial", file, tmp_path / "labels.jsonl")
    assert len(texts_of_sample()) > len(set(labels.values())) > 10
    assert labels == await service_labels(stack, "trial", file)


@pytest.mark.skipif(not (DATA / "banking77.jsonl").exists(), reason=f"no labelled boards under {DATA}; set GROUNDSWELL_DATA")
async def test_try_finds_what_the_service_finds_on_a_real_board(stack: StackProcess, tmp_path: Path) -> None:
    file = DATA / "banking77.jsonl"
    labels = offline_labels(stack, "banking", file, tmp_path / "labels.jsonl")
    assert len(file.read_text().splitlines()) == len(labels)
    assert labels == await service_labels(stack, "banking", file)


@pytest.mark.skipif(not (DATA / "gitbugs_hadoop.jsonl").exists(), reason=f"no labelled boards under {DATA}; set GROUNDSWELL_DATA")
async def test_a_real_board_goes_through_once_however_often_it_is_published(stack: StackProcess) -> None:
    file = DATA / "gitbugs_hadoop.jsonl"
    tickets = {json.loads(line)["id"]: 1 for line in file.read_text().splitlines()}
    await service_labels(stack, "hadoop", file)
    async with stack.opened() as (cluster, tail):
        await quiet(cluster, tail)
        assert tickets == Counter(feedback.external_id for feedback in enriched(tail.records["feedback.enriched"], "hadoop"))
        before = ideas(tail.records["ideas"], "hadoop")
        await service_labels(stack, "hadoop", file)
        await quiet(cluster, tail)
        assert tickets == Counter(feedback.external_id for feedback in enriched(tail.records["feedback.enriched"], "hadoop"))
        assert before == ideas(tail.records["ideas"], "hadoop")
