"""A mail server with moods."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal, TypeAlias

from services.console.embedded.mail import MailSink

Mood: TypeAlias = Literal["kind", "slow", "busy", "refusing", "hanging", "closing"]
MOODS: tuple[Mood, ...] = ("slow", "busy", "refusing", "hanging", "closing")
_SLOW_SECONDS = 1.0
_HANGING_SECONDS = 3600.0


class MoodySink(MailSink):
    """Takes mails as its *mood* is: slowly, not now (451), never (554), without an answer, or taken and the connection closed unsaid."""

    mood: Mood = "kind"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail, or not."""
        match self.mood:
            case "slow":
                await asyncio.sleep(_SLOW_SECONDS)
            case "busy":
                return "451 4.3.0 Try again later"
            case "refusing":
                return "554 5.7.1 Not for us"
            case "hanging":
                await asyncio.sleep(_HANGING_SECONDS)
            case "closing":
                answer = await super().handle_DATA(server, session, envelope)
                self._mark_unanswered()
                server.transport.abort()
                return answer
            case "kind":
                pass
        return await super().handle_DATA(server, session, envelope)

    def _mark_unanswered(self) -> None:
        lines = self._log.read_text(encoding="utf-8").splitlines()
        lines[-1] = json.dumps({**json.loads(lines[-1]), "answered": False})
        self._log.write_text("\n".join(lines) + "\n", encoding="utf-8")
