"""What a layer gives in one forward pass: recorded by a hook that does not outlive it, as clips."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from captum_video.clips import Layout, map_dtype
from captum_video.modes import eager_mode


@contextmanager
def recording(layer: nn.Module, at_input: bool, *, graph: bool = False) -> Iterator[list[Tensor]]:
    """Record what leaves a layer, or what enters it; yields it, call by call.

    Nothing below the layer keeps an autograd graph. With ``graph``, what is recorded are leaves, and
    the forward pass is differentiable from there upward.

    Raises:
        TypeError: what passes through is no tensor.
    """
    captured: list[Tensor] = []

    def keep(tensor: Any) -> Tensor | None:
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"layer {type(layer).__name__}: expected a tensor, got {type(tensor).__name__}"
            )
        if not graph:
            captured.append(tensor.detach().clone())  # the network may go on in place
            return None
        leaf = tensor.detach().requires_grad_()
        captured.append(leaf)
        torch.set_grad_enabled(True)  # the context below puts back what was found
        return leaf.clone()  # so that the network may go on in place

    def before(module: nn.Module, args: tuple) -> tuple | None:
        if not args:
            raise TypeError(f"layer {type(layer).__name__}: expected a positional input, got none")
        replaced = keep(args[0])
        return None if replaced is None else (replaced, *args[1:])

    def after(module: nn.Module, args: tuple, output: Any) -> Tensor | None:
        return keep(output)

    hook = (
        layer.register_forward_pre_hook(before) if at_input else layer.register_forward_hook(after)
    )
    try:
        with torch.inference_mode(False), torch.no_grad(), eager_mode():
            yield captured
    finally:
        hook.remove()


def as_clips(calls: list[Tensor], layout: Layout, n_clips: int) -> Tensor:
    """What a layer gave in one forward pass, as (N, C, T', H', W').

    Raises:
        ValueError: it did not run, or gave what does not fit the layout.
    """
    if not calls:
        raise ValueError("layer: it did not run in the forward pass; see layer_candidates")
    calls = [call.detach().to(map_dtype(call.dtype)) for call in calls]
    if len(calls) > 1 and layout.has("t"):
        raise ValueError(
            f"activation_layout {layout.pattern!r}: the layer ran {len(calls)} times; for one call "
            f"per frame declare a layout without t, such as 'n c h w'"
        )
    clips = [layout.to_clip(call, "activation", n=n_clips) for call in calls]
    return clips[0] if len(clips) == 1 else torch.cat(clips, dim=2)
