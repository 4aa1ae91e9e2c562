"""Ideas: what a human wants done to them, and what a roadmap tool says of them."""

from __future__ import annotations

from collections.abc import Mapping

from services.common import ids
from services.ingest.domain.faults import fault
from services.ingest.domain.fields import Fields
from services.ingest.domain.inputs import IdeaCommand, IdeaStatus, digest_of
from services.ingest.domain.reading.common import URL_LIMIT, our_id, own_workspace

_TITLE_LIMIT = 200

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "merge": ("idea_id", "other_idea_id"),
    "unmerge": ("idea_id",),
    "move": ("idea_id", "feedback_id"),
    "split": ("idea_id",),
    "rename": ("idea_id", "title"),
    "accept": ("idea_id", "other_idea_id"),
    "dismiss": ("idea_id",),
    "undo": ("idea_id", "undone_event_id"),
}
"""What each command needs; without another idea ``dismiss`` means the proposed split of this one."""


def read_idea_command(fields: Fields, topic: str) -> IdeaCommand:
    """Return what a human wants done to ideas; *topic* is its source."""
    workspace, board = own_workspace(fields), fields.required("board", fields.slug("board"))
    external_id = fields.required("id", fields.identifier("id"))
    command = fields.required("command", fields.text("command"))
    if command not in _COMMANDS:
        raise fault("unknown_command", f"command: expected one of {', '.join(_COMMANDS)}")
    found = {
        "idea_id": our_id(fields, workspace, "idea_id", "idea"),
        "other_idea_id": our_id(fields, workspace, "other_idea_id", "idea"),
        "feedback_id": our_id(fields, workspace, "feedback_id", "feedback"),
        "title": fields.text("title", limit=_TITLE_LIMIT),
    }
    undone = our_id(fields, workspace, "undone_event_id", "event")
    if undone is not None:  # digests of before knew no such field
        found["undone_event_id"] = undone
    for name in _COMMANDS[command]:
        fields.required(name, found.get(name))
    actor = fields.required("actor", fields.text("actor"))
    return IdeaCommand(
        workspace=workspace,
        source=topic,
        subject=ids.make_id(workspace, "command", board, external_id),
        order=0,
        digest=digest_of(command, actor, found),
        board=board,
        command=command,
        actor=actor,
        idea_id=str(found["idea_id"]),
        other_idea_id=found["other_idea_id"],
        feedback_id=found["feedback_id"],
        title=found["title"],
        undone_event_id=undone,
    )


def read_idea_status(fields: Fields, topic: str) -> IdeaStatus:
    """Return what a roadmap tool says of an idea; *topic* is its source."""
    workspace, board = own_workspace(fields), fields.required("board", fields.slug("board"))
    fields.required("id", fields.identifier("id"))
    idea = fields.required("idea_id", our_id(fields, workspace, "idea_id", "idea"))
    status, reason = fields.required("status", fields.text("status")), fields.text("reason", limit=URL_LIMIT)
    release, name = fields.identifier("release_id"), fields.text("release_name")
    url = fields.text("release_url", limit=URL_LIMIT)
    updated_at = fields.required("updated_at", fields.moment("updated_at"))
    return IdeaStatus(
        workspace=workspace,
        source=topic,
        subject=ids.make_id(workspace, "status", board, idea, release or ""),
        order=updated_at,
        digest=digest_of(status, reason, name, url),
        board=board,
        idea_id=idea,
        status=status,
        reason=reason,
        release_id=release,
        release_name=name,
        release_url=url,
    )
