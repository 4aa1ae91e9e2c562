"""Delivery status notifications (RFC 3464) as reports: what mail servers say later of mails that they had taken.

The mails come from strangers: whatever they hold, ``reports_in`` reads what it can and raises nothing. Which message one is about is
told by the Message-ID of the mail that it returns, which only we and its recipient know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from email.utils import parsedate_to_datetime

from services.common.clock import Micros
from services.common.events import DeliveryReport
from services.common.events.notifications import ReportType
from services.common.ids import make_id
from services.notifier.adapters.smtp import without_addresses
from services.notifier.domain.letter import letter_of
from services.notifier.domain.person import EMAIL

LARGEST_BYTES = 1_000_000
"""Of a mail, more is not read: a report and the headers that it returns are far smaller."""
_OUTCOMES: dict[str, ReportType] = {"failed": "bounced", "delivered": "delivered"}
"""By Action; what is merely delayed, relayed or expanded is not known yet."""
_GONE = re.compile(r"5\.(1\.(1|2|3|6|10)|2\.1)")
"""Statuses (RFC 3463) of a mailbox or a domain that does not exist, or is closed."""
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_LETTER = re.compile(r"[a-z2-7]{24}")
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^<>\s]{1,200}>)", re.IGNORECASE | re.MULTILINE)


def reports_in(raw: bytes, now: Micros) -> list[DeliveryReport]:
    """Return what the mail *raw* reports of a message of ours; nothing for any other mail. *now* dates one whose own date is none."""
    if len(raw) > LARGEST_BYTES:
        return []
    try:
        mail = message_from_bytes(raw, policy=compat32)
        letter = _letter_in(raw, mail)
        if mail.get_content_type() != "multipart/report" or letter is None:
            return []
        at = _moment(mail, now)
        return list({report.report_id: report for fields in _recipients(mail) if (report := _report(fields, letter, at))}.values())
    except (LookupError, TypeError, ValueError, RecursionError, AttributeError):  # what the standard library makes of hostile mail
        return []


def _letter_in(raw: bytes, mail: Message) -> str | None:
    """Return the letter whose mail is returned: a Message-ID of our form below the report's own headers."""
    own = str(mail.get("Message-ID", "")).strip().encode("utf-8", "replace")
    returned = (found.decode("ascii", "replace") for found in _MESSAGE_ID.findall(raw) if found != own)
    letters = (message_id[1:].partition("@")[0] for message_id in returned)
    return next((letter_of(letter) for letter in letters if _LETTER.fullmatch(letter)), None)


def _recipients(mail: Message) -> Iterator[Message]:
    """Yield the fields of each recipient."""
    for part in mail.walk():
        if part.get_content_type() == "message/delivery-status":
            blocks = part.get_payload()
            yield from (block for block in blocks if isinstance(block, Message) and "Action" in block) if isinstance(blocks, list) else ()


def _report(fields: Message, letter: str, at: Micros) -> DeliveryReport | None:
    action = str(fields["Action"]).strip().lower()
    outcome = _OUTCOMES.get(action)
    if outcome is None:
        return None
    found = _STATUS.search(str(fields.get("Status", "")))
    status = found.group() if found else ""
    said = without_addresses(f"{status} {str(fields.get('Diagnostic-Code', '')).partition(';')[2]}", _address(fields))
    return DeliveryReport(
        report_id=make_id("reports", "report", letter, action, status, str(fields.get("Final-Recipient", ""))),
        letter=letter,
        channel=EMAIL,
        outcome=outcome,
        reason=said.strip() or action,
        occurred_at=at,
        address_gone=outcome == "bounced" and _GONE.fullmatch(status) is not None,
    )


def _address(fields: Message) -> str:
    return str(fields.get("Final-Recipient", "")).partition(";")[2].strip()


def _moment(mail: Message, now: Micros) -> Micros:
    try:
        moment = parsedate_to_datetime(str(mail["Date"]))
    except (ValueError, TypeError):
        return now
    return min(now, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1_000_000)
