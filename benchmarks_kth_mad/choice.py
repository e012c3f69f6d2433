"""Which clips of a data set are explained, where all would take too long."""

from collections import Counter
from collections.abc import Sequence

from benchmarks_kth_mad.data.sets import ActionSet


def by_turns(dataset: ActionSet, n_clips: int) -> list[int]:
    """So many clips, every time of another person and another class as far as there are any."""
    records = [dataset.records[place] for place in range(len(dataset.records))]
    persons = sorted({record.group for record in records})
    n_classes = len({record.label for record in records})
    turns: Counter[tuple[str, int]] = Counter()
    order = []
    for place, record in enumerate(records):
        number = persons.index(record.group)
        turns[record.group, record.label] += 1
        away = (record.label - number) % n_classes
        order.append((turns[record.group, record.label], away, number, place))
    return [place for *_, place in sorted(order)[:n_clips]]


def spread_evenly(available: int, wanted: int) -> list[int]:
    """Indices of so many of the available, spread evenly; of all where there are fewer."""
    count = min(available, wanted)
    return [index * available // count for index in range(count)]


def different(labels: Sequence[int], count: int) -> list[int]:
    """Places of so many labels that differ as far as possible, in order."""
    turns: Counter[int] = Counter()
    order = []
    for place, label in enumerate(labels):
        turns[label] += 1
        order.append((turns[label], place))
    return [place for _, place in sorted(order)[:count]]
