"""The engine that every perturbation method and metric folds over."""

from captum_video.perturb._chunk_size import ChunkSize
from captum_video.perturb._job import Streams, rows_that_fit, run_in_chunks
from captum_video.perturb._memory_format import as_read
from captum_video.perturb.encoder import FrameEncoder
from captum_video.perturb.engine import (
    PerturbationsPerEval,
    Perturbed,
    perturbed_outputs,
    perturbed_scores,
)

__all__ = [
    "ChunkSize",
    "FrameEncoder",
    "PerturbationsPerEval",
    "Perturbed",
    "Streams",
    "as_read",
    "perturbed_outputs",
    "perturbed_scores",
    "rows_that_fit",
    "run_in_chunks",
]
