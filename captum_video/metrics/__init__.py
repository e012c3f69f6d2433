"""Metrics: whether a map names the evidence that the model used."""

from captum_video.metrics.flow_agreement import FlowAgreement, flow_agreement
from captum_video.metrics.focus import half_energy_area
from captum_video.metrics.insertion_deletion import Deletion, Insertion, deletion, insertion
from captum_video.metrics.localization import (
    energy_in_mask,
    euclidean_distance,
    min_max,
    weighted_jaccard,
)
from captum_video.metrics.modality import ModalityScore, modality_score

__all__ = [
    "Deletion",
    "FlowAgreement",
    "Insertion",
    "ModalityScore",
    "deletion",
    "energy_in_mask",
    "euclidean_distance",
    "flow_agreement",
    "half_energy_area",
    "insertion",
    "min_max",
    "modality_score",
    "weighted_jaccard",
]
