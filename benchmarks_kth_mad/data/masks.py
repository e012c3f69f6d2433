"""What rendered sets know about their clips: masks of one kind or another, a file per video or scene."""

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from benchmarks_kth_mad.data.arrays import read_arrays
from benchmarks_kth_mad.data.kth_index import Record
from benchmarks_kth_mad.data.limits import check_bytes, check_pixels
from benchmarks_kth_mad.data.sampling import ClipShape, resize_frames
from benchmarks_kth_mad.errors import BenchmarkError

MaskKind: TypeAlias = Literal["actor", "limb", "span", "text"]
"""The actor; the limbs with which he acts, where they are seen; all of the frames in which he acts; a
text that was burned in."""
MASK_FOLDERS: dict[MaskKind, str] = {
    "actor": "masks",
    "limb": "limb_masks",
    "span": "span_masks",
    "text": "text_masks",
}
STILL_TEXT = "text_masks.npz"
"""Of footage whose text does not move: a mask (H, W) for each action, whoever acts."""


def mask_kinds(root: Path) -> tuple[MaskKind, ...]:
    """The kinds of masks that a set comes with."""
    kinds = tuple(kind for kind, folder in MASK_FOLDERS.items() if (root / folder).is_dir())
    still = "text" not in kinds and (root / STILL_TEXT).is_file()
    return (*kinds, "text") if still else kinds


def mask_file(root: Path, kind: MaskKind, name: str) -> Path:
    """Where the masks of a video or scene lie."""
    return root / MASK_FOLDERS[kind] / f"{name}.npz"


def save_masks(path: Path, masks: np.ndarray) -> None:
    """Write the masks of a video, bool (T, H, W), eight pixels to a byte."""
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, bits=np.packbits(masks, axis=-1), width=masks.shape[-1])


def load_masks(path: Path) -> np.ndarray:
    """Read the masks of a video, bool (T, H, W).

    Raises:
        BenchmarkError: no such file, not one of masks, or masks that take more bytes than
            `data.limits` allows (said before memory is taken for them).
    """
    if not path.is_file():
        raise BenchmarkError(
            f"{path}: no such file; only rendered sets have masks, made by the command render"
        )
    try:
        arrays = read_arrays(path, ("bits", "width"))
        bits, width = arrays["bits"], int(arrays["width"])
        if bits.ndim != 3 or not 8 * (bits.shape[2] - 1) < width <= 8 * bits.shape[2]:
            raise ValueError("not eight pixels to a byte")
        check_bytes(path, *bits.shape[:2], width)
        return np.unpackbits(bits, axis=-1, count=width).view(bool)
    except BenchmarkError:
        raise
    except Exception as error:  # zip, numpy and key errors: whatever a damaged file gives
        raise BenchmarkError(f"{path}: not a file of masks; render the set again") from error


def subsequence_masks(root: Path, kind: MaskKind, record: Record) -> np.ndarray:
    """The masks of a subsequence of KTH's layout, bool (T, H, W).

    Raises:
        BenchmarkError: no such file, not one of masks, or not for these frames.
    """
    if kind == "text" and (root / STILL_TEXT).is_file():
        still = _load_still(root / STILL_TEXT, record.action)
        return np.broadcast_to(still, (record.last - record.first + 1, *still.shape))
    path = mask_file(root, kind, record.video_name)
    masks = load_masks(path)
    if len(masks) <= record.last:
        raise BenchmarkError(
            f"{path}: expected at least {record.last + 1} masks, got {len(masks)}; render the "
            f"set again"
        )
    return masks[record.first : record.last + 1]


def _load_still(path: Path, action: str) -> np.ndarray:
    try:
        mask = read_arrays(path, (action,))[action]
        if mask.ndim != 2:
            raise ValueError("not a mask of one picture")
        check_pixels(path, *mask.shape)
        return mask.astype(bool)
    except BenchmarkError:
        raise
    except Exception as error:  # zip, numpy and key errors: whatever a foreign file gives
        raise BenchmarkError(
            f"{path}: expected a mask (height, width) for {action}; fetch the set again"
        ) from error


def clip_mask(masks: np.ndarray, clip: ClipShape) -> Tensor:
    """Masks bool (T, H, W) at the size of a clip: true where at least half of a pixel is covered."""
    resized = resize_frames(masks.astype(np.uint8) * 255, clip.height, clip.width)
    return torch.from_numpy(resized >= 128)
