"""Directions: which values of a metric are the better ones."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HIGHER_IS_BETTER: Final[Mapping[str, bool]] = MappingProxyType(
    {
        "Deletion": False,
        "Insertion": True,
        "average_drop_and_increase.drop": False,
        "average_drop_and_increase.increase": True,
        "deletion": False,
        "energy_in_mask": True,
        "euclidean_distance": False,
        "flow_agreement": True,
        "half_energy_area": False,
        "insertion": True,
        "minimal_mask": False,
        "parameter_randomization": False,
        "pointing": True,
        "precision_and_recall": True,
        "reliability": True,
        "share_beaten": True,
        "temporal_pointing": True,
        "weighted_jaccard": True,
    }
)
"""Whether a higher value is the better one, by the name of the metric in `captum_video.metrics`.

Curves are judged by their area. Where the numbers that one function gives differ in direction, there is
an entry for each, under the name of the function and that of the number. What only describes
(`modality_score`) or only makes maps and clips has no entry.

Example:
    >>> HIGHER_IS_BETTER["pointing"], HIGHER_IS_BETTER["deletion"]
    (True, False)
"""
