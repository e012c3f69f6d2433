"""Picture files to arrays."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks_kth_mad.data.video import Frames
from benchmarks_kth_mad.errors import BenchmarkError

# Pillow says why a picture can not be read and refuses half a picture; OpenCV's reader does neither
# in every version.
_GRAY, _COLOR = ("1", "L", "LA"), ("P", "PA", "RGB", "RGBA")


def read_picture(path: Path, color: bool) -> Frames:
    """Read one picture of 8 bits per channel; transparency is left out.

    Args:
        path: any format that Pillow reads.
        color: RGB, with gray repeated; otherwise gray, the luma (ITU-R BT.601) of a coloured one.

    Returns:
        uint8 (H, W, 3) with ``color``, else (H, W).

    Raises:
        BenchmarkError: no such file, a damaged one, or one of more bits (dividing them would make up
            a contrast).
    """
    try:
        with Image.open(path) as picture:
            picture.load()
    except FileNotFoundError as error:
        raise BenchmarkError(f"{path}: no such picture; fetch the data set again") from error
    except Exception as error:  # whatever a damaged file gives: OS, syntax and value errors
        raise BenchmarkError(
            f"{path}: not a picture that can be read ({error}); fetch it again"
        ) from error
    if picture.mode not in _GRAY + _COLOR:
        raise BenchmarkError(
            f"{path}: expected 8 bits per channel, gray or RGB, got Pillow's mode {picture.mode}; "
            f"convert the set"
        )
    if picture.mode in _GRAY and not color:
        return np.asarray(picture.convert("L"))
    pixels = np.asarray(picture.convert("RGB"))
    return pixels if color else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
