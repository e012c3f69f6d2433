"""How a model runs while it is explained: in eval mode, differentiable even through cuDNN, uncompiled."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def evaluation_mode(forward_func: Callable) -> Iterator[None]:
    """Put every submodule into eval mode, and each back into the mode it was found in."""
    training = [module for module in _modules(forward_func) if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def recurrent_gradients(forward_func: Callable) -> Iterator[None]:
    """Let gradients pass through recurrent layers on a GPU while the model stays in eval mode.

    cuDNN keeps what the backward pass needs only where an RNN runs in training mode. Inside this
    scope every ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU`` runs so, its dropout between layers off, which
    is what eval mode computes; everything else stays as it is, and all of it is put back on leaving,
    also after an exception. Our own gradient methods do this by themselves; wrap others:

    Args:
        forward_func: the model; a function that is no module has nothing to switch.

    Example:
        >>> import torch
        >>> from captum.attr import Saliency
        >>> lstm = torch.nn.LSTM(3, 4, batch_first=True).eval()
        >>> score = lambda clip: lstm(clip)[0][:, -1]
        >>> with recurrent_gradients(lstm):
        ...     Saliency(score).attribute(torch.rand(2, 5, 3), target=1).shape
        torch.Size([2, 5, 3])
        >>> lstm.training
        False
    """
    layers = [module for module in _modules(forward_func) if isinstance(module, nn.RNNBase)]
    found = [(layer, layer.training, layer.dropout) for layer in layers]
    for layer, training, _ in found:
        if not training:
            layer.training, layer.dropout = True, 0.0
    try:
        yield
    finally:
        for layer, training, dropout in found:
            layer.training, layer.dropout = training, dropout


def full_precision(like: Tensor) -> torch.autocast:
    """Out of the caller's autocast, which is for the network and would round masks and sums."""
    return torch.autocast(like.device.type, enabled=False)


def uncompiled(forward_func: Callable) -> Callable:
    """The module that ``torch.compile`` was given; whatever else it is, the function itself."""
    inner = forward_func._modules.get("_orig_mod") if isinstance(forward_func, nn.Module) else None
    return forward_func if inner is None else inner


@contextmanager
def eager_mode() -> Iterator[None]:
    """Run what ``torch.compile`` made as it was written, because compiled code calls no hooks."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and importing it takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def _modules(forward_func: Callable) -> list[nn.Module]:
    return list(forward_func.modules()) if isinstance(forward_func, nn.Module) else []
