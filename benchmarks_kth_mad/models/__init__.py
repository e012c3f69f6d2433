"""Video classifiers by name, and their checkpoints. All take clips (N, C, T, H, W) in [0, 1]."""

from .build import MODELS, VideoClassifier, build_model
from .checkpoints import Checkpoint, load_checkpoint, save_checkpoint

__all__ = [
    "MODELS",
    "Checkpoint",
    "VideoClassifier",
    "build_model",
    "load_checkpoint",
    "save_checkpoint",
]
