"""What persons are called outside, made comparable: ``email:ann@example.com``, ``crm:42``, ``slack:U123``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.common import ids
from services.ingest.domain.faults import fault
from services.ingest.domain.fields import Fields

_DOTS_IGNORED = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}
"""Providers whose mailboxes are the same with and without dots, and the domain that stands for all their names."""
_ADDRESS = re.compile(
    r"[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]{1,64}@(?:[^\s@<>,;:\"()\[\]\\.\x00-\x1f\x7f]{1,63}\.)+[^\s@<>,;:\"()\[\]\\.\x00-\x1f\x7f]{1,63}"
)
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,31}:[^\x00-\x1f\x7f]{1,512}")
_DIGEST, _SHORT = 24, 12
PROVISIONAL = "feedback:"
"""The namespace of the alias that feedback without an author gives to whoever wrote it."""
_LONGEST_ADDRESS = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets


@dataclass(frozen=True, slots=True)
class Author:
    """Who a record says that it is of or about. All of it may be absent."""

    aliases: tuple[str, ...] = ()
    """In the order in which a known one wins: CRM id, e-mail, alias of the channel."""
    address: str | None = None
    """The e-mail address as given: mail goes there, plus-tag and all."""
    name: str | None = None
    person_id: str | None = None
    """Our own id, where the record gives back one that this system gave: it wins over every alias."""

    @property
    def known_by(self) -> tuple[str, ...]:
        """All that names them."""
        return self.aliases if self.person_id is None else (*self.aliases, self.person_id)

    @property
    def is_named(self) -> bool:
        """Whether there is anything to know them by."""
        return bool(self.known_by)

    @property
    def first_alias(self) -> str | None:
        """The alias that a new person is identified by: the e-mail where there is one."""
        return next((alias for alias in self.aliases if alias.startswith("email:")), self.aliases[0] if self.aliases else None)

    def digests(self, workspace: str) -> tuple[str, ...]:
        """Return 60 bits of each alias, in order; none of who is nobody."""
        return () if self.is_provisional else tuple(ids.person_id(workspace, alias)[-_DIGEST:][:_SHORT] for alias in self.aliases)

    @property
    def is_provisional(self) -> bool:
        """Whether nothing is known but the feedback itself."""
        return len(self.aliases) == 1 and self.aliases[0].startswith(PROVISIONAL)


def email_alias(address: str) -> str | None:
    """Return the alias of *address*, the same for all its spellings, or None where it is no address.

    Case, plus-tags (RFC 5233) and, where the provider ignores them, dots make no difference.
    """
    if len(address) > _LONGEST_ADDRESS or _ADDRESS.fullmatch(address) is None:
        return None
    local, _, domain = address.lower().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _DOTS_IGNORED:
        local = local.replace(".", "") or local
        domain = _DOTS_IGNORED[domain]
    return f"email:{local}@{domain}"


def parse_alias(alias: str) -> str | None:
    """Return *alias* (``namespace:name``) made comparable, or None where it has no namespace."""
    namespace, _, name = alias.partition(":")
    if namespace.lower() == "email":
        return email_alias(name.strip())
    normal = f"{namespace.lower()}:{name.strip()}"
    return normal if _ALIAS.fullmatch(normal) else None


def read_author(fields: Fields, *, crm_field: str = "crm_id") -> Author:
    """Return the author that *fields* (``crm_id``, ``email``, ``alias``, ``aliases``, ``name``) name; nobody is an empty author.

    Raises:
        MalformedRecord: An address or an alias is none.
    """
    aliases: list[str] = []
    crm = fields.identifier(crm_field) or (None if crm_field == "crm_id" else fields.identifier("crm_id"))
    if crm is not None:
        aliases.append(_checked(f"crm:{crm}", crm_field))
    address = fields.text("email")
    if address is not None:
        normal = email_alias(address)
        if normal is None:
            raise fault("bad_email", "email: expected one bare address, such as ann@example.com")
        aliases.append(normal)
    if fields.has("alias"):
        aliases.append(_checked(fields.text("alias"), "alias"))
    if fields.has("aliases"):
        aliases.extend(_checked(alias, "aliases") for alias in fields.listed("aliases"))
    ordered = aliases if len(aliases) < 2 else sorted(dict.fromkeys(aliases), key=_precedence)
    return Author(tuple(ordered), address, fields.text("name"))


def _checked(alias: object, field: str) -> str:
    normal = parse_alias(alias) if isinstance(alias, str) else None
    if normal is None:
        raise fault("bad_alias", f"{field}: expected namespace:name, such as slack:U123")
    return normal


def _precedence(alias: str) -> int:
    return 0 if alias.startswith("crm:") else 1 if alias.startswith("email:") else 2
