"""Why a record cannot be used: the closed set of reasons, and one way to say so."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from services.common.errors import MalformedRecord

Fault: TypeAlias = Literal[
    "null_value",  # a tombstone on a topic that takes none
    "not_json",
    "not_mail",
    "bad_utf8",
    "too_deep",  # JSON nested beyond what anyone means
    "not_framed",  # the codec's own four: see services.common.codec
    "unknown_schema",
    "wrong_schema",
    "undecodable",
    "mapping_failed",  # an expression of channels.yaml cannot be evaluated on this record
    "missing_field",
    "wrong_type",
    "out_of_range",
    "too_long",  # an identifier, a name, a title
    "text_empty",
    "text_too_long",
    "bad_slug",
    "bad_timestamp",
    "bad_email",
    "bad_alias",
    "bad_id",  # not one of our ids, or of the wrong kind
    "unknown_channel",
    "unknown_command",
    "workspace_mismatch",
    "spam",  # an advert, or what the channel itself calls spam
    "conflict",  # the same identity and version with another content
    "not_joined",  # a separation of persons who are not joined
]
"""What is wrong, as a metric label and a dead letter's class name."""

FAULTS: frozenset[str] = frozenset(get_args(Fault))


def fault(reason: Fault, detail: str) -> MalformedRecord:
    """Return the error to raise; *detail* tells what to fix and quotes nothing of the record."""
    return MalformedRecord(reason, detail)
