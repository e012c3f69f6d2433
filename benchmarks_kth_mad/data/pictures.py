"""Picture files to arrays."""

import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks_kth_mad.data.limits import MOST_PIXELS, check_pixels
from benchmarks_kth_mad.data.video import Frames
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import is_file

# Pillow says why a picture can not be read and refuses half a picture; OpenCV's reader does neither
# in every version.
# It also reads files that are programs (EPS), so the formats are named.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "PPM", "WEBP")
_GRAY, _COLOR = ("1", "L", "LA"), ("P", "PA", "RGB", "RGBA")


def read_picture(path: Path, color: bool) -> Frames:
    """Read one picture of 8 bits per channel; transparency is left out.

    Args:
        path: PNG, JPEG, BMP, TIFF, PPM or WebP, told by its content and not by its name.
        color: RGB, with gray repeated; otherwise gray, the luma (ITU-R BT.601) of a coloured one.

    Returns:
        uint8 (H, W, 3) with ``color``, else (H, W).

    Raises:
        BenchmarkError: no such file, a damaged one, one of more bits (dividing them would make up a
            contrast), or one with more pixels than `data.limits` allows, by its header: nothing of
            it is decoded then.
    """
    if not is_file(path):
        raise BenchmarkError(f"{path}: no such picture; fetch the data set again")
    try:
        with _open(path) as picture:
            check_pixels(path, picture.height, picture.width)
            picture.load()
    except BenchmarkError:
        raise
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


def _open(path: Path) -> Image.Image:
    """The header of a picture. Pillow's own limits lie higher, and are its to set; ours speaks."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise BenchmarkError(
            f"{path}: more pixels than the {MOST_PIXELS} that a picture may have ({error}); scale it "
            f"down"
        ) from error
