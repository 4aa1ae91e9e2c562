"""What came of the demo, for people. No address is ever printed; the names belong to a sample that is made up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console

from services.common.codec import Codec
from services.common.events import Account, Decision, EnrichedFeedback, NotificationOutcome, PersonEvent
from services.common.records import Record
from services.console.board import candidates_of, decoded, final_outcomes, latest_feedback, names_of
from services.console.commands.ideas import ideas_table
from services.console.demo.choosing import boldest_link
from services.console.demo.conservation import Check
from services.console.demo.sample import BOARD, WORKSPACE, Sample
from services.console.embedded.stack import SERVICES
from services.console.ideas import BoardView
from services.console.letters import letter_of
from services.console.people import newest_account
from services.console.show import Columns, clipped, short, table

_TOLD_SHOWN = 30
Records = Mapping[str, list[Record]]


def print_report(
    out: Console, codec: Codec, records: Records, *, shipped: str | None, merged: Decision | None, checks: Sequence[Check], sample: Sample
) -> None:
    """Print everything that the demo promises to show."""
    view = BoardView.of(codec, records, WORKSPACE, BOARD)
    out.print()
    out.print(ideas_table(view, f"What people ask for most: {WORKSPACE}/{BOARD}, {len(view.ranked())} ideas", 15))
    _print_link(out, view)
    if merged is not None:
        _print_merge(out, view, merged)
    if shipped is not None:
        _print_told(out, codec, records, view, shipped)
    _print_letters(out, records)
    _print_latency(out, codec, records, sample)
    _print_checks(out, checks)


def _print_link(out: Console, view: BoardView) -> None:
    link = boldest_link(view, view.links())
    if link is None:
        return
    out.print(f"\nJoined: [bold]{_plain(link.text)}[/bold] ({link.source})")
    out.print(
        f"became part of “{_plain(view.ideas[link.idea_id or ''].title)}”: its best idea reaches the threshold of {link.threshold:.2f}"
    )
    out.print(_candidates(view, link))


def _print_merge(out: Console, view: BoardView, opened: Decision) -> None:
    out.print(f"\nMerged by a command: [bold]{_plain(opened.text)}[/bold] ({opened.source}) had opened an idea of its own,")
    out.print(f"because its best candidate stayed below the threshold of {opened.threshold:.2f}. An unmerge takes the pointer back.")
    out.print(_candidates(view, opened))


def _candidates(view: BoardView, decision: Decision) -> object:
    columns: Columns = ["candidate", "title", ("score", "right"), ("to its centroid", "right"), ("to its nearest member", "right")]
    rows = []
    for entry in candidates_of(decision)[:4]:
        idea = view.ideas.get(entry["idea"])
        numbers = [f"{entry[name]:.3f}" for name in ("score", "centroid", "member") if entry.get(name) is not None]
        rows.append((short(entry["idea"]), clipped("" if idea is None else idea.title), *numbers))
    return table("", columns, rows)


def _print_told(out: Console, codec: Codec, records: Records, view: BoardView, shipped: str) -> None:
    outcomes = list(final_outcomes(decoded(codec, NotificationOutcome, records["notifications.log"])).values())
    names = names_of(decoded(codec, PersonEvent, records["people.events"]))
    companies = newest_account(decoded(codec, Account, records["accounts"]))
    said = {f.person_id: f for f in latest_feedback(decoded(codec, EnrichedFeedback, records["feedback.enriched"])).values()}
    rows = []
    for outcome in sorted(outcomes, key=lambda o: (o.outcome != "sent", o.outcome, o.person_id)):
        feedback = said.get(outcome.person_id)
        company = companies.get((feedback.account_id if feedback else None) or "")
        own = view.ideas.get(outcome.idea_id)
        via = "" if outcome.idea_id == shipped or own is None else clipped(own.title, 30)
        name = names.get(outcome.person_id, short(outcome.person_id))
        rows.append((name, company.name if company else "", outcome.outcome, outcome.reason, via))
    counted = ", ".join(f"{count} {outcome}" for outcome, count in Counter(o.outcome for o in outcomes).most_common())
    columns: Columns = ["person", "company", "outcome", "reason", "asked through"]
    out.print()
    out.print(table(f"Who was told that “{clipped(view.ideas[shipped].title, 60)}” shipped: {counted}", columns, rows[:_TOLD_SHOWN]))
    if len(rows) > _TOLD_SHOWN:
        out.print(f"… and {len(rows) - _TOLD_SHOWN} more")


def _print_letters(out: Console, records: Records) -> None:
    letters = [letter_of(service, record) for service in SERVICES for record in records[f"{service}.deadletter"]]
    rows = [(letter.service, letter.topic, letter.reason, clipped(letter.detail, 90)) for letter in letters[:20]]
    out.print()
    out.print(table(f"Dead letters: {len(letters)}", ["service", "topic", "reason", "what to fix"], rows))


def _print_latency(out: Console, codec: Codec, records: Records, sample: Sample) -> None:
    delays = latencies(codec, records["feedback.enriched"])
    if not delays:
        return
    how = "published all at once" if sample.per_second is None else f"published at {sample.per_second} a second"
    out.print(
        f"\nFrom the raw record to feedback.enriched, {len(delays):,} records {how}: "
        f"p50 {percentile(delays, 0.5):.2f} s, p95 {percentile(delays, 0.95):.2f} s, max {delays[-1]:.2f} s"
    )


def latencies(codec: Codec, enriched: Sequence[Record]) -> list[float]:
    """Return the seconds between each raw record's timestamp and its first enrichment's, ascending."""
    decode = codec.decoder(EnrichedFeedback)
    delays: dict[tuple[str, int], float] = {}
    for record in enriched:
        feedback = decode(record)
        delays.setdefault((feedback.feedback_id, feedback.revision), record.timestamp_ms / 1e3 - feedback.ingested_at / 1e6)
    return sorted(delays.values())


def percentile(ascending: Sequence[float], share: float) -> float:
    """Return the value below which *share* (0-1) of *ascending* lies: nearest rank."""
    return ascending[min(int(share * len(ascending)), len(ascending) - 1)]


def _print_checks(out: Console, checks: Sequence[Check]) -> None:
    columns: Columns = [
        "law",
        ("in", "right"),
        ("out", "right"),
        ("dead letters", "right"),
        ("repeats", "right"),
        ("lost or wrong", "right"),
    ]
    rows = [(check.law, check.went_in, check.came_out, check.dead_lettered, check.repeated, check.wrong) for check in checks]
    out.print()
    out.print(table("Conservation", columns, rows))
    lost = sum(check.wrong for check in checks)
    out.print("[green]nothing was lost[/green]" if lost == 0 else f"[red]{lost} lost or wrong[/red]")


def _plain(text: str | None) -> str:
    return clipped(text or "", 110).replace("[", "\\[")
