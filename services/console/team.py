"""What the team is told of releases: who gets which notice, decided from what the topics say. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.common.clock import Micros
from services.common.events import Account, Idea, NoticeState, NoticeType, NotificationOutcome, PersonEvent
from services.common.ids import make_id
from services.console.board import end_of, final_outcomes, joined, names_of, newest
from services.console.releases import ReleaseSummary, summaries
from services.notifier.domain.person import EMAIL, usable

_DAY: Micros = 86_400 * 1_000_000
_NAMES = 20
"""So many people are named in a copy at most."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom the team's summaries go to."""

    channel: str
    address: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one recipient about one release."""

    notice_id: str
    type: NoticeType
    recipient: Recipient
    state: NoticeState
    summary: ReleaseSummary
    title: str
    lines: Sequence[str]
    account_id: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the topics say."""

    outcomes: Sequence[NotificationOutcome]
    ideas: Sequence[Idea]
    people: Sequence[PersonEvent]
    accounts: Sequence[Account]


def notices(known: Known, workspace: str, recipients: Collection[Recipient], *, owners: bool, now: Micros) -> list[Notice]:
    """Return every notice that is worth sending by *now*, sent or not, each under an id of its own.

    Args:
        known: Everything that was said.
        workspace: Whose releases.
        recipients: Of a summary of each release, once when nobody waits any more, and once where somebody still does a day later.
        owners: Whether the owner of an account, where that is an e-mail address, gets a copy of what its people were told.
        now: The present moment.
    """
    outcomes = [one for one in final_outcomes(known.outcomes).values() if one.workspace == workspace]
    first = _first_words(known.outcomes)
    titles = {idea.idea_id: idea.title for idea in newest(known.ideas).values()}
    found: list[Notice] = []
    for summary in summaries(outcomes):
        state: NoticeState = "overdue" if summary.waiting else "told"
        if summary.waiting and now - first[summary.release_id] < _DAY:
            continue
        mine = [one for one in outcomes if one.release_id == summary.release_id]
        about = _about(mine, titles)
        found += [_summary(summary, state, recipient, about) for recipient in recipients]
        if owners and state == "told":
            found += _copies(known, mine, about)
    return found


def _first_words(outcomes: Iterable[NotificationOutcome]) -> Mapping[str, Micros]:
    first: dict[str, Micros] = {}
    for one in outcomes:
        first[one.release_id] = min(one.occurred_at, first.get(one.release_id, one.occurred_at))
    return first


def _about(outcomes: Iterable[NotificationOutcome], titles: Mapping[str, str]) -> str:
    ideas = sorted({titles.get(one.root_id, one.root_id) for one in outcomes})
    more = f" and {len(ideas) - 3} more" if len(ideas) > 3 else ""
    return ", ".join(ideas[:3]) + more


def _summary(summary: ReleaseSummary, state: NoticeState, recipient: Recipient, about: str) -> Notice:
    name = make_id(summary.workspace, "notice", "summary", summary.release_id, state, recipient.channel, recipient.address)
    what = f"{about}: {summary.reached} of {summary.asked} who asked have heard"
    return Notice(name, "summary", recipient, state, summary, what, [f"Release {summary.release_id}", *_numbers(summary)])


def _numbers(summary: ReleaseSummary) -> list[str]:
    return [f"{what.replace('_', ' ')}: {count}" for what, count in summary.counts().items()]


def _copies(known: Known, outcomes: Sequence[NotificationOutcome], about: str) -> list[Notice]:
    """Return a copy for the owner of each account whose people asked."""
    accounts = {account.account_id: account for account in sorted(known.accounts, key=lambda account: account.version)}
    names, pointers = names_of(known.people), joined(known.people)
    account_of = _accounts_of(known.people)
    by_account: dict[str, list[NotificationOutcome]] = {}
    for one in outcomes:
        of_them = account_of.get(one.person_id) or account_of.get(end_of(one.person_id, pointers))
        if of_them is not None:
            by_account.setdefault(of_them, []).append(one)
    found = []
    for account_id, theirs in sorted(by_account.items()):
        account = accounts.get(account_id)
        if account is None or not account.owner or not usable(account.owner):
            continue
        for summary in summaries(theirs):
            people = sorted({names.get(one.person_id, one.person_id) for one in theirs if one.outcome in ("sent", "delivered")})
            found.append(_copy(summary, account, about, people))
    return found


def _copy(summary: ReleaseSummary, account: Account, about: str, people: Sequence[str]) -> Notice:
    owner = Recipient(EMAIL, account.owner or "")
    name = make_id(summary.workspace, "notice", "owner_copy", summary.release_id, account.account_id, owner.address)
    company = account.name or account.external_id
    told = f"told: {', '.join(people[:_NAMES])}" + (f" and {len(people) - _NAMES} more" if len(people) > _NAMES else "")
    lines = [f"Release {summary.release_id}", *_numbers(summary), *([told] if people else [])]
    return Notice(name, "owner_copy", owner, "told", summary, f"{company} heard of {about}", lines, account.account_id)


def _accounts_of(people: Iterable[PersonEvent]) -> Mapping[str, str]:
    """Return the account of each person whose newest profile names one."""
    newest_at: dict[str, Micros] = {}
    found: dict[str, str] = {}
    for event in people:
        if event.type == "profile" and event.occurred_at >= newest_at.get(event.person_id, 0):
            newest_at[event.person_id] = event.occurred_at
            if event.account_id:
                found[event.person_id] = event.account_id
            else:
                found.pop(event.person_id, None)
    return found
