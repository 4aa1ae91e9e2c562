"""What one worker may know of another's persons and accounts: small, versioned, and read without asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from services.common.clock import Micros
from services.common.events import Account
from services.common.values import maker
from services.segmenter.domain.facts import traits_of


@dataclass(frozen=True, slots=True)
class AccountCard:
    """What others may read of an account. *version* grows with every accepted change of it."""

    account_id: str
    version: int
    name: str | None = None
    plan: str | None = None
    mrr_cents: int = 0
    employees: int | None = None
    industry: str | None = None
    region: str | None = None
    traits: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, account: Account) -> AccountCard:
        """Return the card of *account*."""
        return cls(
            account.account_id,
            account.version,
            account.name,
            account.plan,
            account.mrr_cents,
            account.employees,
            account.industry,
            account.region,
            traits_of(account.traits_json),
        )

    def variables(self) -> dict[str, Any]:
        """Return the CEL variable ``account``: what is known, nothing else; ``mrr`` in units of the currency."""
        known = {
            "name": self.name,
            "plan": self.plan,
            "mrr": self.mrr_cents / 100,
            "employees": self.employees,
            "industry": self.industry,
            "region": self.region,
            "traits": dict(self.traits),
        }
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True)
class AccountBrief:
    """What a board has to know of an account. *version* 0: only its id is known yet."""

    account_id: str
    version: int = 0
    name: str | None = None
    plan: str | None = None
    mrr_cents: int = 0


@dataclass(frozen=True, slots=True)
class PersonCard:
    """What others may read of a person. *version* grows whenever anything else in it changes."""

    person_id: str
    version: int = 0
    known: bool = False
    """Whether anybody has a profile of the person, or of those who follow it."""
    known_since: Micros | None = None
    pointer: str | None = None
    """Whom the person was joined into."""
    pointer_since: Micros | None = None
    segments: Mapping[str, str] = field(default_factory=dict)
    definition: str = ""
    account: AccountBrief | None = None

    def counts_as(self, other: PersonCard) -> bool:
        """Tell whether nothing that is counted, and nobody who is counted with whom, differs between it and *other* of the same person."""
        accounts = [None if card.account is None else card.account.account_id for card in (self, other)]
        return (self.pointer, self.known, self.segments, accounts[0]) == (other.pointer, other.known, other.segments, accounts[1])


_PERSON_CARD, _ACCOUNT_BRIEF = maker(PersonCard), maker(AccountBrief)


def plain_card(card: PersonCard) -> dict[str, Any]:
    """Return *card* as values of JSON, at a tenth of what ``dataclasses.asdict`` costs."""
    fields = {name: getattr(card, name) for name in PersonCard.__slots__}
    brief = card.account
    fields["account"] = None if brief is None else {name: getattr(brief, name) for name in AccountBrief.__slots__}
    return fields


def person_card(raw: bytes | str | Mapping[str, Any]) -> PersonCard:
    """Return the card that was stored or sent as *raw*."""
    fields: Mapping[str, Any] = orjson.loads(raw) if isinstance(raw, bytes | str) else raw
    account = fields["account"]
    return _PERSON_CARD(**{**fields, "account": None if account is None else _ACCOUNT_BRIEF(**account)})


def account_card(raw: bytes | str | Mapping[str, Any]) -> AccountCard:
    """Return the card that was stored or sent as *raw*."""
    fields: Mapping[str, Any] = orjson.loads(raw) if isinstance(raw, bytes | str) else raw
    return AccountCard(**fields)
