"""The three kinds of trouble. Whatever is none of them is a bug and ends the process."""

from __future__ import annotations


class GroundswellError(Exception):
    """Base of every error that we raise on purpose."""


class ConfigurationError(GroundswellError):
    """A setting or a definition file is wrong; the message names the place and the remedy. Start is refused."""


class TransientError(GroundswellError):
    """A dependency is away or slow; repeating the same call may succeed."""


class PermanentError(GroundswellError):
    """Repeating the call can never succeed."""


class MalformedRecord(PermanentError):  # noqa: N818 - the codec's one error, named as the glossary names it
    """Bytes that are not what their topic promises. *reason* is a metric label, *detail* tells what to fix.

    Neither holds payload: dead-letter headers and logs must stay free of personal data.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Fenced(GroundswellError):  # noqa: N818 - a state, not a failure
    """Another worker has written the position that we were about to write: this one no longer owns it."""


class Undone(Fenced):
    """A transaction did not end as it should: what is in hand is read again from the last commit, which tells whether it counted."""


class Evicted(GroundswellError):  # noqa: N818 - a state, not a failure
    """The group gave our partitions to another worker while we were busy with them."""
