"""What the outside world publishes while things break: a function of the seed."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from services.common.records import Output
from tests.faults.evidence import CRASH_MARK, POISON_KEY, POISON_MARK
from tests.faults.releases import framed, versions_of

WORKSPACE = "faults"
_BOARDS = 6
_PEOPLE = 60
_SUBJECTS = ("export", "import", "login", "search", "timer", "voting", "template", "comment", "history", "invoice", "calendar", "chart")
_WISHES = ("is slow", "is missing", "needs a shortcut", "crashes on tablets", "should be shared", "looks dated", "ignores my settings")
_BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


class Load:
    """Makes records; remembers what was said, so that it can be said again."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"load {seed}")
        self._number = 0
        self._revisions: dict[str, tuple[int, str, int]] = {}
        """Feedback that may be revised: its revision, board, author."""
        self.published: list[Output] = []

    def background(self) -> list[Output]:
        """Return who there is: accounts and people."""
        rng, made = self._rng, []
        for number in range(8):
            body = {
                "id": f"acme-{number}",
                "name": f"Acme {number}",
                "plan": rng.choice(("free", "pro", "enterprise")),
                "mrr": 100 * number,
            }
            made.append(self._output("accounts.raw", f"acme-{number}", body))
        for number in range(_PEOPLE):
            body = {"id": f"crm-{number}", "email": _email(number), "name": f"Person {number}", "account": f"acme-{number % 8}"}
            made.append(self._output("people.raw", f"crm-{number}", body))
        return self._remember(made)

    def feedback(self, count: int) -> list[Output]:
        """Return *count* records: mostly new feedback, some revised or retracted, some that were published before."""
        rng, made = self._rng, []
        for _ in range(count):
            kind = rng.random()
            if kind < 0.12 and self._revisions:
                made.append(self._revised(rng.choice(sorted(self._revisions))))
            elif kind < 0.22 and self.published:
                made.append(rng.choice(self.published))
            else:
                made.append(self._said(self._text()))
        return self._remember(made)

    def duplicates(self, count: int) -> list[Output]:
        """Return *count* records that were published before, three times each, in any order."""
        chosen = self._rng.choices(self.published, k=min(count, len(self.published))) * 3
        self._rng.shuffle(chosen)
        return chosen

    def everything_again(self) -> list[Output]:
        """Return all that was published, in another order across sources and keys; one feedback's own revisions keep theirs."""
        chosen = [*self.published]
        self._rng.shuffle(chosen)
        return chosen

    def poison(self, count: int) -> list[Output]:
        """Return *count* records that nobody can use."""
        return [self._poisoned() for _ in range(count)]

    def deadly(self) -> list[Output]:
        """Return a record for each service that kills its worker, every time: one at the front door, one to group, one to know."""
        stranger = {"id": "crm-deadly", "email": "deadly@example.com", "traits": {"note": CRASH_MARK}}
        front = {"id": "deadly", "workspace": WORKSPACE, "board": "b0", "text": POISON_MARK, "author": {"email": _email(0)}}
        key = POISON_KEY + b"deadly"
        made = [self._said(CRASH_MARK), self._output("people.raw", "crm-deadly", stranger)]
        return [*self._remember(made), Output("feedback.raw", key, json.dumps(front).encode(), key)]

    def shipped(self, idea_id: str, board: str) -> list[Output]:
        """Return the news that *idea_id* shipped."""
        self._number += 1
        body = {"id": f"status-{self._number}", "idea_id": idea_id, "status": "shipped", "release_id": f"release-{self._number}"}
        return self._remember([self._output("ideas.status", idea_id, {**body, "release_name": "A release", "board": board})])

    def merged(self, idea_id: str, other: str, board: str) -> list[Output]:
        """Return the command that merges *idea_id* into *other*."""
        self._number += 1
        body = {"id": f"command-{self._number}", "command": "merge", "actor": "harness", "idea_id": idea_id, "other_idea_id": other}
        return self._remember([self._output("ideas.commands", idea_id, {**body, "board": board})])

    def _text(self) -> str:
        return (
            f"The {self._rng.choice(_SUBJECTS)} {self._rng.choice(_WISHES)} {self._rng.choice(('in room', 'on floor', 'at desk'))} "
            + str(self._rng.randrange(9))
        )

    def _said(self, text: str) -> Output:
        self._number += 1
        name, board, author = f"wish-{self._number}", f"b{self._rng.randrange(_BOARDS)}", self._rng.randrange(_PEOPLE)
        self._revisions[name] = (0, board, author)
        return self._wish(name, text)

    def _revised(self, name: str) -> Output:
        revision, board, author = self._revisions[name]
        self._revisions[name] = (revision + 1, board, author)
        gone = self._rng.random() < 0.3
        output = self._wish(name, self._text(), deleted=gone)
        if gone:
            del self._revisions[name]
        return output

    def _wish(self, name: str, text: str, *, deleted: bool = False) -> Output:
        revision, board, author = self._revisions[name]
        body = {"id": name, "board": board, "text": text, "revision": revision, "author": {"email": _email(author)}}
        body["occurred_at"] = _moment(self._number)
        form = self._rng.choice(("json", "json", *versions_of("feedback.raw")))
        if form == "json":
            return self._output("feedback.raw", name, body | ({"deleted": True} if deleted else {}))
        body |= {"workspace": WORKSPACE, "occurred_at": _BEGAN + timedelta(seconds=self._number), "deleted": deleted}
        return Output("feedback.raw", name.encode(), framed("feedback.raw", body, int(form)), name.encode())

    def _poisoned(self) -> Output:
        self._number += 1
        number, place = str(self._number).encode(), {"workspace": WORKSPACE, "board": "b0"}
        kinds: tuple[bytes | None, ...] = (
            b"{garbage " + number,
            b"\x00\x00\x01\xe2\x40" + number,  # framed, by a schema that nobody registered
            b"\x00\x00\x00\x00\x01" + number,  # framed, by another topic's schema
            None,
            json.dumps({"id": f"bad-{self._number}", **place}).encode(),
            json.dumps({"id": f"bad-{self._number}", **place, "text": "x" * 900_000}).encode(),
            b'{"id": "bad", "text": ' + b"[" * 20_000 + number + b"]" * 20_000 + b"}",
            json.dumps({"id": f"bad-{self._number}", **place, "text": "?"}).encode().replace(b"?", b"\xc3\x28"),
        )
        key = POISON_KEY + number
        if self._rng.randrange(len(kinds) + 1) == 0:
            return Output("people.raw", key, self._growing(), key)
        return Output("feedback.raw", key, self._rng.choice(kinds), key)

    def _growing(self) -> bytes:
        """Return a profile that may come in, and whose event is too large to go out: its numbers are written out in full."""
        body = {"id": f"bad-{self._number}", "workspace": WORKSPACE, "email": f"bad{self._number}@example.com", "updated_at": _moment(0)}
        traits = ",".join(f'"t{number}":1E15' for number in range(60_000))
        return json.dumps({**body, "traits": {}}).replace("{}", "{" + traits + "}").encode()

    def _output(self, topic: str, key: str, body: Mapping[str, object]) -> Output:
        said = {"workspace": WORKSPACE, "updated_at": _moment(self._number), **body}
        return Output(topic, key.encode(), json.dumps(said).encode(), key.encode())

    def _remember(self, made: Sequence[Output]) -> list[Output]:
        self.published += made
        return [*made]


def _email(number: int) -> str:
    return f"person{number}@example.com"


def _moment(number: int) -> str:
    return (_BEGAN + timedelta(seconds=number)).isoformat()
