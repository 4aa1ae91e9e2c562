"""Accounts: their present state, and who has to hear of its changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import orjson

from services.common.events import Account, SegmenterWork
from services.common.outcome import Drop, Outcome
from services.common.records import Received
from services.segmenter.domain.cards import AccountCard, account_card
from services.segmenter.domain.inputs import state_of
from services.segmenter.domain.work import Cause
from services.segmenter.handler.facts import Publisher, dump
from services.segmenter.ports import Change, Document, Documents, Entry

_MEMBER = "member:"
_VERSION = "version:"


@dataclass(slots=True)
class _Account:
    before: Document | None
    position: int
    card: AccountCard | None
    entries: dict[str, Entry] = field(default_factory=dict)


class Accounts:
    """Applies what happens to accounts.

    Who belongs to an account is kept as its entries and never taken back: who has left it does not listen. The notes to all of
    them are not stored but made again from the record itself and from who belonged to the account at that position.
    """

    def __init__(self, accounts: Documents, publisher: Publisher, partition_of: Callable[[str], int]) -> None:
        self._accounts = accounts
        self._publisher = publisher
        self._partition_of = partition_of

    async def states(self, batch: Sequence[Received[Account | None]]) -> Sequence[Outcome]:
        """Handle records of ``accounts``."""
        given = [r.event for r in batch if r.event is not None]
        accounts = await self._load({account.account_id for account in given})
        seen = await self._accounts.find([(account.account_id, _version(account)) for account in given])
        outcomes: list[Outcome] = []
        for received in batch:
            account = received.event
            if account is None:
                outcomes.append(Drop("tombstone"))
                continue
            known = accounts[account.account_id]
            entry = seen.get((account.account_id, _version(account))) or known.entries.get(_version(account))
            if entry is not None and entry.origin != received.record.origin:
                outcomes.append(Drop("repeat"))
            elif entry is not None:
                outcomes.append(await self._told(account, entry.position))
            elif known.card is not None and known.card.version >= account.version:
                outcomes.append(Drop("stale"))
            else:
                known.position += 1
                known.card = AccountCard.of(account)
                known.entries[_version(account)] = Entry(_version(account), received.record.origin, known.position, dump(()))
                outcomes.append(await self._told(account, known.position))
        await self._save(accounts)
        return outcomes

    async def members(self, batch: Sequence[Received[SegmenterWork]]) -> Sequence[Outcome]:
        """Handle the notes of who belongs to an account."""
        accounts = await self._load({r.event.account_id or "" for r in batch})
        keys = [(r.event.account_id or "", _MEMBER + str(state_of(r.event)["person"])) for r in batch]
        seen = await self._accounts.find(keys)
        outcomes: list[Outcome] = []
        for (account_id, input_id), received in zip(keys, batch, strict=True):
            known = accounts[account_id]
            entry = seen.get((account_id, input_id)) or known.entries.get(input_id)
            if entry is not None:
                outcomes.append(self._publisher.again(received.record.origin, entry.origin, entry.facts))
                continue
            note = received.event
            facts = []
            if known.card is not None and known.card.version > note.version:
                cause = Cause(note.workspace, note.work_id, note.created_at)
                facts.append(cause.account_changed(input_id.removeprefix(_MEMBER), known.card))
            known.position += 1
            known.entries[input_id] = Entry(input_id, received.record.origin, known.position, dump(facts))
            outcomes.append(self._publisher.emit(facts))
        await self._save(accounts)
        return outcomes

    async def enroll(self, people: Iterable[tuple[str, str]]) -> None:
        """Note which account each person belongs to (account id, person id), of people who know its present state; safe to repeat."""
        keys = [(account_id, _MEMBER + person_id) for account_id, person_id in people]
        seen = await self._accounts.find(keys)
        accounts = await self._load({account_id for account_id, input_id in keys if (account_id, input_id) not in seen})
        for account_id, input_id in sorted(set(keys) - seen.keys()):
            known = accounts[account_id]
            known.position += 1
            known.entries[input_id] = Entry(input_id, "", known.position, dump(()))
        await self._save(accounts)

    async def _told(self, account: Account, position: int) -> Outcome:
        """Return the notes to all who belonged to the account at *position*."""
        cause = Cause(account.workspace, f"{account.account_id}/{account.version}", account.ingested_at)
        card = AccountCard.of(account)
        members = await self._accounts.inputs(account.account_id, _MEMBER, position)
        return self._publisher.emit([cause.account_changed(member.removeprefix(_MEMBER), card) for member in members])

    async def _load(self, ids: set[str]) -> dict[str, _Account]:
        documents = await self._accounts.load(ids)
        loaded = {}
        for account_id in ids:
            document = documents.get(account_id)
            card = account_card(document.card) if document is not None and document.card else None
            loaded[account_id] = _Account(document, 0 if document is None else document.position, card)
        return loaded

    async def _save(self, accounts: dict[str, _Account]) -> None:
        changes = []
        for account_id, known in accounts.items():
            if known.entries:
                card = b"" if known.card is None else orjson.dumps(known.card)
                after = Document(account_id, known.position, b"{}", card, self._partition_of(account_id))
                changes.append(Change(known.before, after, tuple(known.entries.values())))
        if changes:
            await self._accounts.save(changes)


def _version(account: Account) -> str:
    return f"{_VERSION}{account.version}"
