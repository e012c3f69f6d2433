"""Mask streams: what is kept of a clip in each of many perturbations.

A stream has a length and gives any stretch of its masks as ``masks[a:b] -> (b - a, 1, T, H, W)`` in
[0, 1], where **1 keeps the original and 0 puts the baseline in its place**. Whatever is random is
drawn once, when the stream is made, so that a mask does not depend on how the stream is cut.
"""

from captum_video.masks.features import FeatureMaps
from captum_video.masks.grids import RandomGrids
from captum_video.masks.prefixes import RankedPrefixes
from captum_video.masks.regions import Regions, labels_of, values_of
from captum_video.masks.stream import (
    Chosen,
    Joined,
    MaskStream,
    Switched,
    Untouched,
    unrepeated,
)
from captum_video.masks.tubes import Tubes
from captum_video.masks.windows import SlidingWindows

__all__ = [
    "Chosen",
    "FeatureMaps",
    "Joined",
    "MaskStream",
    "RandomGrids",
    "RankedPrefixes",
    "Regions",
    "SlidingWindows",
    "Switched",
    "Tubes",
    "Untouched",
    "labels_of",
    "unrepeated",
    "values_of",
]
