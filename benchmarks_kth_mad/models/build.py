"""The video classifiers of the benchmark, by name."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.classifier import Settings, VideoClassifier, settings_from
from benchmarks_kth_mad.models.cnn_lstm import CNNLSTM, CNNLSTMSettings
from benchmarks_kth_mad.models.fusion import INFRARED_CHANNELS, EarlyFusion, TwoStreamFusion
from benchmarks_kth_mad.models.pan import PAN, FullPAN, PANSettings
from benchmarks_kth_mad.models.resnet3d import build_resnet3d

Builder = Callable[[int, int, str | None, Settings], VideoClassifier]


def build_model(
    name: str,
    n_classes: int,
    channels: int = 3,
    weights: str | None = None,
    settings: Settings | None = None,
) -> VideoClassifier:
    """Build a classifier; its weights are drawn from torch's global generator.

    Args:
        name: ``"r3d_18"`` (torchvision); ``"pan_lite"``, ``"pan_pa"``, ``"pan_rgb"`` and
            ``"pan_full"`` (the authors'); ``"cnn_lstm"`` (study B's), ``"cnn_lstm_attention"``
            (with input-cell attention); or one that trains on a CPU: ``"r3d_small"``,
            ``"pan_lite_small"``, ``"cnn_lstm_small"``, ``"cnn_lstm_small_attention"``. A 3-D
            ResNet or a PAN Lite with ``_early`` or ``_two_stream`` after its name sees two
            clips, visible and infrared: as channels of one network, or each in its own.
        n_classes: number of logits.
        channels: of the clips, 1 or 3; of two, those of the visible: infrared has one.
        weights: published weights to start from, by torchvision's name: ``"KINETICS400_V1"`` for
            ``r3d_18``, ``"IMAGENET1K_V1"`` for the encoder of ``cnn_lstm`` and ``pan_lite``. They
            are fetched over the network; layers that classify stay random.
        settings: of a CNN-LSTM, a PAN or a 3-D ResNet, where they differ from the named model's:
            fields of `CNNLSTMSettings`, `PANSettings` or `ResNet3DSettings`.

    Raises:
        BenchmarkError: an unknown name, weights that the model does not have or that can not be
            fetched, settings that it does not have, or sizes out of range.
    """
    if name not in MODELS:
        raise BenchmarkError(f"model {name!r}: expected one of {', '.join(MODELS)}")
    if n_classes < 2:
        raise BenchmarkError(f"model {name}: expected at least 2 classes, got {n_classes}")
    if channels not in (1, 3):
        raise BenchmarkError(f"model {name}: expected 1 or 3 channels, got {channels}")
    return MODELS[name](n_classes, channels, weights, settings or {})


def _cnn_lstm(
    default: CNNLSTMSettings,
    n_classes: int,
    channels: int,
    weights: str | None,
    settings: Settings,
) -> VideoClassifier:
    chosen = settings_from("cnn_lstm", default, settings)
    model = CNNLSTM(n_classes, channels, weights, chosen)
    return model.to(memory_format=torch.channels_last)


def _pan(
    default: PANSettings, n_classes: int, channels: int, weights: str | None, settings: Settings
) -> VideoClassifier:
    chosen = settings_from(f"pan_{default.variant}", default, settings)
    kind = FullPAN if chosen.variant == "full" else PAN
    return kind(n_classes, channels, weights, chosen).to(memory_format=torch.channels_last)


def _early(
    build: Builder, n_classes: int, channels: int, weights: str | None, settings: Settings
) -> VideoClassifier:
    return EarlyFusion(build(n_classes, channels + INFRARED_CHANNELS, weights, settings))


def _two_stream(
    build: Builder, n_classes: int, channels: int, weights: str | None, settings: Settings
) -> VideoClassifier:
    visible = build(n_classes, channels, weights, settings)
    infrared = build(n_classes, INFRARED_CHANNELS, weights, settings)
    return TwoStreamFusion(visible, infrared, n_classes)


_SMALL = CNNLSTMSettings(
    encoder="small", features=64, hidden=64, layers=1, wide=32, attention_size=16, hops=4
)
# of the PANs only Lite is fused: it is the one that the study trained
_FUSED: dict[str, Builder] = {
    "r3d_18": partial(build_resnet3d, "r3d_18"),
    "r3d_small": partial(build_resnet3d, "r3d_small"),
    "pan_lite": partial(_pan, PANSettings()),
    "pan_lite_small": partial(_pan, PANSettings(encoder="small")),
}

MODELS: dict[str, Builder] = {
    **_FUSED,
    "pan_pa": partial(_pan, PANSettings(variant="pa")),
    "pan_rgb": partial(_pan, PANSettings(variant="rgb", frames_per_segment=1)),
    "pan_full": partial(_pan, PANSettings(variant="full")),
    "cnn_lstm": partial(_cnn_lstm, CNNLSTMSettings()),
    "cnn_lstm_attention": partial(_cnn_lstm, CNNLSTMSettings(cell="input_cell")),
    "cnn_lstm_small": partial(_cnn_lstm, _SMALL),
    "cnn_lstm_small_attention": partial(_cnn_lstm, replace(_SMALL, cell="input_cell")),
    **{f"{name}_early": partial(_early, build) for name, build in _FUSED.items()},
    **{f"{name}_two_stream": partial(_two_stream, build) for name, build in _FUSED.items()},
}
