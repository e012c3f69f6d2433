"""Attribution: where and when in a clip the evidence was."""

from captum_video.attr._layers import LayerCandidate, layer_candidates
from captum_video.attr.extremal import ExtremalMasks, ExtremalPerturbation3D
from captum_video.attr.gradcam3d import GradCAM3D
from captum_video.attr.input_cell import InputCellAttribution
from captum_video.attr.occlusion import SpatioTemporalOcclusion
from captum_video.attr.rise3d import RISE3D, RISEEstimate
from captum_video.attr.sidu3d import SIDU3D
from captum_video.attr.temporal_saliency_rescaling import TemporalSaliencyRescaling

__all__ = [
    "RISE3D",
    "SIDU3D",
    "ExtremalMasks",
    "ExtremalPerturbation3D",
    "GradCAM3D",
    "InputCellAttribution",
    "LayerCandidate",
    "RISEEstimate",
    "SpatioTemporalOcclusion",
    "TemporalSaliencyRescaling",
    "layer_candidates",
]
