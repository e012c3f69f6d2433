"""The multispectral set on paper: its lists, its class names, and which folders make a scene.

Opens no picture. Rows lead to nothing outside of the root, by dots, by an absolute path or by a link.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

from benchmarks_kth_mad.data.limits import MOST_FRAMES
from benchmarks_kth_mad.errors import BenchmarkError, shown
from benchmarks_kth_mad.files import is_file, read_text

LIST_FOLDER = "file_lists"
CLASS_FILE = "classes.txt"
N_CLASSES = 8
SPECTRA = {"IR": ("IR",), "TV": ("TV",), "IRTV": ("IR", "TV"), "paired": ("TV", "IR")}
SPLITS = {"train": ("train",), "test": ("test",), "all": ("train", "test")}

_ROW = re.compile(r"(?P<folder>\S|\S.*\S)\s+(?P<frames>\d{1,18})\s+(?P<label>\d{1,18})")
_PERSON = re.compile(r"person(\d{1,18})", re.IGNORECASE)
_PICTURE = re.compile(r"(\d{4,18})\.png", re.ASCII)
_LONGEST = 4000  # characters of a row
_TOKEN = r"(?<![A-Za-z0-9]){}(?![A-Za-z0-9])"


@dataclass(frozen=True)
class Row:
    """One row of a list: ``frames`` pictures of a folder, in one spectrum.

    ``place`` says where the row stands, for messages, and ``folder`` is as written there.
    """

    place: str
    spectrum: str
    folder: str
    frames: int
    label: int

    @property
    def scene(self) -> str:
        """What the folders of one scene share: the folder without its spectrum.

        The spectrum is ``IR`` or ``TV`` as a word of its own, wherever it stands in the path:
        ``IR/person03_waving_s1`` and ``TV/person03_waving_s1`` are the scene
        ``person03_waving_s1``, and so are ``person03_waving_IR_s1`` and ``person03_waving_TV_s1``.
        Slashes become underscores, so that a scene can name a file.
        """
        words = re.sub(_TOKEN.format(self.spectrum), " ", self.folder)
        words = re.sub(r"[\s/\\_.-]* [\s/\\_.-]*", "_", words)
        return re.sub(r"[/\\]+", "_", words).strip("_.-") or "scene"

    def path(self, root: Path, number: int) -> Path:
        """A picture of the folder, counted from 0."""
        return root / self.folder / picture_name(number)


@dataclass(frozen=True)
class Record:
    """One clip's worth of frames: a row, or the visible and the infrared row of a scene.

    ``label`` is the position among the classes asked for. ``person`` is the number after ``person``
    in the folder, or None where the folder names nobody.
    """

    name: str
    scene: str
    label: int
    person: int | None
    frames: int
    rows: tuple[Row, ...]

    @property
    def group(self) -> str:
        """Whose clips are alike: the person, or the scene by itself where the person is unknown."""
        return self.scene if self.person is None else f"person{self.person:02d}"


def picture_name(number: int) -> str:
    """Such as ``0007.png``, for the eighth picture of a folder."""
    return f"{number:04d}.png"


def list_path(root: Path, spectrum: str, split: str) -> Path:
    """Where the set keeps a list."""
    return root / LIST_FOLDER / f"{spectrum}_{split}.txt"


def read_classes(root: Path) -> tuple[str, ...]:
    """The class names, in the order of their labels.

    They stand in ``classes.txt`` at the root or else in ``file_lists``, one per line; without such a
    file they are ``class 0`` to ``class 7``.

    Raises:
        BenchmarkError: an empty file, an empty line, control characters, or a name given twice.
    """
    for path in (root / CLASS_FILE, root / LIST_FOLDER / CLASS_FILE):
        if is_file(path):
            break
    else:
        return tuple(f"class {label}" for label in range(N_CLASSES))
    names: dict[str, None] = {}
    for number, line in enumerate(read_text(path).rstrip().splitlines(), start=1):
        name = line.strip()
        if not name:
            raise BenchmarkError(f"{path}, line {number}: expected a class name, got an empty line")
        if any(category(one) == "Cc" for one in name):
            raise BenchmarkError(
                f"{path}, line {number}: expected a class name, got {shown(name)}, which has control "
                f"characters"
            )
        if name in names:
            raise BenchmarkError(f"{path}, line {number}: class {shown(name)} comes a second time")
        names[name] = None
    if not names:
        raise BenchmarkError(f"{path}: empty; give one class name per line, in order of labels")
    return tuple(names)


def index_records(
    root: Path, spectrum: str, split: str, classes: Sequence[str] | None = None
) -> tuple[tuple[str, ...], list[Record]]:
    """Read the lists that a spectrum and a split need, and look whether all pictures are there.

    Args:
        root: the data set's folder.
        spectrum: ``"IR"``, ``"TV"``, ``"IRTV"`` (both lists, a record per row) or ``"paired"`` (a
            record per scene).
        split: ``"train"``, ``"test"`` or ``"all"``.
        classes: some of the set's classes; the position of each is its label. All by default.

    Returns:
        The classes, and the records in the order of the lists (of the visible one, for pairs).

    Raises:
        BenchmarkError: whatever is wrong, with the file, the row, and the cure.
    """
    for name, value, known in (("spectrum", spectrum, SPECTRA), ("split", split, SPLITS)):
        if value not in known:
            raise BenchmarkError(f"{name} {value!r}: expected one of {', '.join(known)}")
    names = read_classes(root)
    chosen = _choose(names, classes)
    rows = [
        row
        for part in SPLITS[split]
        for one in SPECTRA[spectrum]
        for row in read_list(root, one, part, len(names))
    ]
    _check_repeats(rows)
    for row in rows:
        _check_pictures(row, root)
    rows = [row for row in rows if names[row.label] in chosen]
    present = {names[row.label] for row in rows}
    absent = [name for name in chosen if name not in present]
    if classes is not None and absent:
        raise BenchmarkError(
            f"{root / LIST_FOLDER}: split {split} has no row of {', '.join(absent)}; choose among "
            f"the others with --classes, or add rows"
        )
    pairs = _pairs(rows) if spectrum == "paired" else [(row,) for row in rows]
    return chosen, [_record(pair, names, chosen) for pair in pairs]


def read_list(root: Path, spectrum: str, split: str, n_classes: int) -> list[Row]:
    """Read one list: rows ``folder n_frames label``, the folder relative to the root.

    A folder may have spaces in its name: the two numbers are what stands last. Empty lines count
    for nothing.

    Raises:
        BenchmarkError: no such file, no row in it, or a row that can not be read.
    """
    path = list_path(root, spectrum, split)
    if not is_file(path):
        raise BenchmarkError(
            f"{path}: no such list; the set keeps rows 'folder n_frames label' there: check the "
            f"root, or render the set with --layout mad"
        )
    rows = []
    for number, line in enumerate(map(str.strip, read_text(path).splitlines()), start=1):
        if line:
            rows.append(_parse(line, f"{path}, line {number}", spectrum, n_classes))
    if not rows:
        raise BenchmarkError(f"{path}: empty; expected rows such as 'IR/person01_walking 40 7'")
    return rows


def _parse(line: str, place: str, spectrum: str, n_classes: int) -> Row:
    match = _ROW.fullmatch(line) if len(line) <= _LONGEST else None
    if match is None:
        raise BenchmarkError(f"{place}: expected 'folder n_frames label', got {shown(line)}")
    frames, label = int(match["frames"]), int(match["label"])
    if frames < 1:
        raise BenchmarkError(f"{place}: expected at least 1 frame, got {frames}")
    if frames > MOST_FRAMES:
        raise BenchmarkError(f"{place}: expected at most {MOST_FRAMES} frames, got {frames}")
    if label >= n_classes:
        raise BenchmarkError(
            f"{place}: expected a label from 0 to {n_classes - 1}, got {label}; labels count from "
            f"0, and {CLASS_FILE} says how many classes there are ({N_CLASSES} without it)"
        )
    return Row(place, spectrum, match["folder"], frames, label)


def _choose(names: tuple[str, ...], classes: Sequence[str] | None) -> tuple[str, ...]:
    if classes is None:
        return names
    for name in classes:
        if name not in names:
            raise BenchmarkError(f"class {name!r} is not in the set; it has {', '.join(names)}")
    if len(set(classes)) != len(classes) or not classes:
        raise BenchmarkError(f"classes: expected different classes, got {list(classes)}")
    return tuple(classes)


def _check_repeats(rows: Sequence[Row]) -> None:
    """A folder read twice would count twice, and teach what it is tested on."""
    seen: dict[str, Row] = {}
    named: dict[tuple[str, str], Row] = {}
    for row in rows:
        first = seen.setdefault(os.path.normpath(row.folder), row)
        if first is not row:
            raise BenchmarkError(
                f"{row.place}: folder {row.folder} is in {first.place} already; remove one"
            )
        alike = named.setdefault((row.spectrum, row.scene), row)
        if alike is not row:
            raise BenchmarkError(
                f"{row.place}: folder {row.folder} gives the same scene, {row.scene}, as "
                f"{alike.folder} in {alike.place}; rename one"
            )


def _check_pictures(row: Row, root: Path) -> None:
    folder = root / row.folder
    try:
        _check_inside(row.place, folder, root)
        there = set()
        for entry in os.scandir(folder):
            there.add(entry.name)
            if entry.is_symlink() and _PICTURE.fullmatch(entry.name):
                _check_inside(row.place, Path(entry.path), root)
    except (OSError, ValueError) as error:  # a value error: a name with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else error
        raise BenchmarkError(
            f"{row.place}: {folder} is not a folder that can be read ({reason}); rows "
            f"name folders relative to {root}"
        ) from error
    # a row may claim any number: what is looked through is what is there
    missing = next((n for n in range(row.frames) if picture_name(n) not in there), None)
    if missing is not None:
        numbers = [int(match[1]) for match in map(_PICTURE.fullmatch, there) if match]
        count = sum(n < row.frames and picture_name(n) in there for n in set(numbers))
        raise BenchmarkError(
            f"{row.place}: {folder} holds {count} of the {row.frames} frames {picture_name(0)} to "
            f"{picture_name(row.frames - 1)}; {picture_name(missing)} is missing: correct the row, "
            f"or fetch the pictures again"
        )


def _check_inside(place: str, path: Path, root: Path) -> None:
    """Whether a path leads to something below the root, whatever links are followed."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise BenchmarkError(
            f"{place}: {path} lies outside of {root}; put the pictures below the root, or "
            f"take a root that holds them all"
        )


def _pairs(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """The visible and the infrared row of every scene."""
    visible = {row.scene: row for row in rows if row.spectrum == "TV"}
    infrared = {row.scene: row for row in rows if row.spectrum == "IR"}
    for one, other, name in ((visible, infrared, "IR"), (infrared, visible, "TV")):
        for scene, row in one.items():
            if scene not in other:
                raise BenchmarkError(
                    f"{row.place}: scene {scene} has no row in the {name} list of this split; a "
                    f"pair needs folders that differ in the word {row.spectrum} or {name} alone"
                )
    for scene, row in visible.items():
        partner = infrared[scene]
        for what, ours, theirs in (
            ("frames", row.frames, partner.frames),
            ("label", row.label, partner.label),
        ):
            if ours != theirs:
                raise BenchmarkError(
                    f"{row.place}: scene {scene} has {what} {ours} in TV, but {theirs} in IR "
                    f"({partner.place}); make the two rows agree"
                )
        yield row, partner


def _record(rows: tuple[Row, ...], names: Sequence[str], chosen: Sequence[str]) -> Record:
    first = rows[0]
    person = _PERSON.search(first.folder)
    return Record(
        name=first.scene if len(rows) > 1 else f"{first.scene}_{first.spectrum}",
        scene=first.scene,
        label=list(chosen).index(names[first.label]),
        person=int(person[1]) if person else None,
        frames=first.frames,
        rows=rows,
    )
