"""KTH as a torch data set: clips of subsequences, with label, name and, for rendered sets, masks."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from benchmarks_kth_mad.data.item import Item
from benchmarks_kth_mad.data.kth_index import (
    SEQUENCE_FILE,
    Record,
    check_classes,
    index_records,
    read_sequences,
)
from benchmarks_kth_mad.data.loading import FrameCache, Starts
from benchmarks_kth_mad.data.masks import MaskKind, clip_mask, mask_kinds, subsequence_masks
from benchmarks_kth_mad.data.sampling import (
    DEFAULT_CLIP,
    ClipShape,
    clip_tensor,
    frame_numbers,
    resize_frames,
)
from benchmarks_kth_mad.data.video import Frames, read_as_stored, read_frames
from benchmarks_kth_mad.errors import BenchmarkError


class KTH(Dataset[Item]):
    """Clips of the KTH action set, or of a rendered set in its layout.

    Resized frames are kept in memory up to ``cache_bytes``, so that later epochs decode nothing.

    Args:
        root: folder with ``00sequences.txt`` and ``<action>/person01_<action>_d1_uncomp.avi``.
        clip: shape of the clips. A subsequence too short for it repeats its last frame. Of 3
            channels, videos that have colours show them, and gray ones are repeated.
        classes: actions; the position of each is its label. All six by default.
        split: ``"train"``, ``"val"``, ``"test"`` or ``"all"``.
        split_by: ``"person"`` is the official protocol; ``"sequence"`` deals the subsequences of
            each class out to the splits, so that the same persons are in all of them.
        skip_missing: leave out videos that are not there.
        random_start: a clip begins anywhere in its subsequence, anew each time; otherwise it lies
            in the centre.
        seed: of the random starts. In a worker of a ``DataLoader`` its generator's seed counts too.

    Raises:
        BenchmarkError: anything asked for that the folder does not hold, with the cure.
    """

    cache_bytes = 1 << 30
    n_inputs = 1

    def __init__(
        self,
        root: str | Path,
        clip: ClipShape = DEFAULT_CLIP,
        classes: Sequence[str] | None = None,
        split: str = "train",
        split_by: str = "person",
        skip_missing: bool = False,
        random_start: bool = False,
        seed: int = 0,
    ) -> None:
        self.root = Path(root)
        self.clip = clip
        self.classes = check_classes(classes)
        self.random_start = random_start
        sequences = read_sequences(self.root / SEQUENCE_FILE)
        wanted = index_records(sequences, self.root, self.classes, split, split_by)
        self.records = _present(wanted, self.root, split, split_by, skip_missing)
        _check_complete(self.records, self.classes, self.root, split)
        self.starts = Starts(seed)
        self._cache = FrameCache()

    @property
    def persons(self) -> tuple[int, ...]:
        """The persons of this split. With one, accuracy says nothing about other people."""
        return tuple(sorted({record.person for record in self.records}))

    @property
    def mask_kinds(self) -> tuple[MaskKind, ...]:
        """What the set knows of its clips: ``"actor"`` and more if rendered, nothing if real."""
        return mask_kinds(self.root)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Item:
        frames = self._frames(index)
        generator = self.starts.generator() if self.random_start else None
        numbers = frame_numbers(len(frames), self.clip, generator)
        record = self.records[index]
        return Item(
            clip=clip_tensor(frames[numbers], self.clip.channels),
            label=record.label,
            name=record.name,
        )

    def files(self, index: int) -> tuple[Path, ...]:
        """All that a clip is read from."""
        return self.root / SEQUENCE_FILE, self.records[index].path

    def mask(self, index: int, kind: MaskKind = "actor") -> Tensor:
        """A mask of one kind over the clip in the centre of a subsequence.

        Returns:
            bool (T, H, W), true where the actor, say, covers at least half of a pixel.

        Raises:
            BenchmarkError: the set has no such masks, or not for these frames.
        """
        record = self.records[index]
        masks = subsequence_masks(self.root, kind, record)
        return clip_mask(masks[frame_numbers(len(masks), self.clip)], self.clip)

    def _frames(self, index: int) -> Frames:
        def read() -> Frames:
            record = self.records[index]
            # decoding colours takes longer, so it is done only for clips that show them
            read_video = read_as_stored if self.clip.channels == 3 else read_frames
            frames = read_video(record.path, record.first, record.last)
            return resize_frames(frames, self.clip.height, self.clip.width)

        return self._cache.fetch(index, read, self.cache_bytes)


def _present(
    wanted: list[Record], root: Path, split: str, split_by: str, skip_missing: bool
) -> list[Record]:
    """Drop the records whose video is not there, where that is allowed."""
    exists = {path: path.is_file() for path in dict.fromkeys(record.path for record in wanted)}
    missing = [path for path, there in exists.items() if not there]
    if len(missing) == len(exists) and (wanted or split_by == "person"):
        raise BenchmarkError(_no_videos(wanted, root, split, split_by))
    if missing and not skip_missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BenchmarkError(
            f"{missing[0]}{more}: no such video; fetch the data set, or leave out what is missing "
            f"with --skip-missing"
        )
    return [record for record in wanted if exists[record.path]]


def _no_videos(wanted: list[Record], root: Path, split: str, split_by: str) -> str:
    if split == "all" or split_by == "sequence" or not any(root.glob("*/person*_uncomp.avi")):
        looked = f", such as {wanted[0].path}" if wanted else ""
        return (
            f"{root}: none of the videos asked for is there{looked}; fetch or render the data set"
        )
    persons = ", ".join(str(person) for person in sorted({record.person for record in wanted}))
    return (
        f"{root}: split {split} has no videos (its persons: {persons or 'none'}); with too few "
        f"persons for the person split, use --split-by sequence"
    )


def _check_complete(records: list[Record], classes: Sequence[str], root: Path, split: str) -> None:
    absent = sorted(set(classes) - {record.action for record in records})
    if absent:
        raise BenchmarkError(
            f"{root}: split {split} has no sequence of {', '.join(absent)}; choose among the "
            f"others with --classes, or add sequences"
        )
