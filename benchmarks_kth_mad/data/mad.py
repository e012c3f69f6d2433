"""The multispectral action set as a torch data set: infrared, visible, both pooled, or in pairs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks_kth_mad.data.item import Item
from benchmarks_kth_mad.data.loading import FrameCache, Starts
from benchmarks_kth_mad.data.mad_index import Row, index_records
from benchmarks_kth_mad.data.masks import MaskKind, clip_mask, load_masks, mask_file, mask_kinds
from benchmarks_kth_mad.data.pictures import read_picture
from benchmarks_kth_mad.data.sampling import (
    DEFAULT_CLIP,
    ClipShape,
    clip_tensor,
    frame_numbers,
    resize_frames,
)
from benchmarks_kth_mad.data.video import Frames
from benchmarks_kth_mad.errors import BenchmarkError


class MAD(Dataset[Item]):
    """Clips of the multispectral action set of the ICPR 2022 study, or of a rendered one.

    Only pictures that a clip needs are read; resized, they are kept in memory up to
    ``cache_bytes``. The two spectra of a scene may differ in size, since both are resized to the
    clip's: they are taken to show the same field of view.

    Args:
        root: folder with ``file_lists/{IR,TV}_{train,test}.txt``; their rows
            ``folder n_frames label`` name folders relative to it, with pictures ``0000.png``,
            ``0001.png`` and so on. Class names stand in ``classes.txt``, where there is one.
        clip: shape of the clips, and how their frames are chosen. A scene too short for it repeats
            its last frame.
        spectrum: ``"IR"`` (gray), ``"TV"`` (RGB), ``"IRTV"`` (the clips of both, one after the
            other) or ``"paired"``: each clip is ``(visible, infrared)``, of the same frame numbers.
            Infrared is repeated for a clip of three channels, and visible becomes luma for one; in
            pairs the visible clip has the channels of ``clip``, and the infrared one channel.
            `Row.scene` says which folders make a pair.
        split: ``"train"``, ``"test"`` or ``"all"``.
        classes: some of the set's classes; the position of each is its label. All by default.
        random_start: clips begin anywhere, anew each time; otherwise they lie in the centre.
        seed: of the random starts. In a worker of a ``DataLoader`` its generator's seed counts too.

    Raises:
        BenchmarkError: a list, a folder or a picture that is not there, rows that can not be read
            or contradict each other, with the cure. Damaged pictures, and pictures of different
            sizes in one folder, show when they are read.
    """

    cache_bytes = 1 << 30

    def __init__(
        self,
        root: str | Path,
        clip: ClipShape = DEFAULT_CLIP,
        spectrum: str = "IR",
        split: str = "train",
        classes: Sequence[str] | None = None,
        random_start: bool = False,
        seed: int = 0,
    ) -> None:
        self.root = Path(root)
        self.clip = clip
        self.spectrum = spectrum
        self.random_start = random_start
        self.classes, self.records = index_records(self.root, spectrum, split, classes)
        self.starts = Starts(seed)
        self._cache = FrameCache()
        self._sizes: dict[str, tuple[str, tuple[int, ...]]] = {}

    @property
    def persons(self) -> tuple[int, ...]:
        """The persons of this split, as far as folders name them.

        With one, or none that is known, accuracy says nothing about other people.
        """
        return tuple(sorted({one.person for one in self.records if one.person is not None}))

    @property
    def mask_kinds(self) -> tuple[MaskKind, ...]:
        """What the set knows of its clips: ``"actor"`` and more if rendered, nothing if real."""
        return mask_kinds(self.root)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Item:
        record = self.records[index]
        generator = self.starts.generator() if self.random_start else None
        numbers = frame_numbers(record.frames, self.clip, generator)
        clips = [self._clip(row, numbers) for row in record.rows]
        return Item(
            clip=clips[0] if len(clips) == 1 else (clips[0], clips[1]),
            label=record.label,
            name=record.name,
        )

    @property
    def n_inputs(self) -> int:
        """How many clips of a scene an item has."""
        return 2 if self.spectrum == "paired" else 1

    def files(self, index: int) -> tuple[Path, ...]:
        """All pictures that a clip without random start is read from."""
        record = self.records[index]
        numbers = frame_numbers(record.frames, self.clip)
        return tuple(row.path(self.root, number) for row in record.rows for number in numbers)

    def mask(self, index: int, kind: MaskKind = "actor") -> Tensor:
        """A mask of one kind over the clip that is taken without random starts; of both spectra.

        Returns:
            bool (T, H, W), true where the actor, say, covers at least half of a pixel.

        Raises:
            BenchmarkError: the set has no such masks, or not for these frames.
        """
        record = self.records[index]
        path = mask_file(self.root, kind, record.scene)
        masks = load_masks(path)
        if len(masks) < record.frames:
            raise BenchmarkError(
                f"{path}: expected at least {record.frames} masks, got {len(masks)}; render the "
                f"set again"
            )
        return clip_mask(masks[frame_numbers(record.frames, self.clip)], self.clip)

    def _clip(self, row: Row, numbers: Sequence[int]) -> Tensor:
        in_pairs = self.spectrum == "paired"
        channels = 1 if in_pairs and row.spectrum == "IR" else self.clip.channels
        color = row.spectrum == "TV" and channels == 3
        frames = np.stack([self._frame(row, number, color) for number in numbers])
        return clip_tensor(frames, channels)

    def _frame(self, row: Row, number: int, color: bool) -> Frames:
        def read() -> Frames:
            picture = read_picture(row.path(self.root, number), color)
            self._check_size(row, number, picture.shape[:2])
            return resize_frames(picture[None], self.clip.height, self.clip.width)[0]

        return self._cache.fetch((row.folder, number), read, self.cache_bytes)

    def _check_size(self, row: Row, number: int, size: tuple[int, ...]) -> None:
        path = row.path(self.root, number)
        first, expected = self._sizes.setdefault(row.folder, (path.name, size))
        if size != expected:
            raise BenchmarkError(
                f"{path}: expected {expected[0]} x {expected[1]} pixels as {first} beside it, got "
                f"{size[0]} x {size[1]}; the pictures of a folder must have one size"
            )
