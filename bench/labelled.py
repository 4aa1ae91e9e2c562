"""Labelled boards, and how well a clustering of one agrees with its labels."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.dedup.ports import Encoder

Vectors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Text:
    """One item: texts of one *label* are the same request, or the same intent."""

    id: str
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Quality:
    """How a clustering compares with the labels; all but *clusters* are shares."""

    precision: float
    """B³ (Bagga and Baldwin 1998), as recall and f1: the mean over texts."""
    recall: float
    f1: float
    pair_f1: float
    ari: float
    """Adjusted Rand index (Hubert and Arabie 1985)."""
    v: float
    """V-measure (Rosenberg and Hirschberg 2007)."""
    false_merges: float
    """Of the texts that joined an idea, those beside its majority: of each idea all but its first text joined it."""
    misses: float
    """Of the repeats, those outside the idea that holds most of their label: of each label all but its first text repeat it."""
    clusters: float


def read_board(file: Path) -> list[Text]:
    """Return the items of a file with one JSON object a line: ``id``, ``text``, ``label``.

    Raises:
        ValueError: A line is none, or lacks one of the three.
    """
    items: list[Text] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            items.append(Text(row["id"], row["text"], row["label"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file}:{number}: expected an object with id, text and label") from error
    return items


def encoded(items: Sequence[Text], encoder: Encoder, folder: Path | None) -> Vectors:
    """Encode each distinct text once, or read what was kept in *folder* for these texts and this model."""
    texts = sorted({item.text for item in items})
    if folder is None:
        return {text: encoder.encode([text])[0] for text in texts}
    digest = hashlib.blake2b("\0".join([encoder.model, *texts]).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    kept = folder / f"{digest}.npy"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(kept, np.vstack([encoder.encode([text])[0] for text in texts]))
    return dict(zip(texts, np.load(kept), strict=True))


def quality(truth: Sequence[str], found: Sequence[str]) -> Quality:
    """Compare the labels *truth* with the ideas *found*, one of each a text."""
    _, true = np.unique(np.array(truth), return_inverse=True)
    _, made = np.unique(np.array(found), return_inverse=True)
    cells, cell, shared = np.unique(made.astype(np.int64) * len(true) + true, return_inverse=True, return_counts=True)
    of_label, of_idea = np.bincount(true), np.bincount(made)
    precision = float((shared[cell] / of_idea[made]).mean())
    recall = float((shared[cell] / of_label[true]).mean())
    together, alike, joined = _pairs(shared), _pairs(of_label), _pairs(of_idea)
    return Quality(
        precision=precision,
        recall=recall,
        f1=_harmonic(precision, recall),
        pair_f1=2 * together / (alike + joined) if alike + joined else 1.0,
        ari=_adjusted(together, alike, joined, len(true) * (len(true) - 1) / 2),
        v=_v_measure(shared, of_label, of_idea),
        false_merges=_beside(of_idea, shared, cells // len(true)),
        misses=_beside(of_label, shared, cells % len(true)),
        clusters=float(len(of_idea)),
    )


def mean(qualities: Sequence[Quality]) -> Quality:
    """Return the plain mean of each measure."""
    names = Quality.__slots__
    return Quality(**{name: float(np.mean([getattr(one, name) for one in qualities])) for name in names})


def _pairs(counts: NDArray[np.int64]) -> float:
    return float((counts * (counts - 1) / 2).sum())


def _harmonic(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other else 0.0


def _adjusted(together: float, alike: float, joined: float, pairs: float) -> float:
    by_chance = alike * joined / pairs if pairs else 0.0
    most = (alike + joined) / 2
    return 1.0 if most == by_chance else (together - by_chance) / (most - by_chance)


def _v_measure(shared: NDArray[np.int64], of_label: NDArray[np.int64], of_idea: NDArray[np.int64]) -> float:
    labels, ideas, both = _entropy(of_label), _entropy(of_idea), _entropy(shared)
    information = labels + ideas - both
    return _harmonic(information / ideas if ideas else 1.0, information / labels if labels else 1.0)


def _entropy(counts: NDArray[np.int64]) -> float:
    shares = counts / counts.sum()
    return max(0.0, -math.fsum((shares * np.log(shares)).tolist()))


def _beside(sizes: NDArray[np.int64], shared: NDArray[np.int64], group: NDArray[np.int64]) -> float:
    """Return the share of members, all groups' first ones apart, that are not of their group's largest part."""
    largest = np.zeros_like(sizes)
    np.maximum.at(largest, group, shared)
    later = int((sizes - 1).sum())
    return float((sizes - largest).sum()) / later if later else 0.0
