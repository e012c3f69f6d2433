"""Checkpoints of study A, read by key: those of PAN's authors' code, and 3-D ResNets.

PAN's weights tell the variant, the encoder, the consensus, and with VAP the number of segments.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.build import build_model
from benchmarks_kth_mad.models.checkpoints import Checkpoint, check_state, shapes_of
from benchmarks_kth_mad.models.classifier import Settings, VideoClassifier
from benchmarks_kth_mad.models.foreign_states import Shapes, State, read_state, resnet_name
from benchmarks_kth_mad.models.pan import PANSettings, Variant

PAN_CLIP = ClipShape(frames=32, height=224, width=224, channels=3, segments=8)
C3D_CLIP = ClipShape(frames=16, height=224, width=224, channels=3)
_PAN_CURE = "is it a checkpoint of PAN's own code?"
_C3D_CURE = "is it a checkpoint of torchvision's r3d_18?"
_STEM = "base_model.conv1.weight"
_TES = "base_model.fc.TES.0.weight"
_PA = "PA.shallow_conv.weight"


def load_pan_checkpoint(
    path: str | Path,
    classes: Sequence[str],
    clip: ClipShape = PAN_CLIP,
    segments: int = 8,
) -> Checkpoint:
    """Read a checkpoint of one stream: PAN Lite, or the RGB or the PA network of PAN Full.

    Args:
        path: a file with ``{"state_dict": {"module." + name: weights}}``.
        classes: names of the logits, in the order in which the network was trained.
        clip: the clips to show it. Its frames are those of all segments together; the default is
            study A's, 8 segments of 4 frames.
        segments: of a clip, where the weights do not tell: without VAP.

    Raises:
        BenchmarkError: no such file, not one of PAN's, another number of classes, clips that can
            not be cut into its segments, or weights that do not fit, with the first of them.
    """
    path = Path(path)
    state = read_state(path, _PAN_CURE)
    settings = _settings(path, shapes_of(state), clip, segments)
    last = "base_model.fc.pred" if settings.consensus == "vap" else "new_fc"
    _check_classes(path, state, last, classes)
    model = _build(f"pan_{settings.variant}", classes, clip, asdict(settings))
    check_state(path, shapes_of(model.state_dict()), shapes_of(state), _PAN_CURE)
    model.load_state_dict(state)
    return Checkpoint(model, f"pan_{settings.variant}", tuple(classes), clip)


def load_full_pan_checkpoint(
    rgb_path: str | Path,
    pa_path: str | Path,
    classes: Sequence[str],
    clip: ClipShape = PAN_CLIP,
    segments: int = 8,
) -> Checkpoint:
    """Read PAN Full, whose two streams were trained apart and lie in two files.

    Args:
        rgb_path: of the stream of pictures.
        pa_path: of the stream of motion.
        classes: of both; see `load_pan_checkpoint`.
        clip: that both streams see; see `load_pan_checkpoint`.
        segments: see `load_pan_checkpoint`.

    Raises:
        BenchmarkError: what `load_pan_checkpoint` refuses, a file of another variant, or two
            streams that differ in more than that.
    """
    state: State = {}
    settings: dict[str, Settings] = {}
    for variant, path in (("rgb", rgb_path), ("pa", pa_path)):
        stream = load_pan_checkpoint(path, classes, clip, segments).model
        if stream.settings["variant"] != variant:
            raise BenchmarkError(
                f"{path}: expected the stream {variant}, got {stream.settings['variant']}"
            )
        settings[variant] = {**stream.settings, "variant": "full"}
        state |= {f"{variant}.{key}": value for key, value in stream.state_dict().items()}
    for name, value in settings["rgb"].items():
        if settings["pa"][name] != value:
            raise BenchmarkError(
                f"{pa_path}: expected {name} {value} as in {rgb_path}, got {settings['pa'][name]}"
            )
    model = _build("pan_full", classes, clip, settings["pa"])
    model.load_state_dict(state)
    return Checkpoint(model, "pan_full", tuple(classes), clip)


def load_c3d_checkpoint(
    path: str | Path, classes: Sequence[str], clip: ClipShape = C3D_CLIP
) -> Checkpoint:
    """Read a checkpoint of study A's 3-D ResNet-18, which was trained with ImageNet's normalisation.

    Args:
        path: a file with the weights, alone or under ``"state_dict"`` or ``"model"``.
        classes: names of the logits, in the order in which the network was trained.
        clip: the clips to show it; the default is study A's.

    Raises:
        BenchmarkError: no such file, another number of classes, or weights that do not fit, with the
            first of them.
    """
    path = Path(path)
    state = read_state(path, _C3D_CURE)
    _check_classes(path, state, "fc", classes)
    model = _build("r3d_18", classes, clip, {"normalization": "imagenet"})
    state = {f"network.{key}": value for key, value in state.items()}
    check_state(path, shapes_of(model.state_dict()), shapes_of(state), _C3D_CURE)
    model.load_state_dict(state)
    return Checkpoint(model, "r3d_18", tuple(classes), clip)


def _build(
    name: str, classes: Sequence[str], clip: ClipShape, settings: Settings
) -> VideoClassifier:
    """The model, in evaluation mode; no random number is drawn for good."""
    with torch.random.fork_rng(devices=[]):
        return build_model(name, len(classes), clip.channels, settings=settings).eval()


def _check_classes(path: Path, state: State, last: str, classes: Sequence[str]) -> None:
    bias = state.get(f"{last}.bias")
    if bias is not None and len(bias) != len(classes):
        raise BenchmarkError(
            f"{path}: expected {len(classes)} classes ({', '.join(classes)}), got {last} of "
            f"{len(bias)}; name them all"
        )


def _settings(path: Path, shapes: Shapes, clip: ClipShape, segments: int) -> PANSettings:
    """The parts that the weights tell; that they agree is checked later."""
    vap = _TES in shapes
    if vap:
        segments = _inputs(path, shapes, _TES, axes=2) + 1  # 1 + 2 + 4 candidates of 8 segments
    if segments < 1 or clip.frames % segments:
        raise BenchmarkError(
            f"{path}: expected clips whose frames make {segments} segments, got {clip.frames}"
        )
    encoder = resnet_name(path, shapes, "base_model.", "base_model.", _PAN_CURE)
    variant = _variant(path, shapes, clip, segments)
    try:
        return PANSettings(
            variant=variant,
            encoder=encoder,
            consensus="vap" if vap else "average",
            segments=segments,
            frames_per_segment=clip.frames // segments,
        )
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from error


def _variant(path: Path, shapes: Shapes, clip: ClipShape, segments: int) -> Variant:
    """The network whose pictures have as many channels as the file's."""
    channels: dict[int, Variant] = {clip.channels: "rgb"}
    if _PA in shapes:
        maps = clip.frames // segments - 1
        if maps < 1:
            raise BenchmarkError(
                f"{path}: expected clips of more than one frame per segment, got {clip.frames} "
                f"frames for {segments} segments"
            )
        channels = {maps: "pa", maps + clip.channels: "lite"}
    found = _inputs(path, shapes, _STEM, axes=4)
    if found not in channels:
        expected = " or ".join(f"{count} ({name})" for count, name in channels.items())
        raise BenchmarkError(
            f"{path}: expected {_STEM} to take {expected} channels, with {segments} segments of "
            f"{clip.frames // segments} frames, got {found}; choose the frames of a clip to fit"
        )
    return channels[found]


def _inputs(path: Path, shapes: Shapes, key: str, axes: int) -> int:
    """How many inputs a layer takes."""
    shape = shapes.get(key)
    if shape is None or len(shape) != axes:
        raise BenchmarkError(
            f"{path}: expected {key} of {axes} axes, got {shape or 'absent'}; {_PAN_CURE}"
        )
    return shape[1]
