"""The join of {shipped, release}, {asked} and {pointers}, folded from a board's decisions in their order.

Whichever side comes last makes the alerts, so lag, order, merges and late links cannot miss anyone. The state is a pure function of
the entries applied: a redelivery, a restart, another batch size make the same alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from services.common.clock import Micros
from services.common.ids import alert_id, make_id
from services.notifier.domain.entry import Entry
from services.notifier.domain.families import Families, Union


@dataclass(frozen=True, slots=True)
class Release:
    """What shipped: one telling status of one idea."""

    id: str
    idea: str
    status: str
    name: str | None
    url: str | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NewAlert:
    """*person* asked for *idea*, of which *release* shipped: to be told, for the first time."""

    alert_id: str
    idea: str
    root: str
    person: str
    release: Release
    title: str
    feedback: str
    quoted: int
    """The sequence of the entry that holds the person's words."""
    at: Micros
    sequence: int
    """Of the entry that completed the join."""
    ordinal: int
    """Its place among the alerts that this entry made, from 0."""


@dataclass(frozen=True, slots=True)
class Want:
    """An alert that exists is no longer wanted (its link, its pointer or its status is gone), or is wanted again."""

    alert_id: str
    wanted: bool
    sequence: int
    at: Micros


@dataclass(slots=True)
class Effects:
    """What entries bring about outside the fold, in the order in which they did."""

    alerts: list[NewAlert] = field(default_factory=list)
    wants: list[Want] = field(default_factory=list)
    unions: list[Union] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Pointer:
    into: str
    sequence: int


@dataclass(frozen=True, slots=True)
class _Status:
    release: Release | None
    sequence: int


class Board:
    """What the notifier knows of one board."""

    def __init__(self, workspace: str) -> None:
        self.position = 0
        """The sequence of the last entry applied."""
        self._workspace = workspace
        self._families = Families()
        self._titles: dict[str, str] = {}
        self._pointers: dict[str, _Pointer] = {}
        self._members: dict[str, set[str]] = {}
        self._statuses: dict[str, _Status] = {}
        self._links: dict[str, tuple[str, str]] = {}
        self._asked: dict[str, dict[str, dict[str, int]]] = {}
        self._alerted: dict[tuple[str, str], set[str]] = {}
        self._effects = Effects()
        self._entry = Entry(sequence=0, origin="", type="unknown", at=0)
        self._made = 0

    def apply(self, entry: Entry, effects: Effects) -> None:
        """Take *entry*, the next one, into the state; what it brings about is added to *effects*."""
        self._effects, self._entry, self._made = effects, entry, 0
        match entry.type:
            case "opened" | "renamed" if entry.idea_id and entry.title:
                self._titles[entry.idea_id] = entry.title
            case "linked" if entry.idea_id and entry.feedback_id and entry.person_id:
                self._link(entry.feedback_id, entry.idea_id, entry.person_id, entry.sequence)
            case "unlinked" if entry.feedback_id:
                self._unlink(entry.feedback_id)
            case "moved" | "split" if entry.idea_id and entry.feedback_id:
                self._move(entry.feedback_id, entry.idea_id)
            case "merged" if entry.idea_id and entry.other_idea_id:
                self._merge(entry.idea_id, entry.other_idea_id)
            case "unmerged" if entry.idea_id:
                self._unmerge(entry.idea_id)
            case "status_changed" if entry.idea_id and entry.status:
                self._change_status(entry.idea_id, entry.status)
            case _:
                pass  # suggestions and refusals tell nobody anything
        self.position = entry.sequence

    def root(self, idea: str) -> str:
        """Return where the pointers of *idea* end."""
        while (pointer := self._pointers.get(idea)) is not None:
            idea = pointer.into
        return idea

    def releases(self, idea: str) -> Mapping[str, Release]:
        """Return, by id, the releases that everyone linked to *idea* is to be told of.

        The root's, and what an idea below it had shipped before it was merged, until an idea above it changes its own status.
        """
        found: dict[str, Release] = {}
        status = self._statuses.get(idea)
        if status is not None and status.release is not None:
            found[status.release.id] = status.release
        while (pointer := self._pointers.get(idea)) is not None:
            idea = pointer.into
            status = self._statuses.get(idea)
            if status is None:
                continue
            if status.sequence > pointer.sequence:
                found.clear()
            if status.release is not None:
                found[status.release.id] = status.release
        return found

    def asked(self) -> Iterable[tuple[str, str]]:
        """Return every (idea as linked, person) in force."""
        return ((idea, person) for idea, people in self._asked.items() for person in people)

    def _link(self, feedback: str, idea: str, person: str, quoted: int) -> None:
        if feedback in self._links:
            if self._links[feedback] == (idea, person):
                self._asked[idea][person][feedback] = quoted
                return
            self._unlink(feedback)
        self._links[feedback] = (idea, person)
        requests = self._asked.setdefault(idea, {}).setdefault(person, {})
        requests[feedback] = quoted
        if len(requests) == 1:
            for release in self.releases(idea).values():
                self._want(idea, person, release)

    def _unlink(self, feedback: str) -> int:
        """Take *feedback* from its idea; return the entry that holds its words, 0 where it is linked to nothing."""
        idea, person = self._links.pop(feedback, ("", ""))
        requests = self._asked.get(idea, {}).get(person, {})
        quoted = requests.pop(feedback, 0)
        if quoted and not requests:
            del self._asked[idea][person]
            for release in self.releases(idea).values():
                self._unwant(idea, person, release)
        return quoted

    def _move(self, feedback: str, idea: str) -> None:
        _, person = self._links.get(feedback, ("", self._entry.person_id or ""))
        quoted = self._unlink(feedback)
        if person:
            self._link(feedback, idea, person, quoted or self._entry.sequence)

    def _merge(self, idea: str, into: str) -> None:
        if self.root(into) == idea:
            return  # a circle would have no root; dedup refuses it

        def point() -> None:
            self._detach(idea)
            self._pointers[idea] = _Pointer(into, self._entry.sequence)
            self._members.setdefault(into, set()).add(idea)

        self._reshape(idea, point)
        union = self._families.unite(idea, into)
        if union is not None:
            self._effects.unions.append(union)

    def _unmerge(self, idea: str) -> None:
        if idea in self._pointers:
            self._reshape(idea, lambda: self._detach(idea))

    def _detach(self, idea: str) -> None:
        pointer = self._pointers.pop(idea, None)
        if pointer is not None:
            self._members[pointer.into].discard(idea)

    def _change_status(self, idea: str, status: str) -> None:
        """A status is the root's, and the idea's own.

        What a roadmap tool says of an idea that was merged away, it says of the whole family; and it holds for that idea, too, once it is
        parted from it: dedup may have decided that before the tool knew of the merge.
        """
        entry, root = self._entry, self.root(idea)

        def change() -> None:
            for named in {root, idea}:
                release = None
                if entry.tells:
                    identity = release_identity(self._workspace, root, status, entry.release_id)
                    release = Release(identity, named, status, entry.release_name, entry.release_url, entry.reason)
                self._statuses[named] = _Status(release, entry.sequence)

        self._reshape(root, change)

    def _reshape(self, top: str, change: Callable[[], None]) -> None:
        """Make *change*, which concerns *top* and all below it; want what it adds, unwant what it takes away."""
        before = {idea: self.releases(idea) for idea in self._below(top) if self._asked.get(idea)}
        change()
        for idea, old in before.items():
            new = self.releases(idea)
            for person in self._asked[idea]:
                for release_id in old.keys() - new.keys():
                    self._unwant(idea, person, old[release_id])
                for release_id in sorted(new.keys() - old.keys()):
                    self._want(idea, person, new[release_id])

    def _below(self, top: str) -> list[str]:
        found = [top]
        for idea in found:
            found.extend(sorted(self._members.get(idea, ())))
        return found

    def _want(self, idea: str, person: str, release: Release) -> None:
        entry = self._entry
        alert = alert_id(self._workspace, idea, release.id, person)
        alerted = self._alerted.setdefault((idea, release.id), set())
        if person in alerted:
            self._effects.wants.append(Want(alert, True, entry.sequence, entry.at))
            return
        alerted.add(person)
        feedback, quoted = min(self._asked[idea][person].items(), key=lambda request: request[1])
        title = self._titles.get(release.idea) or self._titles.get(idea, "")
        self._effects.alerts.append(
            NewAlert(alert, idea, self.root(idea), person, release, title, feedback, quoted, entry.at, entry.sequence, self._made)
        )
        self._made += 1

    def _unwant(self, idea: str, person: str, release: Release) -> None:
        if person in self._alerted.get((idea, release.id), ()):
            alert = alert_id(self._workspace, idea, release.id, person)
            self._effects.wants.append(Want(alert, False, self._entry.sequence, self._entry.at))


def release_identity(workspace: str, root: str, status: str, release_id: str | None) -> str:
    """Return the id of a release: the one that it was given or, for another status or without one, a pure function of the idea."""
    if status == "shipped" and release_id:
        return release_id
    return make_id(workspace, "release", root, status, release_id or "")
