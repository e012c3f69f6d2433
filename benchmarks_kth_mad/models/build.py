"""The video classifiers of the benchmark, by name."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from functools import partial

import torch
from torch import nn
from torchvision.models.video import R3D_18_Weights, r3d_18

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.classifier import (
    Classifier3D,
    Normalize,
    Settings,
    VideoClassifier,
)
from benchmarks_kth_mad.models.cnn_lstm import CNNLSTM, CNNLSTMSettings
from benchmarks_kth_mad.models.resnet3d import SmallResNet3D

KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)


def build_model(
    name: str,
    n_classes: int,
    channels: int = 3,
    weights: str | None = None,
    settings: Settings | None = None,
) -> VideoClassifier:
    """Build a classifier; its weights are drawn from torch's global generator.

    Args:
        name: ``"r3d_18"`` (torchvision), ``"cnn_lstm"`` (study B's), ``"cnn_lstm_attention"`` (with
            input-cell attention), or one that trains on a CPU: ``"r3d_small"``,
            ``"cnn_lstm_small"``, ``"cnn_lstm_small_attention"``.
        n_classes: number of logits.
        channels: of the clips, 1 or 3.
        weights: published weights to start from, by torchvision's name: ``"KINETICS400_V1"`` for
            ``r3d_18``, ``"IMAGENET1K_V1"`` for the frame encoder of ``cnn_lstm``. They are fetched
            over the network; layers that classify stay random.
        settings: of a CNN-LSTM, where they differ from the named model's: ``encoder`` and the other
            fields of `CNNLSTMSettings`.

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


def _classifier_3d(
    name: str, n_classes: int, channels: int, weights: str | None, settings: Settings
) -> VideoClassifier:
    if settings:
        raise BenchmarkError(f"model {name}: has no {', '.join(settings)}; cnn_lstm has")
    network = {"r3d_18": _r3d_18, "r3d_small": _r3d_small}[name](n_classes, channels, weights)
    if channels == 3:
        normalize = Normalize(KINETICS_MEAN, KINETICS_STD)
    else:
        normalize = Normalize((0.5,), (0.25,))
    # a third faster on a CPU, for training and for attribution alike
    return Classifier3D(normalize, network).to(memory_format=torch.channels_last_3d)


def _r3d_18(n_classes: int, channels: int, weights: str | None) -> nn.Module:
    if weights is None:
        network = r3d_18(num_classes=n_classes)
        if channels != 3:
            network.stem[0] = _with_channels(network.stem[0], channels)
        return network
    known = [entry.name for entry in R3D_18_Weights]
    if weights not in known:
        raise BenchmarkError(f"model r3d_18: expected weights {', '.join(known)}, got {weights!r}")
    if channels != 3:
        raise BenchmarkError(f"model r3d_18: weights {weights} need 3 channels, got {channels}")
    try:
        network = r3d_18(weights=R3D_18_Weights[weights])
    except OSError as error:
        raise BenchmarkError(
            f"model r3d_18: weights {weights} can not be fetched ({error}); go online, or train "
            f"without --weights"
        ) from error
    network.fc = nn.Linear(network.fc.in_features, n_classes)
    return network


def _r3d_small(n_classes: int, channels: int, weights: str | None) -> nn.Module:
    if weights is not None:
        raise BenchmarkError(f"model r3d_small: has no published weights, got {weights!r}")
    return SmallResNet3D(n_classes, channels)


def _with_channels(convolution: nn.Conv3d, channels: int) -> nn.Conv3d:
    fresh = nn.Conv3d(
        channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]
        convolution.stride,  # type: ignore[arg-type]
        convolution.padding,  # type: ignore[arg-type]
        bias=False,
    )
    nn.init.kaiming_normal_(fresh.weight, mode="fan_out", nonlinearity="relu")
    return fresh


def _cnn_lstm(
    default: CNNLSTMSettings,
    n_classes: int,
    channels: int,
    weights: str | None,
    settings: Settings,
) -> VideoClassifier:
    known = [one.name for one in fields(CNNLSTMSettings)]
    for name in settings:
        if name not in known:
            raise BenchmarkError(f"CNN-LSTM setting {name!r}: expected one of {', '.join(known)}")
    chosen = CNNLSTMSettings(**{**asdict(default), **settings})
    model = CNNLSTM(n_classes, channels, weights, chosen)
    return model.to(memory_format=torch.channels_last)


_SMALL = CNNLSTMSettings(
    encoder="small", features=64, hidden=64, layers=1, wide=32, attention_size=16, hops=4
)

MODELS: dict[str, Callable[[int, int, str | None, Settings], VideoClassifier]] = {
    "r3d_18": partial(_classifier_3d, "r3d_18"),
    "r3d_small": partial(_classifier_3d, "r3d_small"),
    "cnn_lstm": partial(_cnn_lstm, CNNLSTMSettings()),
    "cnn_lstm_attention": partial(_cnn_lstm, CNNLSTMSettings(cell="input_cell")),
    "cnn_lstm_small": partial(_cnn_lstm, _SMALL),
    "cnn_lstm_small_attention": partial(_cnn_lstm, replace(_SMALL, cell="input_cell")),
}
