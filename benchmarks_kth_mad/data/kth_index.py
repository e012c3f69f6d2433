"""KTH on paper: what ``00sequences.txt`` says, and which subsequences a split takes. Opens no video."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks_kth_mad.data.limits import MOST_FRAMES
from benchmarks_kth_mad.errors import BenchmarkError, shown
from benchmarks_kth_mad.files import is_file, read_text

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
SPLITS = ("train", "val", "test")
SEQUENCE_FILE = "00sequences.txt"
SEQUENCE_SPLIT = ("train", "val", "test", "train")

_SPLIT_LINES = {"Training": "train", "Validation": "val", "Test": "test"}
_SPLIT = re.compile(r"(Training|Validation|Test):\s*(.*)")
_PERSONS = re.compile(r"person\d{1,9}(\s*,\s*\d{1,9})*")
_ROW = re.compile(
    r"(?P<name>person(\d{1,9})_([a-z]+)_d(\d{1,9}))\s+(?:frames\s+(?P<ranges>\S.*)|\*missing\*)"
)
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})")


@dataclass(frozen=True)
class Video:
    """One row of the sequence file.

    ``ranges`` are the file's own: frames counted from 1, both ends included; none for a video that
    the file calls missing.
    """

    action: str
    person: int
    scenario: int
    ranges: tuple[tuple[int, int], ...]

    @property
    def name(self) -> str:
        """Such as ``person01_walking_d1``."""
        return f"person{self.person:02d}_{self.action}_d{self.scenario}"

    def path(self, root: Path) -> Path:
        """Where the set keeps the video."""
        return root / self.action / f"{self.name}_uncomp.avi"


@dataclass(frozen=True)
class SequenceFile:
    """What ``00sequences.txt`` tells: its videos in order, and the persons of each split."""

    path: Path
    videos: tuple[Video, ...]
    persons: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Record:
    """One subsequence: frames ``first..last`` of a video, both included and counted from 0."""

    path: Path
    action: str
    person: int
    scenario: int
    sequence: int
    first: int
    last: int
    label: int

    @property
    def video_name(self) -> str:
        """Such as ``person01_walking_d1``."""
        return self.path.stem.removesuffix("_uncomp")

    @property
    def name(self) -> str:
        """Such as ``person01_walking_d1_s2``, where s counts subsequences from 1."""
        return f"{self.video_name}_s{self.sequence}"

    @property
    def group(self) -> str:
        """Whose clips are alike."""
        return f"person{self.person:02d}"


def read_sequences(path: Path) -> SequenceFile:
    """Read KTH's own annotation file.

    Free text may come first; it ends at the first split line (``Training: person11, 12``) or row
    (``person01_boxing_d1  frames  1-95, 96-185``).

    Raises:
        BenchmarkError: no such file, no row in it, or a line that can not be read (named by number).
    """
    if not is_file(path):
        raise BenchmarkError(f"{path}: no such file; KTH keeps it at the root of the data set")
    videos: dict[str, Video] = {}
    persons: dict[str, tuple[int, ...]] = {}
    text = read_text(path, errors="replace")
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        try:
            if split := _SPLIT.fullmatch(line):
                persons[_SPLIT_LINES[split[1]]] = _parse_persons(split[2], persons)
            elif line.startswith("person") or (line and (videos or persons)):
                video = _parse_row(line)
                if videos.setdefault(video.name, video) is not video:
                    raise ValueError(f"{video.name} comes a second time")
        except ValueError as error:
            raise BenchmarkError(f"{path}, line {number}: {error}") from error
    if not videos:
        raise BenchmarkError(
            f"{path}: no row such as 'person01_walking_d1 frames 1-75, 152-225' in it; "
            f"is it KTH's {SEQUENCE_FILE}?"
        )
    return SequenceFile(path, tuple(videos.values()), persons)


def check_classes(classes: Sequence[str] | None) -> tuple[str, ...]:
    """The classes asked for in the order given (it makes the labels), or all six.

    Raises:
        BenchmarkError: an unknown action, one named twice, or none.
    """
    if classes is None:
        return ACTIONS
    for action in classes:
        if action not in ACTIONS:
            raise BenchmarkError(f"class {action!r} is not in KTH; it has {', '.join(ACTIONS)}")
    if len(set(classes)) != len(classes) or not classes:
        raise BenchmarkError(f"classes: expected different actions, got {list(classes)}")
    return tuple(classes)


def index_records(
    sequences: SequenceFile, root: Path, classes: Sequence[str], split: str, split_by: str
) -> list[Record]:
    """List the subsequences of a split, in the order of the file.

    Args:
        sequences: the annotation.
        root: the data set's folder.
        classes: actions; the position of each is its label.
        split: ``"train"``, ``"val"``, ``"test"`` or ``"all"``.
        split_by: ``"person"``, the official protocol, or ``"sequence"``, for sets with too few
            persons: the subsequences of each class are dealt out in turn to train, val, test and
            train again.

    Raises:
        BenchmarkError: an unknown split, or a file without person split where one is asked for.
    """
    if split not in (*SPLITS, "all"):
        raise BenchmarkError(f"split {split!r}: expected one of {', '.join(SPLITS)}, all")
    if split_by not in ("person", "sequence"):
        raise BenchmarkError(f"split by {split_by!r}: expected person or sequence")
    if split != "all" and split_by == "person" and split not in sequences.persons:
        raise BenchmarkError(
            f"{sequences.path}: gives no persons for split {split}; use --split-by sequence"
        )
    records = []
    dealt: Counter[str] = Counter()
    for video in sequences.videos:
        if video.action not in classes:
            continue
        for sequence, (first, last) in enumerate(video.ranges, start=1):
            if split_by == "person":
                belongs = split == "all" or video.person in sequences.persons[split]
            else:
                turn = dealt[video.action] % len(SEQUENCE_SPLIT)
                belongs = split in ("all", SEQUENCE_SPLIT[turn])
            dealt[video.action] += 1
            if belongs:
                records.append(_record(video, root, sequence, first, last, classes))
    return records


def _record(
    video: Video, root: Path, sequence: int, first: int, last: int, classes: Sequence[str]
) -> Record:
    """The one place where KTH's count from 1 becomes ours from 0; both ends stay included."""
    return Record(
        path=video.path(root),
        action=video.action,
        person=video.person,
        scenario=video.scenario,
        sequence=sequence,
        first=first - 1,
        last=last - 1,
        label=list(classes).index(video.action),
    )


def _parse_persons(text: str, others: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    if not _PERSONS.fullmatch(text):
        raise ValueError(f"expected persons such as 'person11, 12, 13', got {shown(text)}")
    persons = tuple(int(number) for number in re.findall(r"\d+", text))
    for split, taken in others.items():
        if shared := set(persons) & set(taken):
            raise ValueError(f"person {min(shared)} is in split {split} already")
    return persons


def _parse_row(line: str) -> Video:
    row = _ROW.fullmatch(line)
    if row is None:
        raise ValueError(f"expected 'person01_walking_d1 frames 1-75, 152-225', got {shown(line)}")
    person, action, scenario = int(row[2]), row[3], int(row[4])
    if action not in ACTIONS:
        raise ValueError(f"unknown action {shown(action)}; KTH has {', '.join(ACTIONS)}")
    ranges = row["ranges"].split(",") if row["ranges"] else []
    return Video(action, person, scenario, tuple(_parse_range(part.strip()) for part in ranges))


def _parse_range(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a frame range such as 1-95, got {shown(text)}")
    first, last = int(match[1]), int(match[2])
    if first < 1 or last < first:
        raise ValueError(
            f"frame range {text}: expected to begin at 1 or later and end no earlier than it begins"
        )
    if last > MOST_FRAMES:
        raise ValueError(f"frame range {text}: expected to end at {MOST_FRAMES} or earlier")
    return first, last
