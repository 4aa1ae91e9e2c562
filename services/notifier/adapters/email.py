"""The channel ``email``: templates write the mails, a mail server takes them."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.records import Output
from services.notifier.adapters.smtp import SmtpMailer
from services.notifier.adapters.templates import Templates
from services.notifier.domain.letter import Letter
from services.notifier.domain.person import EMAIL, usable
from services.notifier.ports import Delivery, Message


class EmailChannel:
    """``Channel`` over SMTP."""

    name = EMAIL
    needs_address = True

    def __init__(self, templates: Templates, mailer: SmtpMailer) -> None:
        self._templates = templates
        self._mailer = mailer

    def usable(self, address: str) -> bool:
        """Tell whether *address* can stand in a header and an envelope."""
        return usable(address)

    def compose(self, letter: Letter) -> Message:
        """Return *letter* as a mail: the same bytes each time.

        Raises:
            Unrenderable: A template cannot be filled in.
        """
        return self._templates.compose(letter)

    async def send(self, messages: Sequence[Message], deadline: float) -> Sequence[Delivery]:
        """Return what became of each of *messages*, in their order; after *deadline* (monotonic seconds) no more are tried."""
        return await self._mailer.send(messages, deadline)

    def outputs(self, message: Message, letter: Letter) -> Sequence[Output]:  # noqa: ARG002 - the port's shape
        """Return nothing: mails have a wire of their own."""
        return ()
