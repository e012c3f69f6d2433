"""The engine that every perturbation method and metric folds over."""

from captum_video.perturb._job import Streams
from captum_video.perturb.engine import (
    PerturbationsPerEval,
    Perturbed,
    perturbed_outputs,
    perturbed_scores,
)

__all__ = [
    "PerturbationsPerEval",
    "Perturbed",
    "Streams",
    "perturbed_outputs",
    "perturbed_scores",
]
