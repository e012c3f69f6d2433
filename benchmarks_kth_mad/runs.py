"""A run: one folder with the checkpoint, what it was trained on, and all that came out of it."""

import json
import platform
import shutil
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.declared import build
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import is_file, read_text, whole_file

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
    ) -> KTH | MAD:
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
        self.unfinished = self.folder / "unfinished.ckpt"
        self.manifest = self.folder / "run.json"
        self.predictions = self.folder / "predictions.csv"
        self.attributions = self.folder / "attributions"
        self.evaluation = self.folder / "evaluation"
        self.rows = self.folder / "rows.parquet"
        self.rows_as_text = self.folder / "rows.csv"
        self.motion = self.folder / "motion.csv"
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

    def drop(self, *paths: Path) -> None:
        """Remove what an earlier model or earlier maps gave, or a report would mix the two."""
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def load_manifest(self) -> Manifest:
        """Read what the run was made with.

        Raises:
            BenchmarkError: no such file, or not one of ours.
        """
        require(self.manifest, "train")
        try:
            content = json.loads(read_text(self.manifest))
            source = build(Source, content["source"], "source")
            return _possible(build(Manifest, content | {"source": source}, "manifest"))
        except (BenchmarkError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BenchmarkError(
                f"{self.manifest}: not the manifest of a run; run train again"
            ) from error


def _possible(manifest: Manifest) -> Manifest:
    """The manifest, if a run can have given it."""
    counts = (manifest.seed, manifest.test_clips, *manifest.unseen_persons)
    if min(counts) < 0 or not 0 <= manifest.accuracy <= 1 or not manifest.source.classes:
        raise ValueError("no run gives such numbers")
    return manifest


def require(path: Path, command: str) -> None:
    """Raise BenchmarkError, naming the command that makes the file, where it is not there."""
    if not is_file(path):
        raise BenchmarkError(f"{path}: no such file; run {command} first")
