"""What is linked on a board: by feedback, by person, and the newest revision of each piece."""

from __future__ import annotations

from services.dedup.domain.ideas import Link


class Links(dict[str, Link]):
    """Links by feedback id. Most people link one thing, and most of it is never revised: that takes neither a list nor a number."""

    def __init__(self) -> None:
        super().__init__()
        self._by_person: dict[str, str | dict[str, None]] = {}
        self._revisions: dict[str, int] = {}
        """Of what is linked and not among these it is 0."""

    def put(self, link: Link) -> None:
        """Add *link*."""
        feedback, person = link.feedback_id, link.person_id
        self[feedback] = link
        said = self._by_person.setdefault(person, feedback)
        if type(said) is dict:
            said[feedback] = None
        elif said is not feedback:
            self._by_person[person] = {said: None, feedback: None}  # type: ignore[dict-item]
        if not self._revisions.get(feedback, 1):
            del self._revisions[feedback]

    def take_out(self, feedback_id: str) -> Link:
        """Remove the link of *feedback_id* and return it; its revision stays known."""
        link = self.pop(feedback_id)
        self._revisions.setdefault(feedback_id, 0)
        said = self._by_person[link.person_id]
        if type(said) is dict:
            del said[feedback_id]
        if type(said) is str or not said:
            del self._by_person[link.person_id]
        return link

    def of_person(self, person_id: str) -> list[Link]:
        """Return what *person_id* has linked, in the order of linking."""
        said = self._by_person.get(person_id, ())
        return [self[feedback] for feedback in ((said,) if isinstance(said, str) else said)]

    def revision_of(self, feedback_id: str, unknown: int = -1) -> int:
        """Return the newest revision of *feedback_id* that was seen; *unknown* where none was."""
        known = self._revisions.get(feedback_id)
        if known is not None:
            return known
        return 0 if feedback_id in self else unknown

    def see(self, feedback_id: str, revision: int) -> None:
        """Let *revision* be the newest one of *feedback_id*."""
        if revision or feedback_id not in self:
            self._revisions[feedback_id] = revision
        else:
            self._revisions.pop(feedback_id, None)
