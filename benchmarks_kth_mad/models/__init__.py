"""Video classifiers by name, and their checkpoints. All take clips (N, C, T, H, W) in [0, 1]."""

from benchmarks_kth_mad.models.build import MODELS, build_model
from benchmarks_kth_mad.models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from benchmarks_kth_mad.models.classifier import Settings, VideoClassifier
from benchmarks_kth_mad.models.cnn_lstm import CNNLSTM, CNNLSTMSettings
from benchmarks_kth_mad.models.fusion import EarlyFusion, TwoStreamFusion
from benchmarks_kth_mad.models.pan import PAN, FullPAN, PANSettings
from benchmarks_kth_mad.models.pan_checkpoints import (
    load_c3d_checkpoint,
    load_full_pan_checkpoint,
    load_pan_checkpoint,
)
from benchmarks_kth_mad.models.study_checkpoints import load_study_checkpoint

__all__ = [
    "CNNLSTM",
    "MODELS",
    "PAN",
    "CNNLSTMSettings",
    "Checkpoint",
    "EarlyFusion",
    "FullPAN",
    "PANSettings",
    "Settings",
    "TwoStreamFusion",
    "VideoClassifier",
    "build_model",
    "load_c3d_checkpoint",
    "load_checkpoint",
    "load_full_pan_checkpoint",
    "load_pan_checkpoint",
    "load_study_checkpoint",
    "save_checkpoint",
]
