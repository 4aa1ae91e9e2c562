"""The documented JSON forms, from objects to inputs. Framed Avro of the same shape comes through here too."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.ingest.domain.fields import Fields
from services.ingest.domain.inputs import Input
from services.ingest.domain.reading.feedback import Place, read_feedback
from services.ingest.domain.reading.ideas import read_idea_command, read_idea_status
from services.ingest.domain.reading.people import read_activity, read_company, read_person_command, read_preference, read_profile

READERS: Mapping[str, Callable[[Fields, str], Input]] = {
    "people.raw": read_profile,
    "accounts.raw": read_company,
    "people.commands": read_person_command,
    "activity.raw": read_activity,
    "preferences.raw": read_preference,
    "ideas.commands": read_idea_command,
    "ideas.status": read_idea_status,
}
"""How the records of each topic are read, apart from feedback, in the order in which the topics of one batch are taken."""

__all__ = ["READERS", "Place", "read_feedback"]
