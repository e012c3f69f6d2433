"""Checkpoints of study B, the CNN-LSTM that tells KTH's walking from running, read by key.

Its code wraps the parts differently from version to version; the weights say which it was:
``resnet.*``, then ``lstm.*`` or ``lstm.lstm.*``, then ``fc1.*`` and ``fc2.*``, alone or below
``fc_layers``, and with attention ``linear_first.*`` and ``linear_second.*``, alone or below ``lstm``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path

import torch

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.build import build_model
from benchmarks_kth_mad.models.checkpoints import Checkpoint, check_state, shapes_of
from benchmarks_kth_mad.models.classifier import Normalize
from benchmarks_kth_mad.models.cnn_lstm import CNNLSTMSettings
from benchmarks_kth_mad.models.foreign_states import Shapes, State, read_state, resnet_name

STUDY_CLIP = ClipShape(frames=30, height=150, width=150, channels=3)
STUDY_MEAN = (114.7748, 107.7354, 99.475)
STUDY_STD = (1.0, 1.0, 1.0)
_CURE = "is it a checkpoint of the study's CNN-LSTM?"
_ENCODER = "encoder.network."
_ATTENTION = re.compile(r"linear_(first|second)\.")


def load_study_checkpoint(
    path: str | Path,
    classes: Sequence[str],
    clip: ClipShape = STUDY_CLIP,
    mean: Sequence[float] = STUDY_MEAN,
    std: Sequence[float] = STUDY_STD,
    attention: bool = True,
) -> Checkpoint:
    """Read a checkpoint of study B; sizes, encoder and cell are found in its weights.

    Args:
        path: a file with ``{"state_dict": ...}``.
        classes: names of the logits, in the order in which the network was trained.
        clip: the clips to show it. The file does not tell; these are those of the study's command.
        mean: of each channel, subtracted from clips in [0, 1].
        std: of each channel, by which they are then divided. The file tells neither. The study's
            code, run as its manual says, subtracts means made for pictures in [0, 255] from pictures
            in [0, 1] and divides by nothing; a network trained so needs just that, and the defaults
            do it.
        attention: use attention weights where the file has some. The study's code never lets the
            attention see more than the present frame, so that it does nothing and is not trained:
            False leaves it out, and computes what that code computed.

    Raises:
        BenchmarkError: no such file, not one of the study's, or weights that do not fit each other,
            with the first such weight, the shape expected, and the shape found.
    """
    path = Path(path)
    state = read_state(path, _CURE)
    if not attention:
        state = {key: value for key, value in state.items() if not _ATTENTION.search(key)}
    keys = _keys_by_place(path, state)
    shapes = {place: tuple(state[key].shape) for place, key in keys.items()}
    parts = _parts(path, shapes, keys)
    name = "cnn_lstm" if parts.cell == "lstm" else "cnn_lstm_attention"
    with torch.device("meta"):  # weights that would be drawn for nothing
        model = build_model(name, len(classes), clip.channels, settings=asdict(parts))
    normalize = _normalize(mean, std, clip.channels)
    expected = shapes_of(model.state_dict())
    check_state(
        path,
        {keys.get(p, _plain(p)): shape for p, shape in expected.items() if p not in normalize},
        {keys[place]: shape for place, shape in shapes.items()},
        _CURE,
    )
    weights = {place: state[key] for place, key in keys.items()} | normalize
    model.load_state_dict(weights, assign=True)
    model = model.float().to(memory_format=torch.channels_last)
    return Checkpoint(model.eval(), name, tuple(classes), clip)


def _keys_by_place(path: Path, state: State) -> dict[str, str]:
    """Where the model of this package has the weights: its key, then the file's."""
    attention = any(_ATTENTION.search(key) for key in state)
    rules = (
        (r"resnet\.", _ENCODER),
        (r"(lstm\.)?lstm\.(?=(weight|bias)_)", _recurrent(attention)),
        (r"(lstm\.)?(?=linear_(first|second)\.)", "head.lstm."),
        (r"(fc_layers\.)?(?=fc[12]\.)", "head."),
    )
    keys: dict[str, str] = {}
    for key in state:
        place = next((to + key[m.end() :] for rule, to in rules if (m := re.match(rule, key))), key)
        if place in keys:
            raise BenchmarkError(f"{path}: has both {keys[place]} and {key}; {_CURE}")
        keys[place] = key
    return keys


def _recurrent(attention: bool) -> str:
    return "head.lstm.lstm." if attention else "head.lstm."


def _plain(place: str) -> str:
    """The study's plainest name for a weight that the file lacks."""
    if place.startswith(_ENCODER):
        return f"resnet.{place.removeprefix(_ENCODER)}"
    if _ATTENTION.search(place) or ".fc" in place:
        return place.rpartition(".")[0].rpartition(".")[2] + "." + place.rpartition(".")[2]
    return f"lstm.{place.rpartition('.')[2]}"


def _parts(path: Path, shapes: Shapes, keys: Mapping[str, str]) -> CNNLSTMSettings:
    """Encoder, cell and sizes, as the weights tell them; that they agree is checked later."""

    def size(place: str, axis: int = 0) -> int:
        shape = shapes.get(place)
        if shape is None or len(shape) != 2:
            raise BenchmarkError(
                f"{path}: does not fit its model: expected {keys.get(place, _plain(place))} of two "
                f"axes, got {shape or 'absent'}; {_CURE}"
            )
        return shape[axis]

    attention = any(_ATTENTION.search(place) for place in shapes)
    recurrent = f"{_recurrent(attention)}weight_hh_l"
    parts = CNNLSTMSettings(
        encoder=resnet_name(path, shapes, _ENCODER, "resnet.", _CURE),
        features=size(f"{_ENCODER}fc.0.weight"),
        hidden=size(f"{recurrent}0", axis=1),
        layers=sum(place.startswith(recurrent) for place in shapes),
        wide=size("head.fc1.weight"),
    )
    if not attention:
        return parts
    return replace(
        parts,
        cell="input_cell",
        attention_size=size("head.lstm.linear_first.weight"),
        hops=size("head.lstm.linear_second.weight"),
    )


def _normalize(mean: Sequence[float], std: Sequence[float], channels: int) -> State:
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != channels or not all(isfinite(value) for value in values):
            raise BenchmarkError(f"{name}: expected {channels} finite numbers, got {list(values)}")
    if min(std) <= 0:
        raise BenchmarkError(f"std: expected numbers above 0, got {list(std)}")
    normalize = Normalize(mean, std, axes=2, persistent=True)
    return {f"encoder.normalize.{key}": value for key, value in normalize.state_dict().items()}
