"""A run: one folder with the checkpoint, what it was trained on, and all that came out of it."""

import json
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.data.sets import ActionSet
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import whole_file

PACKAGES = ("captum-video", "captum", "torch", "torchvision", "numpy")
ONE_PERSON = (
    "No person in it is unseen in training: this accuracy proves nothing about other people."
)


@dataclass(frozen=True)
class Source:
    """Where clips come from, and how they are divided.

    ``spectrum`` is that of the multispectral set, None for KTH; ``split_by`` and ``skip_missing``
    are of KTH alone.
    """

    root: str
    classes: tuple[str, ...]
    split_by: str = "person"
    skip_missing: bool = False
    spectrum: str | None = None

    def dataset(
        self, split: str, clip: ClipShape, random_start: bool = False, seed: int = 0
    ) -> ActionSet:
        """The clips of one split."""
        if self.spectrum is not None:
            return MAD(self.root, clip, self.spectrum, split, self.classes, random_start, seed)
        return KTH(
            self.root,
            clip,
            classes=self.classes,
            split=split,
            split_by=self.split_by,
            skip_missing=self.skip_missing,
            random_start=random_start,
            seed=seed,
        )


@dataclass(frozen=True)
class Manifest:
    """What a run was made with; ``unseen_persons`` are those in the test split only."""

    source: Source
    model: str
    seed: int
    accuracy: float
    test_clips: int
    unseen_persons: tuple[int, ...]
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def claim(self) -> str:
        """The accuracy in one line, with what it is worth."""
        chance = 1 / len(self.source.classes)
        text = (
            f"Accuracy on {self.test_clips} test clips: {self.accuracy:.1%} (chance {chance:.1%})."
        )
        if not self.unseen_persons:
            return f"{text} {ONE_PERSON}"
        return f"{text} Persons not seen in training: {len(self.unseen_persons)}."


class Run:
    """The files of one run, by name."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.checkpoint = self.folder / "checkpoint.pt"
        self.manifest = self.folder / "run.json"
        self.predictions = self.folder / "predictions.csv"
        self.attributions = self.folder / "attributions.pt"
        self.rows = self.folder / "rows.csv"
        self.motion = self.folder / "motion.csv"
        self.curves = self.folder / "curves.pt"
        self.report = self.folder / "report.md"
        self.page = self.folder / "report.html"
        self.summary = self.folder / "report_summary.csv"
        self.comparisons = self.folder / "report_comparisons.csv"
        self.reports = (self.report, self.page, self.summary, self.comparisons)
        self.pictures = self.folder / "pictures"

    def save_manifest(self, manifest: Manifest) -> None:
        """Write what the run was made with, and the versions it ran on."""
        content = asdict(manifest)
        content["versions"] = {name: version(name) for name in PACKAGES}
        content["versions"]["python"] = platform.python_version()
        with whole_file(self.manifest) as path:
            path.write_text(json.dumps(content, indent=2) + "\n")

    def drop(self, *files: Path) -> None:
        """Remove what an earlier model or earlier maps gave, or a report would mix the two."""
        for file in files:
            file.unlink(missing_ok=True)

    def load_manifest(self) -> Manifest:
        """Read what the run was made with.

        Raises:
            BenchmarkError: no such file, or not one of ours.
        """
        require(self.manifest, "train")
        try:
            content = json.loads(self.manifest.read_text())
            source = content.pop("source")
            source["classes"] = tuple(map(str, source["classes"]))
            content["unseen_persons"] = tuple(content["unseen_persons"])
            return Manifest(source=Source(**source), **content)
        except (ValueError, KeyError, TypeError) as error:
            raise BenchmarkError(
                f"{self.manifest}: not the manifest of a run; run train again"
            ) from error


def require(path: Path, command: str) -> None:
    """Raise BenchmarkError, naming the command that makes the file, where it is not there."""
    if not path.is_file():
        raise BenchmarkError(f"{path}: no such file; run {command} first")
