"""Metrics: whether a map names the evidence that the model used."""

from captum_video.metrics._scale import min_max
from captum_video.metrics.average_drop import DropAndIncrease, average_drop_and_increase
from captum_video.metrics.directions import HIGHER_IS_BETTER
from captum_video.metrics.flow_agreement import FlowAgreement, flow_agreement
from captum_video.metrics.focus import half_energy_area
from captum_video.metrics.insertion_deletion import Deletion, Insertion, deletion, insertion
from captum_video.metrics.joined_actions import JoinedClips, join_clips, temporal_pointing
from captum_video.metrics.localization import (
    energy_in_mask,
    euclidean_distance,
    weighted_jaccard,
)
from captum_video.metrics.modality import ModalityScore, modality_score
from captum_video.metrics.model_randomization import (
    ParameterRandomization,
    parameter_randomization,
)
from captum_video.metrics.pointing_game import pointing
from captum_video.metrics.precision_recall import PrecisionRecall, precision_and_recall
from captum_video.metrics.random_baseline import Beaten, random_maps, share_beaten
from captum_video.metrics.rank_reliability import Reliability, reliability
from captum_video.metrics.smallest_mask import minimal_mask

__all__ = [
    "HIGHER_IS_BETTER",
    "Beaten",
    "Deletion",
    "DropAndIncrease",
    "FlowAgreement",
    "Insertion",
    "JoinedClips",
    "ModalityScore",
    "ParameterRandomization",
    "PrecisionRecall",
    "Reliability",
    "average_drop_and_increase",
    "deletion",
    "energy_in_mask",
    "euclidean_distance",
    "flow_agreement",
    "half_energy_area",
    "insertion",
    "join_clips",
    "min_max",
    "minimal_mask",
    "modality_score",
    "parameter_randomization",
    "pointing",
    "precision_and_recall",
    "random_maps",
    "reliability",
    "share_beaten",
    "temporal_pointing",
    "weighted_jaccard",
]
