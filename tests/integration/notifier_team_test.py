"""The team hears once of each release, by a real mail server and a real HTTP server."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email import message_from_bytes
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from services.common.clock import SystemClock
from services.common.codec import Codec
from services.common.events import Account, Idea, NotificationOutcome, OutcomeType, PersonEvent, TeamNotice
from services.common.paths import EXAMPLES
from services.common.records import Output, Record
from services.common.registry import open_schemas
from services.console.embedded.mail import MailSink, Reply
from services.console.failures import CommandFailed
from services.console.team import Known, Notice, Recipient, notices
from services.console.team_posting import TeamPost, recipient_of
from services.notifier.adapters.email import EmailChannel
from services.notifier.adapters.posting import Poster, Reach
from services.notifier.adapters.smtp import SmtpMailer
from services.notifier.adapters.templates import Templates
from services.notifier.adapters.webhook import WebhookChannel, secret_of
from services.notifier.settings import SmtpSettings
from tests.support.http import serving

CODEC = Codec(open_schemas(None))
NOW = 1_790_000_000_000_000
DAY = 86_400_000_000
PM = Recipient("email", "pm@lumora.example")
SENDER = "Lumora <hello@lumora.example>"


def outcome(person: str, what: OutcomeType, release: str = "r1", at: int = NOW) -> NotificationOutcome:
    return NotificationOutcome(
        outcome_id=f"o-{person}-{release}", alert_id=f"a-{person}-{release}", workspace="lumora", board="product", person_id=person,
        idea_id="i", root_id="i", release_id=release, outcome=what, reason="because", attempt=1, occurred_at=at,
    )  # fmt: skip


def known(*outcomes: NotificationOutcome) -> Known:
    idea = Idea(
        idea_id="i", workspace="lumora", board="product", version=1, root_id="i", title="Dark mode & <more>", status="shipped", people=3,
        mentions=3, first_seen=NOW, last_seen=NOW, updated_at=NOW,
    )  # fmt: skip
    people = [
        PersonEvent(
            event_id=f"e{person}", type="profile", workspace="lumora", person_id=person, source="crm", occurred_at=NOW, ingested_at=NOW,
            origin="x", account_id=account, name=person.title(),
        )
        for person, account in (("ann", "acme"), ("bob", "acme"), ("cem", "tiny"))
    ]  # fmt: skip
    accounts = [
        Account(
            account_id=name, workspace="lumora", external_id=name, version=1, updated_at=NOW, ingested_at=NOW, origin="x",
            name=name.title(), owner=owner,
        )
        for name, owner in (("acme", "olga@lumora.example"), ("tiny", "Olga"))
    ]  # fmt: skip
    return Known(outcomes, [idea], people, accounts)


def test_a_summary_waits_for_the_last_one_or_for_a_day() -> None:
    told, waiting = outcome("ann", "sent"), outcome("bob", "deferred")
    assert notices(known(told, waiting), "lumora", [PM], owners=True, now=NOW + DAY - 1) == []
    [overdue] = notices(known(told, waiting), "lumora", [PM], owners=True, now=NOW + DAY)
    assert (overdue.state, overdue.summary.asked, overdue.summary.waiting) == ("overdue", 2, 1)
    done = notices(known(told, outcome("bob", "opted_out")), "lumora", [PM], owners=False, now=NOW)
    assert [(one.state, one.title) for one in done] == [("told", "Dark mode & <more>: 1 of 2 who asked have heard")]
    assert overdue.notice_id != done[0].notice_id
    assert notices(known(told), "another", [PM], owners=True, now=NOW) == []


def test_the_owner_of_an_account_gets_a_copy_where_the_owner_has_an_address() -> None:
    found = notices(known(*(outcome(who, "sent") for who in ("ann", "bob", "cem"))), "lumora", [], owners=True, now=NOW)
    [copy] = found
    assert (copy.type, copy.recipient, copy.account_id) == ("owner_copy", Recipient("email", "olga@lumora.example"), "acme")
    assert copy.title == "Acme heard of Dark mode & <more>"
    assert copy.lines[-1] == "told: Ann, Bob"


@asynccontextmanager
async def posting(sink: MailSink, published: list[Output]) -> AsyncIterator[TeamPost]:
    async def publish(outputs: Sequence[Output]) -> None:
        published.extend(outputs)

    smtp, clock = SmtpSettings(port=sink.port, sender=SENDER), SystemClock()
    templates = Templates(EXAMPLES / "templates", ["shipped"], product="Lumora", sender=SENDER, unsubscribe=None)
    mailer = SmtpMailer(smtp, "hello@lumora.example")
    loopback = [ipaddress.ip_network("127.0.0.0/8")]
    webhook = WebhookChannel(Poster(Reach(5, 2, 2, loopback, plain=True), clock), ["a master secret"], clock, plain=True)
    yield TeamPost({"email": EmailChannel(templates, mailer), "webhook": webhook}, publish, CODEC, clock, SENDER)
    await webhook.close()
    await mailer.close()


async def test_what_was_sent_is_written_down_and_what_may_go_later_is_not(tmp_path: Path) -> None:
    published: list[Output] = []
    with MailSink(tmp_path / "mail.jsonl", folder=tmp_path / "mails", replies=[Reply("^pm", "451 later")]) as sink:
        async with serving() as server, posting(sink, published) as post:
            recipients = [PM, Recipient("webhook", server.url), Recipient("email", "no address")]
            due = notices(known(outcome("ann", "sent")), "lumora", recipients, owners=False, now=NOW)
            assert [await post.send(one) for one in due] == [
                "not yet: the mail server said 451 later",
                "accepted by webhook",
                "the email address is not one that can be written to",
            ]
            assert {notice.notice_id for notice in written(published)} == {due[1].notice_id, due[2].notice_id}
            sink.replies.clear()
            assert await post.send(due[0]) == "accepted by email"
            [(headers, body)] = server.asked
    Webhook(secret_of("a master secret", server.url)).verify(body, dict(headers))
    assert json.loads(body)["data"]["people"]["reached"] == 1
    [path] = (tmp_path / "mails").glob("*")
    mail = message_from_bytes(path.read_bytes())
    assert mail["To"] == PM.address
    assert mail["Subject"] == "Dark mode & <more>: 1 of 1 who asked have heard"
    assert "&lt;more&gt;" in str(mail.get_payload()[1])  # type: ignore[index]
    last = written(published)[-1]
    assert (last.notice_id, last.type, last.state, last.asked, last.reached) == (due[0].notice_id, "summary", "told", 1, 1)
    assert "@" not in last.reason


def written(published: Sequence[Output]) -> list[TeamNotice]:
    decode = CODEC.decoder(TeamNotice)
    return [decode(Record(output.topic, 0, 0, 0, output.key, output.value)) for output in published]


@pytest.mark.parametrize("text", ["pm@lumora.example", "pigeon:pm", "email:"])
def test_who_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="expected CHANNEL:ADDRESS"):
        recipient_of(text)


def test_a_notice_is_the_same_each_time_it_is_decided() -> None:
    def decided() -> list[Notice]:
        return notices(known(outcome("ann", "sent")), "lumora", [PM], owners=True, now=NOW)

    assert decided() == decided()
