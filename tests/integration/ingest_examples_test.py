"""GitHub's own examples of its webhooks (``@octokit/webhooks-examples``): what its users say is taken, all the rest is ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.common import ids
from services.common.outcome import Drop
from services.common.paths import EXAMPLES
from services.ingest.channels import load_channels
from tests.fakes_ingest import WORKSPACE, Front, events_of, raw
from tests.support import node

pytestmark = pytest.mark.skipif(node.MISSING, reason="npm is missing: GitHub's examples were not read")

VENDORS = load_channels(EXAMPLES / "vendors.yaml")
_PACKAGE = "@octokit/webhooks-examples@7.6.1"
_PRINT = """
const found = require("@octokit/webhooks-examples");
process.stdout.write(JSON.stringify((found.default || found).map(({ name, examples }) => [name, examples])));
"""
_SAID = ("issues", "issue_comment", "discussion", "discussion_comment")
_TAKEN = ("opened", "created", "edited", "deleted")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Any]]:
    """(event, payload) of every example."""
    printed = node.ran(_PACKAGE, _PRINT, tmp_path_factory.mktemp("examples"))
    assert printed.returncode == 0, printed.stderr.decode()
    return [(name, payload) for name, payloads in json.loads(printed.stdout) for payload in payloads]


def _is_said(name: str, payload: Any) -> bool:
    said = payload.get("comment") or payload.get("issue") or payload.get("discussion") or {"user": {}}
    is_human = said["user"].get("type") != "Bot" and "pull_request" not in payload.get("issue", {})
    return name in _SAID and payload.get("action") in _TAKEN and is_human


def test_what_users_say_is_taken_word_for_word(examples: list[tuple[str, Any]]) -> None:
    said = [(name, payload) for name, payload in examples if _is_said(name, payload)]
    assert {name for name, _ in said} == set(_SAID)
    for _, payload in said:
        of = payload.get("comment") or payload.get("issue") or payload["discussion"]
        (event,) = [
            one for one in events_of(Front(channels=VENDORS).outcome(raw("feedback.raw.github", 0, payload))) if hasattr(one, "board")
        ]
        assert event.external_id == of["node_id"]
        if payload["action"] == "deleted":
            assert (event.type, event.text) == ("retracted", None)
            continue
        assert event.person_id == ids.person_id(WORKSPACE, f"github:{of['user']['login'].lower()}")
        assert of.get("title", "") in event.text
        assert event.url == of["html_url"]


def test_everything_else_is_ignored(examples: list[tuple[str, Any]]) -> None:
    other = [(name, payload) for name, payload in examples if not _is_said(name, payload)]
    assert len(other) > 200
    front = Front(channels=VENDORS)
    outcomes = [(name, payload.get("action"), front.outcome(raw("feedback.raw.github", 0, payload))) for name, payload in other]
    assert [outcome for outcome in outcomes if outcome[-1] != Drop("ignored")] == []
