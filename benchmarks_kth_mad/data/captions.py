"""The name of the class burned into frames: evidence that nobody meant to give, planted on purpose."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks_kth_mad.data.kth_index import ACTIONS
from benchmarks_kth_mad.data.video import Frames

RED = (225, 25, 25)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LONGEST = (
    1.2  # the longest name, of the picture's width: letters that stay legible when it shrinks
)
_MARGIN = 0.02  # columns before the word, of the picture
_HIGHEST = (0.01, 0.06)  # rows above the letters, of the picture: over most people's heads
_STREAM = 1_000_003  # of random numbers; looks, places and acting have theirs, with smaller numbers


@dataclass(frozen=True)
class Caption:
    """A word in a picture: how far it covers each pixel, float32 (H, W) in [0, 1]."""

    word: str
    cover: NDArray[np.float32]


def caption_of(word: str, size: tuple[int, int], seeds: Sequence[int]) -> Caption:
    """Write a word into the top of a picture.

    All words have letters of one size and begin in one column; how high they stand depends on the
    seeds alone. So neither place nor size tells one word from another. The longest name runs out of
    the picture.

    Args:
        word: what is written.
        size: height and width of the picture.
        seeds: of the height, such as seed, person and scenario.
    """
    height, width = size
    # measured large, because OpenCV rounds to whole pixels
    longest = max(cv2.getTextSize(action, _FONT, 20.0, 1)[0][0] for action in ACTIONS) / 20
    scale = _LONGEST * width / longest
    thickness = max(1, round(height / 60))
    rng = np.random.default_rng([*seeds, _STREAM])
    top = height * rng.uniform(*_HIGHEST)
    origin = (round(_MARGIN * width), round(top) + _ascent(height, scale, thickness))
    cover = np.zeros((height, width), np.uint8)
    cv2.putText(cover, word, origin, _FONT, scale, 255, thickness, cv2.LINE_AA)
    return Caption(word, cover.astype(np.float32) / np.float32(255))


def burn_in(frames: Frames, caption: Caption) -> tuple[Frames, NDArray[np.bool_]]:
    """Write a caption over every frame.

    Args:
        frames: uint8 (T, H, W), gray.
        caption: of the same size.

    Returns:
        uint8 (T, H, W, 3) in RGB, and the mask bool (T, H, W) of every pixel that the letters
        touch; all others are as they were.
    """
    touched = caption.cover > 0
    cover = caption.cover[touched][:, None]
    colored = np.repeat(frames[..., None], 3, axis=-1)
    under = colored[:, touched].astype(np.float32)
    over = under * (1 - cover) + np.array(RED, np.float32) * cover
    colored[:, touched] = np.rint(over).astype(np.uint8)
    return colored, np.repeat(touched[None], len(frames), axis=0)


def _ascent(height: int, scale: float, thickness: int) -> int:
    """Rows of a high letter above its base line; OpenCV's own measure counts empty ones too."""
    letter = np.zeros((height, height), np.uint8)
    cv2.putText(letter, "b", (0, height - 1), _FONT, scale, 255, thickness, cv2.LINE_AA)
    return height - 1 - int(np.flatnonzero(letter.any(1))[0])
