"""What a run of the benchmark is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks_kth_mad.data.captioned import Captioned, Words
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import METHODS, Options
from benchmarks_kth_mad.training import Recipe


@dataclass(frozen=True)
class Footage:
    """The same videos twice, and how they are divided.

    Args:
        clean: folder of the videos without text, in KTH's layout.
        captions: folder of the videos with text, and its masks.
        classes: actions.
        split_by: as of `KTH`; with one person, ``"sequence"``.
    """

    clean: Path
    captions: Path
    classes: tuple[str, ...]
    split_by: str = "person"

    def clips(
        self,
        split: str,
        clip: ClipShape,
        shown: int,
        words: Words,
        seed: int,
        random_start: bool = False,
    ) -> Captioned:
        """The clips of one split, with text or without."""
        # a folder of some of KTH's videos is meant to be one of some
        skip = self.split_by == "sequence"
        clean = KTH(self.clean, clip, self.classes, split, self.split_by, skip_missing=skip)
        return Captioned(clean, self.captions, shown, words, random_start, seed)


@dataclass(frozen=True)
class Plan:
    """How the networks are trained and how much is explained.

    Args:
        model: name of a network.
        clip: of 3 channels.
        recipe: of training.
        shown: frames of a clip that show the text.
        methods: names; all that apply where None.
        options: of the methods.
        clips: held-out clips that are explained.
        dilate: pixels by which the text's mask is grown before maps are measured.
        pictures: clips that are drawn.

    Raises:
        BenchmarkError: a number out of range, or an unknown method.
    """

    model: str = "r3d_small"
    clip: ClipShape = field(default_factory=lambda: ClipShape(frames=8))
    recipe: Recipe = field(default_factory=Recipe)
    shown: int = 3
    methods: Sequence[str] | None = None
    options: Options = field(default_factory=Options)
    clips: int = 6
    dilate: int = 1
    pictures: int = 1

    def __post_init__(self) -> None:
        for name, least in (("clips", 1), ("dilate", 0), ("pictures", 0)):
            if getattr(self, name) < least:
                raise BenchmarkError(
                    f"planted {name}: expected at least {least}, got {getattr(self, name)}"
                )
        if not 1 <= self.shown < self.clip.frames:
            raise BenchmarkError(
                f"planted shown: expected 1 to {self.clip.frames - 1} of the clip's "
                f"{self.clip.frames} frames, so that there is a time to find, got {self.shown}"
            )
        if self.clip.channels != 3:
            raise BenchmarkError(
                f"planted clip: expected 3 channels, for the text is red, got {self.clip.channels}"
            )
        unknown = [name for name in self.methods or () if name not in METHODS]
        if unknown:
            raise BenchmarkError(f"method {unknown[0]!r}: expected one of {', '.join(METHODS)}")
