"""Pieces of feedback as every channel delivers them, with their edits, deletions and threads: all records of one piece in their order.

A person has the same e-mail address and CRM id wherever it writes: who is who must not depend on which record comes first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import orjson

_WISHES = ("Export boards as PDF", "Dark mode at night", "Lock a frame", "Anonymous votes", "A timer that everyone hears", "+1", "thanks!")
_PEOPLE = 200
_START = datetime(2026, 11, 1, tzinfo=UTC)
_EDIT, _REMOVAL = timedelta(days=10), timedelta(days=20)


@dataclass(frozen=True, slots=True)
class Said:
    """One record before it is published."""

    topic: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """What a maker needs: the piece's number and moment, and dice that are its own."""

    number: int
    dice: random.Random

    @property
    def at(self) -> datetime:
        """Return when it was said."""
        return _START + timedelta(seconds=self.number)

    def wish(self) -> str:
        """Return some words."""
        return self.dice.choice(_WISHES)

    def person(self) -> int:
        """Return somebody."""
        return self.dice.randrange(_PEOPLE)

    def earlier(self) -> int | None:
        """Return the number of a piece in whose thread it may be said; it may be of any channel, or itself."""
        return self.dice.randrange(self.number + 1) if self.dice.random() < 0.5 else None

    def edits(self) -> list[datetime]:
        """Return when it was edited."""
        return [self.at + _EDIT * (1 + turn) / 4 for turn in range(self.dice.choice((0, 0, 1, 2)))]

    def removal(self) -> datetime | None:
        """Return when it was taken back, if it was."""
        return self.at + _REMOVAL if self.dice.random() < 0.2 else None


Maker: TypeAlias = Callable[[Piece], Iterator[Any]]


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _posted(at: datetime) -> str:
    return at.strftime("%a, %d %b %Y %H:%M:%S +0000")


def _stamp(at: datetime) -> str:
    return f"{at.timestamp():.6f}"


def _mailbox(person: int) -> str:
    return f"p{person}@example.com"


def _slack(piece: Piece) -> Iterator[Any]:
    ts = _stamp(piece.at)
    message: dict[str, Any] = {"type": "message", "channel": "C1", "user": f"U{piece.person()}", "text": piece.wish(), "ts": ts}
    thread = piece.earlier()
    if thread is not None:
        message["thread_ts"] = _stamp(_START + timedelta(seconds=thread))
    yield {"team_id": "T1", "event": message}
    for at in piece.edits():
        edited = message | {"text": piece.wish(), "edited": {"ts": _stamp(at)}}
        yield {"event": {"type": "message", "subtype": "message_changed", "channel": "C1", "ts": _stamp(at), "message": edited}}
    gone = piece.removal()
    if gone is not None:
        yield {"event": {"type": "message", "subtype": "message_deleted", "channel": "C1", "deleted_ts": ts, "ts": _stamp(gone)}}


def _chat(piece: Piece) -> Iterator[Any]:
    for value in _slack(piece):
        value["event"].pop("thread_ts", None)
        yield value


def _discord(piece: Piece) -> Iterator[Any]:
    author = {"id": str(piece.person()), "username": "nelly"}
    message: dict[str, Any] = {"id": f"d{piece.number}", "channel_id": "2", "author": author, "content": piece.wish()}
    message |= {"timestamp": _iso(piece.at), "edited_timestamp": None}
    thread = piece.earlier()
    if thread is not None:
        message["message_reference"] = {"message_id": f"d{thread}"}
    yield {"op": 0, "t": "MESSAGE_CREATE", "d": message}
    for at in piece.edits():
        yield {"op": 0, "t": "MESSAGE_UPDATE", "d": message | {"content": piece.wish(), "edited_timestamp": _iso(at)}}
    if piece.removal() is not None:
        yield {"op": 0, "t": "MESSAGE_DELETE", "d": {"id": f"d{piece.number}", "channel_id": "2"}}


def _github(piece: Piece) -> Iterator[Any]:
    said: dict[str, Any] = {"node_id": f"N{piece.number}", "body": piece.wish(), "created_at": _iso(piece.at), "updated_at": _iso(piece.at)}
    said["user"] = {"login": f"Dev{piece.person()}", "type": "User"}
    thread = piece.earlier()
    kind = piece.dice.choice(("issue", "discussion"))
    if thread is None:
        said["title"] = "On every board"
    about = {} if thread is None else {kind: {"node_id": f"N{thread}", "title": "x", "user": {"login": "x", "type": "User"}}}
    name = kind if thread is None else "comment"
    yield {"action": "opened" if thread is None else "created", **about, name: said}
    for at in piece.edits():
        yield {"action": "edited", **about, name: said | {"body": piece.wish(), "updated_at": _iso(at)}}
    if piece.removal() is not None:
        yield {"action": "deleted", **about, name: said}


def _reddit(piece: Piece) -> Iterator[Any]:
    created, thread = piece.at.timestamp(), piece.earlier()
    said: dict[str, Any] = {"author": f"u{piece.person()}", "created_utc": created, "edited": False, "name": f"t_{piece.number}"}
    words = "selftext" if thread is None else "body"
    said |= {"title": "Boards?"} if thread is None else {"link_id": f"t_{thread}"}
    yield {"kind": "t3", "data": said | {words: piece.wish()}}
    for at in piece.edits():
        yield {"kind": "t3", "data": said | {words: piece.wish(), "edited": at.timestamp()}}
    gone = piece.removal()
    if gone is not None:
        yield {"kind": "t3", "data": said | {"selftext": "[deleted]", "author": "[deleted]", "edited": gone.timestamp()}}


def _calls(piece: Piece) -> Iterator[Any]:
    contact = _named(piece.person(), crm="crm_id")
    for at in [piece.at, *piece.edits()]:
        wishes = "\n".join(f"- {piece.wish()} ({item})" for item in range(piece.dice.randrange(1, 5)))
        note = {
            "note_id": f"n{piece.number}",
            "call_at": _iso(piece.at),
            "updated_at": _iso(at),
            "contact": contact,
            "written_by": "k@x.example",
        }
        yield note | {"notes": f"They asked for:\n\n{wishes}"}


def _canonical(piece: Piece) -> Iterator[Any]:
    said: dict[str, Any] = {"id": f"f{piece.number}", "workspace": "lumora", "board": ("product", "api")[piece.number % 2]}
    said |= {"occurred_at": _iso(piece.at), "author": _named(piece.person(), crm="crm_id"), "channel": "forum"}
    thread = piece.earlier()
    if thread is not None:  # on its board
        said["thread"] = f"f{thread - thread % 2 + piece.number % 2}"
    for revision in range(1 + len(piece.edits())):
        yield said | {"text": piece.wish(), "revision": revision}
    if piece.removal() is not None:
        yield said | {"deleted": True, "revision": 9, "author": None}


def _zendesk(piece: Piece) -> Iterator[Any]:
    who, thread = str(piece.person()), piece.earlier()
    detail = {
        "id": str(piece.number if thread is None else thread),
        "subject": "On boards",
        "requester_id": who,
        "submitter_id": str(piece.person()),
    }
    if thread is None:
        detail["description"] = piece.wish()
        yield {"type": "zen:event-type:ticket.created", "time": _iso(piece.at), "event": {}, "detail": detail}
        return
    comment = {"id": f"c{piece.number}", "body": piece.wish(), "is_public": True, "author": {"id": who, "is_staff": False, "name": "Bob"}}
    yield {"type": "zen:event-type:ticket.comment_added", "time": _iso(piece.at), "event": {"comment": comment}, "detail": detail}


def _intercom(piece: Piece) -> Iterator[Any]:
    person, thread = piece.person(), piece.earlier()
    author = {"type": "user", "id": f"i{person}", "email": _mailbox(person), "name": "Ann"}
    said = {"id": f"p{piece.number}", "body": f"<p>{piece.wish()}</p>", "author": author}
    item: dict[str, Any] = {"id": str(piece.number if thread is None else thread), "source": said}
    if thread is not None:
        item["conversation_parts"] = {"conversation_parts": [said]}
    name = "conversation.user.created" if thread is None else "conversation.user.replied"
    yield {"topic": name, "created_at": int(piece.at.timestamp()), "data": {"item": item}}


def _mail(piece: Piece) -> Iterator[bytes]:
    thread = piece.earlier()
    answered = "" if thread is None else f"In-Reply-To: <{thread}@x>\r\n"
    head = f"From: P <{_mailbox(piece.person())}>\r\nMessage-ID: <{piece.number}@x>\r\nDate: {_posted(piece.at)}\r\n{answered}"
    yield f"{head}Subject: Re: x\r\n\r\n{piece.wish()}\r\n\r\nOn Fri, 20 Nov 2026 at 09:00, x <x@x.example> wrote:\r\n> quoted\r\n".encode()


def _email(piece: Piece) -> Iterator[Any]:
    said = {"message-id": f"<{piece.number}@y>", "from": f"P <{_mailbox(piece.person())}>", "subject": "Re: x", "date": _posted(piece.at)}
    yield said | {"text": piece.wish()}


def _ticket(piece: Piece) -> Iterator[Any]:
    requester = _named(piece.person(), crm="external_id")
    yield {"ticket": {"id": piece.number, "description": piece.wish(), "created_at": _iso(piece.at), "requester": requester}}


def _review(piece: Piece) -> Iterator[Any]:
    attributes = {"rating": piece.number % 5 + 1, "title": "So so", "reviewerNickname": f"nick{piece.person()}"}
    for at in [piece.at, *piece.edits()]:
        yield {"data": {"id": f"{piece.number}", "attributes": attributes | {"body": piece.wish(), "createdDate": _iso(at)}}}


def _play(piece: Piece) -> Iterator[Any]:
    for at in [piece.at, *piece.edits()]:
        comment = {"text": piece.wish(), "lastModified": {"seconds": str(int(at.timestamp()))}, "starRating": piece.number % 5 + 1}
        yield {"reviewId": f"gp:{piece.number}", "authorName": "Jane", "comments": [{"userComment": comment}]}


def _form(piece: Piece) -> Iterator[Any]:
    person = piece.person()
    answers: list[dict[str, Any]] = [{"type": "number", "number": piece.number % 11, "field": {"type": "nps"}}]
    answers.append({"type": "text", "text": piece.dice.choice((piece.wish(), "")), "field": {"type": "long_text"}})
    hidden = {"email": _mailbox(person), "user_id": str(person)}
    yield {"form_response": {"token": f"t{piece.number}", "submitted_at": _iso(piece.at), "hidden": hidden, "answers": answers}}


def _survey(piece: Piece) -> Iterator[Any]:
    who = _named(piece.person(), crm="id") if piece.dice.random() < 0.8 else {}
    said = {"response_id": f"r{piece.number}", "score": piece.number % 11, "comment": piece.dice.choice((piece.wish(), None))}
    yield said | {"submitted_at": _iso(piece.at), "respondent": who}


def _x(piece: Piece) -> Iterator[Any]:
    thread = piece.earlier()
    said = {"id": f"x{piece.number}", "text": piece.wish(), "author_id": str(piece.person()), "created_at": _iso(piece.at), "lang": "en"}
    yield {"data": said | {"conversation_id": f"x{piece.number if thread is None else thread}"}}


def _csv(piece: Piece) -> Iterator[Any]:
    yield {"id": f"{piece.number}", "date": _iso(piece.at), "email": _mailbox(piece.person()), "rating": "4", "text": piece.wish()}


def _canny(piece: Piece) -> Iterator[Any]:
    who, thread = _named(piece.person(), crm="userID"), piece.earlier()
    if thread is None:
        yield {"id": f"k{piece.number}", "title": "Boards", "details": piece.wish(), "author": who, "created": _iso(piece.at)}
    else:
        yield {"id": f"k{piece.number}", "post": {"id": f"k{thread}"}, "voter": who, "created": _iso(piece.at)}


def _uservoice(piece: Piece) -> Iterator[Any]:
    said = {"suggestion.id": f"{piece.number}", "suggestion.title": piece.wish(), "suggestion.created_timestamp": _iso(piece.at)}
    yield said | {"suggestion.body": "<p>My eyes &amp; I</p>", "user.email_address": _mailbox(piece.person())}


def _productboard(piece: Piece) -> Iterator[Any]:
    words = "".join(f"<p>{piece.wish()} on every board</p>" for _ in range(piece.dice.randrange(1, 4)))
    note = {"id": f"pb{piece.number}", "content": words, "createdAt": _iso(piece.at), "user": _named(piece.person(), crm="externalId")}
    yield {"data": note}


def _named(person: int, *, crm: str) -> dict[str, str]:
    return {"email": _mailbox(person), "name": "Ann", crm: str(person)}


MAKERS: Mapping[str, Maker] = {
    "feedback.raw": _canonical,
    "feedback.raw.email": _email,
    "feedback.raw.ticket": _ticket,
    "feedback.raw.chat": _chat,
    "feedback.raw.review": _review,
    "feedback.raw.nps": _form,
    "feedback.raw.mail": _mail,
    "feedback.raw.zendesk": _zendesk,
    "feedback.raw.intercom": _intercom,
    "feedback.raw.slack": _slack,
    "feedback.raw.discord": _discord,
    "feedback.raw.github": _github,
    "feedback.raw.appstore": _review,
    "feedback.raw.play": _play,
    "feedback.raw.typeform": _form,
    "feedback.raw.survey": _survey,
    "feedback.raw.x": _x,
    "feedback.raw.reddit": _reddit,
    "feedback.raw.calls": _calls,
    "feedback.raw.csv": _csv,
    "feedback.raw.canny": _canny,
    "feedback.raw.uservoice": _uservoice,
    "feedback.raw.productboard": _productboard,
}
"""By raw topic; every channel of ``channels.yaml`` and ``vendors.yaml`` in ``examples``."""


def mixed(count: int, dice: random.Random) -> list[list[Said]]:
    """Return *count* records at least, those of one piece together and in their order; numbers are shared, so that threads meet."""
    pieces: list[list[Said]] = []
    made, topics = 0, sorted(MAKERS)
    while made < count:
        topic = topics[len(pieces) % len(topics)]
        said = MAKERS[topic](Piece(len(pieces) // len(topics), dice))
        piece = [Said(topic, one if isinstance(one, bytes) else orjson.dumps(one)) for one in said]
        pieces.append(piece)
        made += len(piece)
    return pieces
