"""torchvision's classification networks, of videos and of pictures, with weights."""

import difflib
import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from captum_video.app.errors import AppError, what_was_raised
from captum_video.app.network import Expected, KnownLayer, Network
from captum_video.clips import Layout
from captum_video.nn import FrameWise


class _Loaded(NamedTuple):
    network: nn.Module
    said: str
    preset_of: Any
    categories: tuple[str, ...]
    warning: str | None = None


def from_torchvision(name: str, weights: str) -> Network:
    """A network that takes clips in [0, 1]: it normalizes by itself as its weights ask for.

    Args:
        name: of a network of videos, or of pictures, which is run on every frame and whose scores
            are averaged.
        weights: the name of torchvision's weights, ``"DEFAULT"``, a file, or ``"none"``.

    Raises:
        AppError: no such network or weights; they can not be downloaded, read or loaded.
    """
    from kornia.enhance import Normalize

    of_videos = _is_of_videos(name)
    loaded = _loaded(name, weights)
    preset = loaded.preset_of.transforms()
    normalize = Normalize(torch.tensor(preset.mean), torch.tensor(preset.std))
    whole = nn.Sequential(normalize, loaded.network)
    how = "" if of_videos else "; run on every frame, scores averaged"
    return Network(
        (whole if of_videos else FrameWise(whole)).eval(),
        f"{name} of torchvision, {loaded.said}{how}",
        _expected(loaded.preset_of, preset),
        loaded.categories,
        _layer_of_tokens(name, loaded.network),
        loaded.warning,
    )


def _is_of_videos(name: str) -> bool:
    """Whether it reads videos, or else pictures.

    Raises:
        AppError: it does neither, or does not classify.
    """
    from torchvision import models

    videos = models.list_models(module=models.video)
    pictures = models.list_models(module=models)
    if name in videos or name in pictures:
        return name in videos
    cure = "expected a classification network of torchvision, or MODULE:FACTORY"
    near = difflib.get_close_matches(name, [*videos, *pictures], 3) or ["r3d_18", "mobilenet_v2"]
    why = "does not classify in floating point" if name in models.list_models() else "not known"
    raise AppError(f"--model {name}: {why}; {cure}; try {', '.join(near)}")


def _loaded(name: str, weights: str) -> _Loaded:
    from torchvision import models

    known = models.get_model_weights(name)
    default: Any = known["DEFAULT"]
    if weights in known.__members__:
        return _downloaded(name, known[weights])
    if weights == "none":
        network = _built(name, default, len(default.meta["categories"]))
        told = f"the weights of {name} are random numbers (--weights none): no map means anything"
        return _Loaded(network, "random weights", default, (), told)
    if not Path(weights).is_file():
        names = ", ".join(dict.fromkeys([one.name for one in known] + ["DEFAULT"]))
        raise AppError(
            f"--weights {weights}: no such file, nor weights of {name}; there are {names}, none"
        )
    return _from_file(name, Path(weights), list(known), default)


def _downloaded(name: str, weights: Any) -> _Loaded:
    from torchvision import models

    try:
        network = models.get_model(name, weights=weights)
    except (OSError, RuntimeError) as error:
        raise AppError(
            f"{weights.url} can not be downloaded ({what_was_raised(error)}); bring that file here "
            f"and give --weights FILE, or --weights none for random numbers"
        ) from error
    return _Loaded(network, weights.name, weights, tuple(weights.meta["categories"]))


def _from_file(name: str, path: Path, known: list[Any], default: Any) -> _Loaded:
    """Weights of a file, which is torchvision's where it is called so."""
    state = _state_of(path)
    same = [one for one in known if one.url.rpartition("/")[2] == path.name]
    preset_of = same[0] if same else default
    network = _built(name, preset_of, len(list(state.values())[-1]))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        told = " ".join(str(error).split())[:200]
        raise AppError(f"--weights {path}: not weights of {name} ({told} ...)") from error
    if same:
        return _Loaded(
            network, f"{same[0].name} from {path.name}", same[0], tuple(same[0].meta["categories"])
        )
    said = f"weights of {path.name}, frames prepared as for {default.name}"
    return _Loaded(network, said, default, ())


def _state_of(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises nearly anything
        raise AppError(
            f"--weights {path}: not a file of weights alone ({what_was_raised(error)}); write one "
            f"by torch.save(network.state_dict(), FILE)"
        ) from error
    tensors = (
        isinstance(state, dict) and state and all(isinstance(v, Tensor) for v in state.values())
    )
    if not tensors or not list(state.values())[-1].ndim:
        raise AppError(
            f"--weights {path}: expected a state dict (names to tensors); write one by "
            f"torch.save(network.state_dict(), FILE)"
        )
    return state


def _built(name: str, weights: Any, n_classes: int) -> nn.Module:
    """The network for weights that are to come from elsewhere."""
    from torchvision import models

    more: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):  # as torchvision trained them
        more = {"transform_input": True, "init_weights": False}
    elif name.startswith("vit_"):
        more = {"image_size": weights.meta["min_size"][0]}
    return models.get_model(name, weights=None, num_classes=n_classes, **more)


def _expected(weights: Any, preset: Any) -> Expected:
    """Size from the preset; length and rate from what torchvision writes of how it measured."""
    resize, crop = list(preset.resize_size), list(preset.crop_size)
    told = weights.meta["_docs"]
    rate = re.search(r"frame_rate=([\d.]*\d)", told)
    length = re.search(r"clip_len=(\d+)", told)
    return Expected(
        resize[0] if len(resize) == 1 else (resize[0], resize[1]),
        (crop[0], crop[-1]),
        int(length[1]) if length else Expected().n_frames,
        float(rate[1]) if rate else None,
    )


def _layer_of_tokens(name: str, network: Any) -> KnownLayer | None:
    """The last layer of a transformer whose tokens stand for places and still reach the score.

    Where the score is read off a class token, the last block's tokens do not reach it: what enters
    the block does.
    """
    if name.startswith("swin3d"):
        return KnownLayer("1.norm", Layout("n t h w c"))
    if name.startswith("mvit"):
        last = len(network.blocks) - 1
        layout = Layout("n (t h w) c", skip_tokens=1, t=8, h=7)  # of 16 frames of 224 x 224
        return KnownLayer(f"1.blocks.{last}.norm1", layout)
    if name.startswith("vit_"):
        last = len(network.encoder.layers) - 1
        side = network.image_size // network.patch_size
        layout = Layout("(n t) (h w) c", skip_tokens=1, h=side)
        return KnownLayer(f"encoder.1.encoder.layers.encoder_layer_{last}.ln_1", layout)
    return None
