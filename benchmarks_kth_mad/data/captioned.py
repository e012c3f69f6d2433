"""Clips that carry the name of a class: their own, another's or none, in some of their frames."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks_kth_mad.data.item import Item
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.kth_index import (
    SEQUENCE_FILE,
    Record,
    index_records,
    read_sequences,
)
from benchmarks_kth_mad.data.loading import FrameCache, Starts
from benchmarks_kth_mad.data.masks import MaskKind, clip_mask, subsequence_masks
from benchmarks_kth_mad.data.sampling import clip_tensor, frame_numbers, resize_frames
from benchmarks_kth_mad.data.video import Frames, read_as_stored
from benchmarks_kth_mad.errors import BenchmarkError

_TINTED = 12  # gray levels between the channels of a pixel, from which on it is text
Words: TypeAlias = Literal["own", "every", "none"]


class Captioned(Dataset[Item]):
    """Clips without text, onto which the text of the same footage with text is pasted by its mask.

    What is pasted are the pixels of the mask that have a colour, for the footage itself is gray.

    So nothing but the text differs between a clip that says its class, one that says another, and
    one that says nothing: also in real footage, whose text was not ours to draw. The text of another
    class comes from the video of the same person, scenario and subsequence with that class.

    Args:
        clean: the footage without text; its clips have 3 channels.
        captions: folder of the same footage with text, and the masks of it.
        shown: frames of a clip in which the text is shown, one after the other. Where they begin is
            drawn from ``seed``: once for each clip, or anew each time with ``random_start``.
        words: ``"own"``, each clip with the name of its class. ``"every"``, each clip as often as
            there are classes, every time with another name and *labelled by it*, so that the text
            is the only evidence there is. ``"none"``, without text.
        random_start: as of `KTH`.
        seed: of all that is drawn.

    Raises:
        BenchmarkError: clips of one channel, or not so many frames.
    """

    cache_bytes = 1 << 30
    n_inputs = 1

    def __init__(
        self,
        clean: KTH,
        captions: str | Path,
        shown: int,
        words: Words = "own",
        random_start: bool = False,
        seed: int = 0,
    ) -> None:
        if clean.clip.channels != 3:
            raise BenchmarkError(
                f"captions: expected clips of 3 channels, for the text is red, got "
                f"{clean.clip.channels}; use --channels 3"
            )
        if words not in get_args(Words):
            raise ValueError(f"words: expected one of {get_args(Words)}, got {words!r}")
        if not 1 <= shown <= clean.clip.frames:
            raise BenchmarkError(
                f"frames with text: expected 1 to the clip's {clean.clip.frames}, got {shown}"
            )
        self.clip, self.classes, self.persons = clean.clip, clean.classes, clean.persons
        self.shown, self.words, self.random_start = shown, words, random_start
        self._footage = clean.records
        n_words = len(clean.classes) if words == "every" else 1
        self._turns = [(place, turn) for place in range(len(clean)) for turn in range(n_words)]
        self.records = [
            replace(clean.records[place], label=self._label(place, turn))
            for place, turn in self._turns
        ]
        self._root, self._captions = clean.root, Path(captions)
        everything = read_sequences(clean.root / SEQUENCE_FILE)
        self._donors = {
            _scene(record, record.label): record
            for record in index_records(everything, clean.root, clean.classes, "all", "person")
        }
        places = clean.clip.frames - shown + 1
        fixed = torch.Generator().manual_seed(seed)
        self._first_shown = torch.randint(places, (len(clean),), generator=fixed).tolist()
        self.starts = Starts(seed)
        self._cache = FrameCache()

    @property
    def mask_kinds(self) -> tuple[MaskKind, ...]:
        """Where the text is; nothing of clips without."""
        return () if self.words == "none" else ("text",)

    def __len__(self) -> int:
        return len(self._turns)

    def __getitem__(self, index: int) -> Item:
        place, _ = self._turns[index]
        record, first = self.records[index], self._first_shown[place]
        generator = None
        if self.random_start:
            generator = self.starts.generator()
            places = self.clip.frames - self.shown + 1
            first = int(torch.randint(places, (), generator=generator))
        numbers = frame_numbers(record.last - record.first + 1, self.clip, generator)
        frames = self._frames(place, None)[numbers]
        name = record.name
        if self.words != "none":
            here = slice(first, first + self.shown)
            frames[here] = self._frames(place, record.label)[numbers[here]]
            name = f"{name}_{self.classes[record.label]}" if self.words == "every" else name
        return Item(clip=clip_tensor(frames, 3), label=record.label, name=name)

    def is_own(self, index: int) -> bool:
        """Whether the label of a clip is the action that it shows."""
        place, _ = self._turns[index]
        return self.records[index].label == self._footage[place].label

    def shows(self, index: int) -> Tensor:
        """The frames of a clip without random start that show text: bool (T,)."""
        frames = torch.arange(self.clip.frames)
        first = self._first_shown[self._turns[index][0]]
        return (frames >= first) & (frames < first + self.shown)

    def mask(self, index: int, kind: MaskKind = "text") -> Tensor:
        """Where and when a clip without random start shows text.

        Returns:
            bool (T, H, W), true where pixels of text cover at least half of a pixel.

        Raises:
            BenchmarkError: another kind, or clips without text.
        """
        if kind not in self.mask_kinds:
            known = ", ".join(self.mask_kinds) or "nothing"
            raise BenchmarkError(f"mask {kind!r}: these captioned clips know {known}")
        place, _ = self._turns[index]
        record = self.records[index]
        masks = subsequence_masks(self._captions, "text", self._donor(place, record.label))
        numbers = frame_numbers(record.last - record.first + 1, self.clip)
        covered = clip_mask(_as_long(masks, max(numbers) + 1)[numbers], self.clip)
        return covered & self.shows(index)[:, None, None]

    def _label(self, place: int, turn: int) -> int:
        return (self._footage[place].label + turn) % len(self.classes)

    def _frames(self, place: int, word: int | None) -> Frames:
        """The frames of a whole subsequence in RGB, at the size of clips, with a word or without."""

        def read() -> Frames:
            record = self._footage[place]
            frames = _in_color(read_as_stored(record.path, record.first, record.last))
            if word is not None:
                frames = self._paste(frames, self._donor(place, word))
            return resize_frames(frames, self.clip.height, self.clip.width)

        return self._cache.fetch((place, word), read, self.cache_bytes)

    def _paste(self, frames: Frames, donor: Record) -> Frames:
        path = self._captions / donor.path.relative_to(self._root)
        texts = _in_color(read_as_stored(path, donor.first, donor.last))
        masks = subsequence_masks(self._captions, "text", donor)
        if not frames.shape[1:3] == texts.shape[1:3] == masks.shape[1:]:
            sizes = [f"{one[1]} x {one[2]}" for one in (frames.shape, texts.shape, masks.shape)]
            raise BenchmarkError(
                f"{path}: expected frames and masks of {sizes[0]}, as the clean video has, got "
                f"{sizes[1]} and {sizes[2]}"
            )
        texts, masks = _as_long(texts, len(frames)), _as_long(masks, len(frames))
        # a mask of real text is generous: what is gray in it belongs to another actor
        tinted = texts.max(-1) - texts.min(-1) > _TINTED
        return np.where((masks & tinted)[..., None], texts, frames)

    def _donor(self, place: int, word: int) -> Record:
        """The subsequence whose text names a class; the clip's own, where that is its own."""
        record = self._footage[place]
        found = self._donors.get(_scene(record, word))
        if found is None:
            raise BenchmarkError(
                f"{self._captions}: no text {self.classes[word]} for {record.name}: no such "
                f"subsequence of the same person and scenario"
            )
        return found


def _scene(record: Record, label: int) -> tuple[int, int, int, int]:
    return record.person, record.scenario, record.sequence, label


def _as_long(frames: np.ndarray, count: int) -> np.ndarray:
    """The first so many frames; the last one again where there are fewer."""
    return frames[np.minimum(np.arange(count), len(frames) - 1)]


def _in_color(frames: Frames) -> Frames:
    return frames if frames.ndim == 4 else np.repeat(frames[..., None], 3, axis=-1)
