"""PAN's forward pass, slow and plain, from its description: shares no code with the package.

Persistent Appearance Network: Zhang et al., arXiv 2008.03462, in eval mode. Clips, segments, blocks and
windows are taken one by one; depth, block type, variant and consensus are read off the keys.
"""

import torch
from torch import Tensor
from torch.nn import functional

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
VARIANTS = ("lite", "pa", "rgb")
CONSENSUS = ("vap", "avg")


def pan_scores(
    state: dict[str, Tensor], frames: Tensor, segments: int, frames_per_segment: int
) -> Tensor:
    """Class scores (N, classes) of normalised frames (N, C, segments * frames_per_segment, H, W).

    ``state`` has the authors' key names, without ``"module."``. A network without ``PA`` sees the
    first frame of each segment.
    """
    if frames.shape[2] != segments * frames_per_segment:
        raise ValueError(
            f"expected {segments} x {frames_per_segment} frames, got {frames.shape[2]}"
        )
    scores = []
    for clip in frames:
        seen = [
            _entrance(
                state,
                [clip[:, s * frames_per_segment + i] for i in range(frames_per_segment)],
            )
            for s in range(segments)
        ]
        scores.append(_consensus(state, _features(state, seen)))
    return torch.stack(scores)


def random_state(
    variant: str = "lite",
    depth: int = 18,
    n_classes: int = 5,
    segments: int = 8,
    consensus: str = "vap",
    frames_per_segment: int = 4,
    channels: int = 3,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Random weights under the authors' keys; variant "lite", "pa" or "rgb", consensus "vap" or "avg"."""
    if variant not in VARIANTS or consensus not in CONSENSUS:
        raise ValueError(f"unknown variant {variant!r} or consensus {consensus!r}")
    if consensus == "vap" and (segments < 2 or segments & (segments - 1)):
        raise ValueError(f"VAP halves its windows: expected 2, 4, 8, ... segments, got {segments}")
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float) -> Tensor:
        return scale * torch.randn(shape, generator=generator)

    def uniform(*shape: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    state: dict[str, Tensor] = {}

    def convolution(name: str, outputs: int, inputs: int, size: int) -> None:
        scale = (2 / (inputs * size * size)) ** 0.5
        state[f"{name}.weight"] = normal(outputs, inputs, size, size, scale=scale)

    def norm(name: str, width: int, gain: float = 1.0) -> None:
        state[f"{name}.weight"] = gain * uniform(width, low=0.5, high=1.5)
        state[f"{name}.bias"] = normal(width, scale=0.2)
        state[f"{name}.running_mean"] = normal(width, scale=0.2)
        state[f"{name}.running_var"] = uniform(width, low=0.5, high=1.5)
        state[f"{name}.num_batches_tracked"] = torch.tensor(0)

    maps = frames_per_segment - 1
    if variant != "rgb":
        state["PA.shallow_conv.weight"] = normal(8, channels, 7, 7, scale=0.1)
        state["PA.shallow_conv.bias"] = normal(8, scale=0.1)
    seen = {"lite": channels + maps, "pa": maps, "rgb": channels}[variant]
    convolution("base_model.conv1", 64, seen, 7)
    norm("base_model.bn1", 64)
    every = 2 if BLOCKS[depth][2] >= 23 else 1
    before = 64
    for layer, count in enumerate(BLOCKS[depth], start=1):
        width = 64 * 2 ** (layer - 1)
        after = width if depth == 18 else 4 * width
        for j in range(count):
            block = f"base_model.layer{layer}.{j}"
            first = f"{block}.conv1.net" if j % every == 0 else f"{block}.conv1"
            sizes = (
                [(width, before, 3), (width, width, 3)]
                if depth == 18
                else [(width, before, 1), (width, width, 3), (after, width, 1)]
            )
            for k, (outputs, inputs, size) in enumerate(sizes, start=1):
                convolution(first if k == 1 else f"{block}.conv{k}", outputs, inputs, size)
                norm(f"{block}.bn{k}", outputs, gain=0.4 if k == len(sizes) else 1.0)
            if j == 0 and (layer > 1 or depth != 18):
                convolution(f"{block}.downsample.0", after, before, 1)
                norm(f"{block}.downsample.1", after, gain=0.7)
            before = after
    head = "new_fc"
    if consensus == "vap":
        # as many as there are windows at timescales 1, 2, 4, ... below the number of segments
        windows = segments - 1
        state["base_model.fc.TES.0.weight"] = normal(4 * windows, windows, scale=0.5)
        state["base_model.fc.TES.2.weight"] = normal(windows, 4 * windows, scale=0.5)
        head = "base_model.fc.pred"
    state[f"{head}.weight"] = normal(n_classes, before, scale=before**-0.5)
    state[f"{head}.bias"] = normal(n_classes, scale=0.1)
    return state


def _entrance(state: dict[str, Tensor], frames: list[Tensor]) -> Tensor:
    """What the residual network sees of one segment: (channels, H, W)."""
    if "PA.shallow_conv.weight" not in state:
        return frames[0]
    maps = []
    features = [
        functional.conv2d(
            frame[None],
            state["PA.shallow_conv.weight"].to(frame),
            state["PA.shallow_conv.bias"].to(frame),
            stride=1,
            padding=3,
        )[0]
        for frame in frames
    ]
    for i in range(len(frames) - 1):
        total = torch.zeros_like(features[0][0])
        for k in range(len(features[0])):
            total = total + (features[i][k] - features[i + 1][k] + 1e-6) ** 2
        maps.append(total.sqrt())
    appearance = torch.stack(maps)
    stem = state["base_model.conv1.weight"].shape[1]
    return appearance if stem == len(maps) else torch.cat([frames[0], appearance])


def _features(state: dict[str, Tensor], seen: list[Tensor]) -> list[Tensor]:
    """The features (D,) of the segments of one clip; blocks see neighbours by the shift only."""
    maps = []
    for segment in seen:
        x = _conv(state, "base_model.conv1", segment[None], stride=2, padding=3)
        x = _norm(state, "base_model.bn1", x).clamp_min(0)
        maps.append(functional.max_pool2d(x, 3, stride=2, padding=1))
    for layer in (1, 2, 3, 4):
        j = 0
        while f"base_model.layer{layer}.{j}.bn1.weight" in state:
            stride = 2 if layer > 1 and j == 0 else 1
            maps = _block(state, f"base_model.layer{layer}.{j}", maps, stride)
            j += 1
    return [x[0].flatten(1).mean(1) for x in maps]


def _block(state: dict[str, Tensor], name: str, maps: list[Tensor], stride: int) -> list[Tensor]:
    """One residual block of all segments."""
    shifts = f"{name}.conv1.net.weight" in state
    branch = _shifted(maps) if shifts else maps
    first = f"{name}.conv1.net" if shifts else f"{name}.conv1"
    out = []
    for x, y in zip(maps, branch, strict=True):
        if f"{name}.conv3.weight" in state:
            y = _norm(state, f"{name}.bn1", _conv(state, first, y)).clamp_min(0)
            y = _conv(state, f"{name}.conv2", y, stride=stride, padding=1)
            y = _norm(state, f"{name}.bn2", y).clamp_min(0)
            y = _norm(state, f"{name}.bn3", _conv(state, f"{name}.conv3", y))
        else:
            y = _conv(state, first, y, stride=stride, padding=1)
            y = _norm(state, f"{name}.bn1", y).clamp_min(0)
            y = _norm(state, f"{name}.bn2", _conv(state, f"{name}.conv2", y, padding=1))
        if f"{name}.downsample.0.weight" in state:
            x = _conv(state, f"{name}.downsample.0", x, stride=stride)
            x = _norm(state, f"{name}.downsample.1", x)
        out.append((x + y).clamp_min(0))
    return out


def _shifted(maps: list[Tensor]) -> list[Tensor]:
    """An eighth of the channels from the next segment, an eighth from the previous one."""
    fold = maps[0].shape[1] // 8
    out = []
    for s in range(len(maps)):
        x = maps[s].clone()
        for k in range(fold):
            x[:, k] = maps[s + 1][:, k] if s + 1 < len(maps) else 0
        for k in range(fold, 2 * fold):
            x[:, k] = maps[s - 1][:, k] if s > 0 else 0
        out.append(x)
    return out


def _consensus(state: dict[str, Tensor], features: list[Tensor]) -> Tensor:
    """Scores (classes,) of one clip."""
    if "new_fc.weight" in state:
        scores = [_linear(state, "new_fc", x) for x in features]
        return sum(scores[1:], scores[0]) / len(scores)
    segments, wanted = len(features), state["base_model.fc.TES.0.weight"].shape[1]
    pooled: list[Tensor] = []
    timescale = 1
    while len(pooled) < wanted:
        # a window of segments / timescale entries, that many steps apart, started at every place
        # where it fits
        size = segments // timescale
        start = 0
        while start + (size - 1) * timescale < segments:
            largest = features[start]
            for k in range(1, size):
                largest = torch.maximum(largest, features[start + k * timescale])
            pooled.append(largest)
            start += 1
        timescale *= 2
    if len(pooled) != wanted:
        raise ValueError(f"{segments} segments give {len(pooled)} windows, TES takes {wanted}")
    means = torch.stack([x.mean() for x in pooled])
    hidden = (state["base_model.fc.TES.0.weight"].to(means) @ means).clamp_min(0)
    weights = torch.softmax(state["base_model.fc.TES.2.weight"].to(means) @ hidden, dim=0)
    together = torch.zeros_like(pooled[0])
    for weight, x in zip(weights, pooled, strict=True):
        together = together + weight * x
    return _linear(state, "base_model.fc.pred", together)


def _conv(
    state: dict[str, Tensor], name: str, x: Tensor, stride: int = 1, padding: int = 0
) -> Tensor:
    return functional.conv2d(x, state[f"{name}.weight"].to(x), stride=stride, padding=padding)


def _norm(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    weight, bias, mean, var = (
        state[f"{name}.{part}"].to(x)[:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias


def _linear(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return state[f"{name}.weight"].to(x) @ x + state[f"{name}.bias"].to(x)
