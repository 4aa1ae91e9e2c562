"""What ingest says anew where its store was lost, and had no need to say before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from tests.faults.evidence import Evidence, Row, Sample

_Source = tuple[str, int, int]
"""Topic, partition, offset."""


def introduced_anew(evidence: Evidence, facts: Iterable[Row]) -> Collection[str]:
    """Return the events among *facts*, of ``people.events``, that introduce people whom another record had introduced before.

    Ingest had decided that record, and died before it said so; then it took up one of another topic, by the same person, who was known by
    then, and acknowledged it. With the store it lost that knowledge: read again, the record that comes first introduces them, and it had
    been acknowledged without that.
    """
    aliases = [row for row in facts if row.fields["type"] == "alias"]
    of_person: defaultdict[str, set[_Source]] = defaultdict(set)
    for row in aliases:
        of_person[row.fields["person_id"]].add(_source(row))
    return {row.fields["event_id"] for row in aliases if _is_anew(row, of_person[row.fields["person_id"]], evidence.samples)}


def _is_anew(row: Row, of_person: Collection[_Source], samples: Iterable[Sample]) -> bool:
    source, place = _source(row), (row.raw.topic, row.raw.partition)
    acknowledged_in: Sample | None = None
    end = 0
    for sample in samples:
        if acknowledged_in is None:
            if _is_acknowledged(source, sample):
                acknowledged_in = sample
        elif not _is_acknowledged(source, sample):  # it is read again
            return row.raw.offset >= end and not all(_is_acknowledged(other, acknowledged_in) for other in of_person)
        end = sample.ends.get(place, 0)
    return False


def _is_acknowledged(source: _Source, sample: Sample) -> bool:
    topic, partition, offset = source
    return sample.committed.get(("ingest", topic, partition), 0) > offset


def _source(row: Row) -> _Source:
    topic, partition, offset = row.fields["origin"].rsplit("/", 2)
    return topic, int(partition), int(offset)
