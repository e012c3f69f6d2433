"""What the command does, from the video to the pictures."""

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from captum_video.app.errors import AppError, what_was_raised
from captum_video.app.factories import from_factory
from captum_video.app.geometry import Clip, clip_of
from captum_video.app.layers import table_of
from captum_video.app.maps import METHODS, Question, map_of
from captum_video.app.network import Network
from captum_video.app.options import versions
from captum_video.app.outputs import Result, write_filmstrip, write_map, write_videos
from captum_video.app.targets import name_of, ranking, target_of
from captum_video.app.zoo import from_torchvision

_EXAMPLE = {"model": "mobilenet_v2", "target": "cab", "start": 1.5, "frames": 16, "rate": 8.0}


def explain(options: argparse.Namespace) -> None:
    """Run what the options say: read, look, explain, write.

    Raises:
        AppError: an option, a file or the network is at fault.
        ImportError: an extra is not installed.
        OSError: a file can not be read or written.
    """
    if options.example:
        options = _example(options)
    _check(options)
    device = _device(options.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = _network(options)
    network.module.to(device)
    _say(f"network   {network.description}")
    clip = clip_of(Path(options.video), options, network.expected)
    where = "" if device.type == "cpu" else f", on {device}"
    _say(f"clip      {_told(clip, Path(options.video).name)}{where}")
    pixels = clip.pixels.to(device)
    scores = _scores(network, pixels)
    if options.list_layers:
        _say("\n".join(table_of(network, pixels)))
        return
    target = target_of(options.target, scores, network.categories)
    _say("\n".join(ranking(scores, target, network.categories)))
    _write(options, _question(options, network, pixels, target), clip, scores)


def _question(
    options: argparse.Namespace, network: Network, pixels: Tensor, target: int
) -> Question:
    return Question(
        network,
        pixels,
        target,
        layer=options.layer,
        baseline=options.baseline,
        n_masks=options.masks,
        window=options.window,
        seed=options.seed,
        show_progress=sys.stderr.isatty() if options.progress is None else options.progress,
    )


def _write(options: argparse.Namespace, question: Question, clip: Clip, scores: Tensor) -> None:
    facts = _facts(options, question, scores)
    results = []
    for method in dict.fromkeys(options.method):
        result = _made(method, question)
        results.append(result)
        written = [
            write_map(options.out, result, clip, facts),
            *write_videos(options.out, result, clip, options.opacity, options.gif),
        ]
        _say("\n".join(f"wrote     {path}" for path in written))
    said = f"{facts['target_name']}, {facts['probability']:.1%}"
    title = f"{said}: {_told(clip, Path(options.video).name)}"
    path = write_filmstrip(options.out, results, clip, title, options.opacity)
    _say(f"open      {path}")


def _facts(options: argparse.Namespace, question: Question, scores: Tensor) -> dict[str, Any]:
    """What stands beside each map, to make it again."""
    return {
        "video": str(options.video),
        "network": question.network.description,
        "target": question.target,
        "target_name": name_of(question.target, question.network.categories),
        "score": scores[question.target].item(),
        "probability": scores.float().softmax(0)[question.target].item(),
        "options": {key: _plain(value) for key, value in sorted(vars(options).items())},
        "versions": dict(one.split(" ", 1) for one in versions()),
    }


def _made(name: str, question: Question) -> Result:
    method = METHODS[name]
    began = time.perf_counter()
    try:
        found = map_of(method, question)
    except (ValueError, TypeError, RuntimeError) as error:
        raise AppError(f"--method {name}: {what_was_raised(error)}") from error
    if not found.isfinite().all():
        raise AppError(
            f"--method {name}: its map is not finite; does the network give such scores?"
        )
    layer = question.layer.name if method.looks_at_layer else ""
    at = f" at layer {layer}" if layer else ""
    _say(f"{name:10}{method.title}{at}, {time.perf_counter() - began:.1f} s")
    painted_from = found.mean().item() if method.from_mean else 0.0
    if not (found > painted_from).any():
        _warn(f"{name}: nothing speaks for this class; its pictures show the plain clip")
    return Result(name, method.title, found, painted_from, layer)


def _example(options: argparse.Namespace) -> argparse.Namespace:
    """The options of the example, but for what was asked for."""
    from captum_video.examples import mobilenet_weights, street_video

    for name in ("video", "model", "weights"):
        if getattr(options, name) is not None:
            raise AppError(
                f"--example: brings its own video, --model and --weights; leave out {name}"
            )
    filled = {name: one for name, one in _EXAMPLE.items() if getattr(options, name) is None}
    filled |= {"video": str(street_video()), "weights": str(mobilenet_weights())}
    return argparse.Namespace(**vars(options) | filled | {"whole_frame": options.size is None})


def _check(options: argparse.Namespace) -> None:
    """Refuse, before anything is loaded, what could only fail late."""
    if options.video is None:
        raise AppError("VIDEO: name a video file, or try --example (see --help)")
    if options.model is None:
        raise AppError("--model: name a network, r3d_18 or mobilenet_v2 say (see --help)")
    if not Path(options.video).is_file():
        raise AppError(f"{options.video}: no such video")
    if options.gif and options.rate is not None and options.rate > 50:
        raise AppError(f"--gif: shows at most 50 frames a second, got --rate {options.rate:g}")
    try:
        if not options.list_layers:
            options.out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise AppError(f"--out {options.out}: is a file; name a folder") from error


def _network(options: argparse.Namespace) -> Network:
    if ":" in options.model:
        if options.weights is not None:
            raise AppError(f"--weights: for torchvision's networks; {options.model} loads its own")
        return from_factory(options.model)
    network = from_torchvision(options.model, options.weights or "DEFAULT")
    if network.warning:
        _warn(network.warning)
    return network


def _device(name: str | None) -> torch.device:
    found = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(found)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise AppError(f"--device {found}: {what_was_raised(error)}") from error
    return device


def _scores(network: Network, clip: Tensor) -> Tensor:
    """The network's scores of the clip, (K,)."""
    try:
        with torch.inference_mode():
            scores = network.module(clip)
    except Exception as error:  # the network may be the user's
        raise AppError(
            f"--model: the network can not read a clip of {tuple(clip.shape)} (N, C, T, H, W): "
            f"{what_was_raised(error)}; see --frames, --size and --whole-frame"
        ) from error
    shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != 1:
        raise AppError(f"--model: expected scores (N, classes), (1, K) of one clip, got {shape}")
    if not scores.isfinite().all():
        raise AppError("--model: the network's scores of this clip are not finite")
    return scores[0].cpu()


def _told(clip: Clip, video: str) -> str:
    _, _, n_frames, height, width = clip.pixels.shape
    return (
        f"{video}, {clip.times[0]:.2f} to {clip.times[-1]:.2f} s: {n_frames} frames of {height} x "
        f"{width} pixels, {clip.frame_rate:g} a second"
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _say(text: str) -> None:
    print(text, flush=True)


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=2)
