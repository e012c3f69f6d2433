"""Video classifiers by name, and their checkpoints. All take clips (N, C, T, H, W) in [0, 1]."""

from benchmarks_kth_mad.models.build import MODELS, VideoClassifier, build_model
from benchmarks_kth_mad.models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint

__all__ = [
    "MODELS",
    "Checkpoint",
    "VideoClassifier",
    "build_model",
    "load_checkpoint",
    "save_checkpoint",
]
