"""Segments that nobody has defined: clusters of people as CEL drafts and personas. They describe; they explain nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from services.common.clock import Micros
from services.console.segments.clustering import Candidate, Clustering, Mask, Matrix, clustered
from services.console.segments.evidence import Evidence
from services.console.segments.features import Feature, features, matrix_of
from services.console.segments.traits import unlike_others
from services.segmenter.domain.compiling import compiled
from services.segmenter.domain.definition import Definition, Held, Rule, Scheme
from services.segmenter.domain.helpers import Settings, Terms
from services.segmenter.offline import Human

NOTE = "Correlational: these people are alike; that says neither why, nor that treating them alike helps. Test it before you rely on it."
_DEPTH = 3
_TOLD = 3


@dataclass(frozen=True, slots=True)
class Persona:
    """One cluster, described."""

    name: str
    people: int
    share: float
    when: str
    """A draft of a rule in CEL."""
    precision: float
    """Of the people of the holdout whom the draft takes, the share that is in the cluster."""
    recall: float
    """Of the cluster's people in the holdout, the share that the draft takes."""
    traits: list[str]
    """What is most unlike the others, a sentence each."""
    ideas: list[str]
    quotes: list[str]
    """With source and date."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found among the people whom anybody has a profile of."""

    people: int
    columns: list[str]
    candidates: Sequence[Candidate]
    best: Candidate | None
    personas: list[Persona]

    def draft(self) -> str:
        """Return a file of segments to start from; empty where nothing was found."""
        if not self.personas:
            return ""
        rules = [
            f"      - segment: {p.name} # {p.people} people; the rule is right for {p.precision:.0%} and finds {p.recall:.0%}\n"
            f"        when: {_quoted(p.when)}\n"
            for p in sorted(self.personas, key=lambda persona: -persona.precision)
        ]
        head = f"# A draft by `groundswell segments discover`.\n# {NOTE}\n# Give each segment a name, an owner, a goal and an action.\n"
        return f'{head}version: "draft"\n\nschemes:\n  - name: discovered\n    rules:\n{"".join(rules)}    default: other\n'


def discover(evidence: Evidence, as_of: Micros, most: int = 8) -> Discovery:
    """Return at most *most* clusters of people, or none where there are none; nothing is applied or written."""
    people = [human for human in evidence.population.humans.values() if human.is_known]
    columns = features(people, as_of)
    rows = matrix_of(len(people), columns)
    found = clustered(matrix_of(len(people), [column for column in columns if not column.is_presence], scaled=True), most)
    personas = []
    if found.best is not None:
        personas = [_persona(evidence, people, columns, rows, found, label, as_of) for label in range(found.best.clusters)]
    return Discovery(len(people), [column.title for column in columns], found.candidates, found.best, [p for p in personas if p.people])


def _persona(  # noqa: PLR0917 - one step of discover
    evidence: Evidence, people: Sequence[Human], columns: Sequence[Feature], rows: Matrix, found: Clustering, label: int, as_of: Micros
) -> Persona:
    inside = found.labels == label
    when = _described(rows, inside, ~found.holdout, columns)
    precision, recall = _judged(when, [(h, bool(i)) for h, i, out in zip(people, inside, found.holdout, strict=True) if out], as_of)
    members = {human.person_id for human, is_in in zip(people, inside, strict=True) if is_in}
    asked = {
        feedback: root for feedback, (person, root) in evidence.population.links.items() if evidence.population.human(person) in members
    }
    return Persona(
        f"cluster_{label + 1}",
        len(members),
        len(members) / len(people),
        when,
        precision,
        recall,
        list(unlike_others(rows, inside, columns)),
        _ideas(evidence, asked),
        list(_quotes(evidence, asked)),
    )


def _described(
    rows: Matrix,
    inside: Mask,
    seen: Mask,
    columns: Sequence[Feature],
) -> str:
    """Return the conditions of the leaf of a small tree that holds most of the cluster."""
    filled = np.where(np.isnan(rows), [column.below for column in columns], rows)
    fitted = DecisionTreeClassifier(max_depth=_DEPTH, class_weight="balanced", random_state=0).fit(filled[seen], inside[seen])
    leaves = Counter(fitted.apply(filled[seen & inside]).tolist())
    if not leaves:
        return "false"
    tree, wanted = fitted.tree_, leaves.most_common(1)[0][0]
    conditions: list[str] = []
    node = 0
    while node != wanted:
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        above = wanted >= right  # nodes are numbered depth first
        conditions.append(columns[int(tree.feature[node])].condition(float(tree.threshold[node]), above=above))
        node = right if above else left
    return " && ".join(dict.fromkeys(conditions)) or "true"


def _judged(when: str, people: Sequence[tuple[Human, bool]], as_of: Micros) -> tuple[float, float]:
    """Return precision and recall of a draft, as the service itself would evaluate it."""
    terms = Terms(Settings())
    scheme = Scheme("draft", (Rule("in", compiled(when, terms)),), "out")
    definition = Definition("draft", (scheme,), terms.watches())
    taken = [definition.evaluate_person(h.facts, h.variables(), as_of, Held()).segments["draft"] == "in" for h, _ in people]
    hits = sum(took and is_in for took, (_, is_in) in zip(taken, people, strict=True))
    return hits / max(1, sum(taken)), hits / max(1, sum(is_in for _, is_in in people))


def _ideas(evidence: Evidence, asked: Mapping[str, str]) -> list[str]:
    """Return what the cluster asks for more often than the others do."""
    mine, everybody = Counter(asked.values()), Counter(root for _, root in evidence.population.links.values())
    others = max(1, sum(everybody.values()) - len(asked))
    lifts = {root: (count / len(asked)) / (max(everybody[root] - count, 0.5) / others) for root, count in mine.items() if count > 1}
    ranked = sorted(lifts, key=lambda root: (-mine[root] * (lifts[root] > 1), -lifts[root], root))[:_TOLD]
    return [
        f"{' '.join(evidence.titles.get(root, root).split())[:80]} ({mine[root]} mentions, {lifts[root]:.1f} times as often)"
        for root in ranked
    ]


def _quotes(evidence: Evidence, asked: Mapping[str, str]) -> Iterator[str]:
    rows = [row for name in asked if (row := evidence.feedback.get(name)) is not None and not row.retracted and row.text]
    common = Counter(asked.values())
    for row in sorted(rows, key=lambda row: (-common[row.root_id], len(row.text), row.feedback_id))[:_TOLD]:
        day = datetime.fromtimestamp(row.occurred_at / 1e6, UTC).date().isoformat()
        yield f"“{' '.join(row.text.split())[:160]}” ({row.source}, {day})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
