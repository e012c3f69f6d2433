"""The one place that knows Captum's private names, and how its calling conventions are kept."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from captum._utils.common import _run_forward
from captum._utils.progress import NullProgress
from captum._utils.progress import progress as _progress
from captum.log import log_usage
from torch import Tensor

from captum_video.modes import evaluation_mode, recurrent_gradients

__all__ = [
    "Target",
    "arguments_of",
    "check_rows",
    "forward",
    "log_usage",
    "progress_bar",
    "select",
    "take_arguments",
    "take_target",
]

Target = Any
"""Captum's target: None, int, tuple of ints, tensor, or a list of ints or tuples, one per clip."""


def progress_bar(show: bool, total: int, description: str) -> Any:
    """Captum's progress bar over ``total`` perturbed clips, or one that stays silent."""
    return _progress(desc=description, total=total) if show else NullProgress()


def arguments_of(additional_forward_args: Any, n_clips: int) -> tuple | None:
    """Captum's ``additional_forward_args`` as a tuple; tensors have one entry per clip.

    Raises:
        ValueError: the first axis of a tensor is not the number of clips.
    """
    if additional_forward_args is None:
        return None
    arguments = additional_forward_args
    if not isinstance(arguments, tuple):
        arguments = (arguments,)
    for i, argument in enumerate(arguments):
        if isinstance(argument, Tensor) and argument.ndim > 0 and len(argument) != n_clips:
            raise ValueError(
                f"additional_forward_args[{i}]: expected one entry per clip ({n_clips}), "
                f"got shape {tuple(argument.shape)}"
            )
    return arguments


def take_arguments(arguments: tuple | None, clips: Sequence[int]) -> tuple | None:
    """The additional forward arguments of these clips, repeated where a clip is."""
    if arguments is None:
        return None
    return tuple(
        argument[torch.as_tensor(clips, device=argument.device)]
        if isinstance(argument, Tensor) and argument.ndim > 0
        else argument
        for argument in arguments
    )


def take_target(target: Target, clips: Sequence[int], n_clips: int) -> Target:
    """The target of these clips, repeated where a clip is.

    Raises:
        ValueError: a list or tensor that does not have one entry per clip.
        TypeError: not a kind of target that Captum knows.
    """
    if isinstance(target, Tensor) and target.numel() == 1:
        target = target.item()
    if isinstance(target, bool) or not isinstance(target, None | int | tuple | list | Tensor):
        raise TypeError(f"target: expected int, tuple, list or tensor, got {target!r}")
    if not isinstance(target, list | Tensor):
        return target
    if isinstance(target, Tensor) and (target.ndim != 1 or target.is_floating_point()):
        raise ValueError(
            f"target: expected a one-dimensional tensor of class indices, got {target.dtype} of "
            f"shape {tuple(target.shape)}"
        )
    if len(target) != n_clips:
        raise ValueError(f"target: expected one entry per clip ({n_clips}), got {len(target)}")
    entries = target.tolist() if isinstance(target, Tensor) else target
    return [entries[clip] for clip in clips]


def forward(
    forward_func: Callable,
    inputs: tuple[Tensor, ...],
    arguments: tuple | None,
    gradients: bool = False,
) -> Tensor:
    """Run the model in eval mode and hand back its raw output, one row per clip.

    With ``gradients``, recurrent layers keep what a backward pass needs.

    Raises:
        TypeError: the output is no tensor.
    """
    differentiable = recurrent_gradients(forward_func) if gradients else nullcontext()
    with evaluation_mode(forward_func), differentiable:
        outputs = _run_forward(forward_func, inputs, None, arguments)
    if not isinstance(outputs, Tensor):
        raise TypeError(f"forward_func: expected a tensor back, got {type(outputs).__name__}")
    return outputs


def check_rows(outputs: Tensor, n_rows: int) -> None:
    """Raise ValueError unless the model gave one row per clip."""
    if outputs.ndim == 0 or len(outputs) != n_rows:
        raise ValueError(
            f"forward_func: expected one row for each of {n_rows} clips, got shape "
            f"{tuple(outputs.shape)}"
        )


def select(outputs: Tensor, target: Target, n_rows: int) -> Tensor:
    """The score of each row: (rows,).

    Captum's rules for ``target`` hold
    (https://captum.ai/api/feature_ablation.html), with errors that name what is wrong.

    Raises:
        ValueError: not one row per clip, a target out of range, or several outputs and no target.
    """
    check_rows(outputs, n_rows)
    if target is None:
        scores = outputs
    else:
        rows = target if isinstance(target, list) else [target] * n_rows
        rows = [row if isinstance(row, tuple) else (row,) for row in rows]
        for row in rows:
            _check_in_range(row, outputs)
        columns = torch.as_tensor(rows, device=outputs.device).T
        place = (torch.arange(n_rows, device=outputs.device), *columns)
        scores = outputs[place]
    if scores.numel() != n_rows:
        raise ValueError(
            f"target {target!r} leaves scores of shape {tuple(scores.shape)}, expected one per "
            f"clip ({n_rows},): the model returns shape {tuple(outputs.shape)}"
        )
    return scores.reshape(n_rows)


def _check_in_range(row: tuple[int, ...], outputs: Tensor) -> None:
    sizes = tuple(outputs.shape[1:])
    if len(row) > len(sizes):
        raise ValueError(
            f"target {row}: the model returns shape {tuple(outputs.shape)}, which has only "
            f"{len(sizes)} axes to choose from"
        )
    for index, size in zip(row, sizes, strict=False):
        if not 0 <= index < size:
            raise ValueError(f"target {index}: expected 0 <= target < {size}")
