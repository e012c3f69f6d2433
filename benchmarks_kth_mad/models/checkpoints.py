"""Checkpoints: a model's weights with all that is needed to use them on a new video."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.declared import build
from benchmarks_kth_mad.errors import BenchmarkError, shown
from benchmarks_kth_mad.files import whole_file
from benchmarks_kth_mad.models.build import build_model
from benchmarks_kth_mad.models.classifier import VideoClassifier

FORMAT = "captum_video checkpoint 1"
SHOWN = 3  # weights that do not fit, in one line


@dataclass(frozen=True)
class Checkpoint:
    """A trained model, in evaluation mode and on the CPU when loaded, and what it takes and tells."""

    model: VideoClassifier
    name: str
    classes: tuple[str, ...]
    clip: ClipShape


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, complete or not at all."""
    content = {
        "format": FORMAT,
        "model": checkpoint.name,
        "settings": dict(checkpoint.model.settings),
        "classes": list(checkpoint.classes),
        "clip": asdict(checkpoint.clip),
        "state": {key: value.cpu() for key, value in checkpoint.model.state_dict().items()},
    }
    with whole_file(path) as partial:
        torch.save(content, partial)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint; nothing in the file is executed, and no random number is drawn for good.

    Raises:
        BenchmarkError: no such file, no checkpoint of this package, or weights that do not fit
            the model it names.
    """
    path = Path(path)
    content = read_file(path)
    if not _is_ours(content):
        raise BenchmarkError(
            f"{path}: not a checkpoint of this package ({FORMAT}); train one with the command train"
        )
    classes = tuple(content["classes"])
    try:
        clip = build(ClipShape, content["clip"], "clip")

        def model_of() -> VideoClassifier:
            return build_model(
                content["model"], len(classes), clip.channels, settings=content["settings"]
            )

        with torch.random.fork_rng(devices=[]):
            expected = _shapes_without_memory(model_of)
            check_state(path, expected, shapes_of(content["state"]), "train it again")
            model = model_of()
    except BenchmarkError as error:
        named = str(error).startswith(f"{path}: ")
        raise error if named else BenchmarkError(f"{path}: {error}") from error
    model.load_state_dict(content["state"])
    return Checkpoint(model.eval(), content["model"], classes, clip)


def _shapes_without_memory(model_of: Callable[[], VideoClassifier]) -> dict[str, tuple[int, ...]]:
    """The weights that a model would have; its settings may claim a size that no memory holds."""
    try:
        with torch.device("meta"):
            return shapes_of(model_of().state_dict())
    except (RuntimeError, TypeError, ValueError) as error:
        raise BenchmarkError(
            f"settings of which no model can be built ({shown(str(error))}); train it again"
        ) from error


def read_file(path: Path) -> Any:
    """What ``torch.save`` wrote; nothing in the file is executed.

    Raises:
        BenchmarkError: no such file, or none that holds weights.
    """
    if not path.is_file():
        raise BenchmarkError(f"{path}: no such checkpoint; train one, or check the path")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and runtime errors: whatever a foreign file gives
        raise BenchmarkError(
            f"{path}: not a checkpoint that can be read; train one with the command train"
        ) from error


def shapes_of(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every weight."""
    return {key: tuple(value.shape) for key, value in state.items()}


def check_state(
    path: Path,
    expected: Mapping[str, tuple[int, ...]],
    given: Mapping[str, tuple[int, ...]],
    cure: str,
) -> None:
    """Compare names and shapes, because torch's own complaint runs over many lines.

    Raises:
        BenchmarkError: the first weights that are missing, left over, or of another shape, and how
            many more there are.
    """
    wrong = [
        f"expected {key} {expected.get(key, 'absent')}, got {given.get(key, 'absent')}"
        for key in sorted(expected.keys() | given.keys())
        if expected.get(key) != given.get(key)
    ]
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise BenchmarkError(
            f"{path}: does not fit its model: {'; '.join(wrong[:SHOWN])}{more}; {cure}"
        )


def _is_ours(content: object) -> bool:
    expected = {"format", "model", "classes", "clip", "state"}
    return (
        isinstance(content, dict)
        and set(content) - {"settings"} == expected
        and isinstance(content.setdefault("settings", {}), dict)
        and content["format"] == FORMAT
        and isinstance(content["clip"], dict)
        and set(content["clip"]) <= set(asdict(ClipShape()))
        and isinstance(content["classes"], list)
        and all(isinstance(name, str) for name in (content["model"], *content["classes"]))
        and all(isinstance(name, str) for name in content["settings"])
        and isinstance(content["state"], dict)
        and all(_is_whole(weight) for weight in content["state"].values())
    )


def _is_whole(weight: object) -> bool:
    """A tensor with a number of its own in every place: one number can be seen as any shape."""
    return (
        isinstance(weight, Tensor)
        and weight.numel() * weight.element_size() <= weight.untyped_storage().nbytes()
    )
