"""The channel ``in_app``: a topic that the product reads, published together with the word that the person was told."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.codec import Codec
from services.common.events import Alert, InAppMessage
from services.common.records import Output
from services.notifier.domain.letter import Letter
from services.notifier.ports import Accepted, Delivery, Message

IN_APP = "in_app"


class InAppChannel:
    """``Channel`` over ``notifications.in_app``: nothing can be refused there, and nothing is told before the broker has it."""

    name = IN_APP
    needs_address = False

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def usable(self, address: str) -> bool:
        """Tell whether *address*, a person's id, is there."""
        return bool(address)

    def compose(self, letter: Letter) -> Message:
        """Return *letter*; what is published of it is made by ``outputs``."""
        return Message(letter.address, f"in-app:{letter.id}", b"")

    async def send(self, messages: Sequence[Message], deadline: float) -> Sequence[Delivery]:  # noqa: ARG002 - the port's shape
        """Return that each is taken: the loop publishes and acknowledges together."""
        return [Accepted()] * len(messages)

    def outputs(self, message: Message, letter: Letter) -> Sequence[Output]:  # noqa: ARG002 - the port's shape
        """Return one record an alert, under the alert's id: repeated, they say the same again."""
        return [self._codec.output(_shown(alert)) for alert in letter.alerts]


def _shown(alert: Alert) -> InAppMessage:
    return InAppMessage(
        alert_id=alert.alert_id,
        workspace=alert.workspace,
        board=alert.board,
        person_id=alert.person_id,
        idea_id=alert.idea_id,
        root_id=alert.root_id,
        feedback_id=alert.feedback_id,
        status=alert.status,
        title=alert.title,
        quote=alert.quote,
        created_at=alert.created_at,
        release_id=alert.release_id,
        release_name=alert.release_name,
        release_url=alert.release_url,
    )
