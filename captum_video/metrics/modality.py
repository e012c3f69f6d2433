"""Modality score: how much of the decision each input carries, visible against infrared."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from captum_video._captum import Target
from captum_video.baselines import Baseline, resolve
from captum_video.clips import Layout, clips_of, extent_of
from captum_video.masks import Switched
from captum_video.metrics._activations import Activation, activation_of
from captum_video.perturb import PerturbationsPerEval, perturbed_scores

_MOST_INPUTS = 10


@dataclass(frozen=True)
class ModalityScore:
    """What each of k inputs is worth to the score of N clips.

    All are in units of the score. There is no better or worse here: it describes a network, it does
    not judge a map.

    Attributes:
        coalitions: (N, 2^k), the score of every coalition of inputs: bit i of the column number (the
            lowest bit being input 0) says whether input i is shown. Column 0 hides all, the last
            shows all.

    Example:
        >>> import torch
        >>> found = ModalityScore(torch.tensor([[0.0, 3.0, 1.0, 6.0]]))
        >>> found.total, found.ablation, found.shapley, found.interaction
        (tensor([6.]), tensor([[5., 3.]]), tensor([[4., 2.]]), tensor([2.]))
    """

    coalitions: Tensor

    @property
    def total(self) -> Tensor:
        """(N,): ``f(x) - f(baseline)``, what all inputs are worth together."""
        return self.coalitions[:, -1] - self.coalitions[:, 0]

    @property
    def alone(self) -> Tensor:
        """(N, k): ``f(only i shown) - f(baseline)``, what an input is worth where nothing else is shown."""
        single = [1 << i for i in range(self._n_inputs)]
        return self.coalitions[:, single] - self.coalitions[:, :1]

    @property
    def ablation(self) -> Tensor:
        """(N, k): ``f(x) - f(x without i)``, what is lost with an input; does not sum to anything.

        Of two inputs that say the same, each can be spared: both have 0, however much they carry.
        """
        whole = (1 << self._n_inputs) - 1
        without = [whole ^ (1 << i) for i in range(self._n_inputs)]
        return self.coalitions[:, -1:] - self.coalitions[:, without]

    @property
    def shapley(self) -> Tensor:
        """(N, k): exact Shapley values; their sum over inputs is ``total``, to rounding.

        The mean, over all orders in which the inputs may come in, of what an input adds when it
        does (Shapley, 1953). An input that never matters has 0, two that always matter alike have
        the same.
        """
        weights = _shapley_weights(self._n_inputs).to(self.coalitions.device)
        return (self.coalitions.double() @ weights).to(self.coalitions.dtype)

    @property
    def interaction(self) -> Tensor:
        """(N,): ``total`` less the sum of ``alone``; for two inputs f(both) - f(1) - f(2) + f(none).

        0 for a sum of streams. Above 0 the inputs need each other; below 0 each says in part what
        another says, or the score is near its bounds: probabilities saturate, so look at logits
        (``activation=None``) before calling inputs redundant.
        """
        return self.total - self.alone.sum(1)

    @property
    def _n_inputs(self) -> int:
        return (self.coalitions.shape[1] - 1).bit_length()


def modality_score(
    forward_func: Callable,
    inputs: tuple[Tensor, ...],
    baselines: Baseline | tuple[Baseline, ...] = None,
    additional_forward_args: Any = None,
    target: Target = None,
    perturbations_per_eval: PerturbationsPerEval = "auto",
    show_progress: bool = False,
    *,
    layout: str | Layout = "n c t h w",
    activation: Activation = "softmax",
) -> ModalityScore:
    """How much of the score each input carries: all coalitions of inputs, shown or hidden whole.

    Args:
        forward_func: the model, or any function of the inputs that returns (N,) or (N, classes).
        inputs: a tuple of 2 to 10 clips in ``layout``; their extents may differ.
        baselines: what hides an input: None (zero), a number, a tensor, a function of
            `captum_video.baselines`, or one per input.
        additional_forward_args: Captum's; tensors have one entry per clip.
        target: Captum's `target <https://captum.ai/api/metrics.html>`_.
        perturbations_per_eval: coalitions per clip and pass, or ``"auto"``; no effect on the scores.
        show_progress: show a progress bar.
        layout: how the inputs order their axes.
        activation: ``"softmax"`` over the outputs before the target is chosen, or None. A network
            that adds up the logits of its streams is additive with None only.

    Returns:
        Scores of all coalitions (N, 2^k), and what follows from them: total (N,), ablation (N, k),
        shapley (N, k), alone (N, k), interaction (N,).

    Raises:
        TypeError: one tensor instead of a tuple; an input or baseline of a wrong kind.
        ValueError: fewer than 2 inputs or more than 10, an option out of range, no target where the
            model has several outputs.

    Cost:
        2^k passes per clip; memory of one chunk of clips.

    Note:
        It lies where the baseline of an input is evidence itself, or unlike all that the network
        saw: most networks never saw one spectrum black and the other not, and then what is called
        the worth of an input is in part the harm of its absence. Compare two baselines.

    Example:
        >>> import torch
        >>> model = lambda visible, infrared: visible.sum((1, 2, 3, 4)) * infrared.mean((1, 2, 3, 4))
        >>> visible, infrared = torch.ones(1, 3, 2, 2, 2), torch.full((1, 1, 2, 4, 4), 0.5)
        >>> found = modality_score(model, (visible, infrared), activation=None)
        >>> found.total, found.shapley, found.interaction
        (tensor([12.]), tensor([[6., 6.]]), tensor([12.]))
    """
    layout = Layout.of(layout)
    clips = _several_clips(inputs, layout)
    number = torch.arange(1 << len(clips), device=clips[0].device)
    streams = [Switched(extent_of(clip), (number >> i) % 2 == 1) for i, clip in enumerate(clips)]
    scores = perturbed_scores(
        forward_func,
        clips,
        resolve(baselines, clips, layout),
        [streams] * len(clips[0]),
        layout=layout,
        target=target,
        activation=activation_of(activation),
        additional_forward_args=additional_forward_args,
        perturbations_per_eval=perturbations_per_eval,
        show_progress=show_progress,
        description="Modality score",
    )
    return ModalityScore(scores)


def _several_clips(inputs: object, layout: Layout) -> tuple[Tensor, ...]:
    if not isinstance(inputs, tuple):
        raise TypeError(
            f"inputs: expected a tuple of 2 to {_MOST_INPUTS} clips, got {type(inputs).__name__}; to "
            f"ask a network of stacked channels, split its clip: "
            f"modality_score(lambda a, b: model(torch.cat([a, b], 1)), (clip[:, :3], clip[:, 3:]))"
        )
    if not 2 <= len(inputs) <= _MOST_INPUTS:
        raise ValueError(
            f"inputs: expected 2 to {_MOST_INPUTS} clips (a pass for each of their 2^k coalitions), "
            f"got {len(inputs)}"
        )
    return clips_of(inputs, layout)[1]


def _shapley_weights(k: int) -> Tensor:
    """What each coalition's score counts for each input: (2^k, k), float64.

    An input's own coalitions S count ``(|S| - 1)! (k - |S|)! / k!``, those without it
    ``-|S|! (k - |S| - 1)! / k!``.
    """
    number = torch.arange(1 << k)[:, None]
    shown = (number >> torch.arange(k)) % 2 == 1
    size = shown.sum(1, keepdim=True) - shown.long()  # of the coalition without the input
    orders = [math.factorial(s) * math.factorial(k - 1 - s) for s in range(k)]
    share = torch.tensor(orders, dtype=torch.float64)[size] / math.factorial(k)
    return torch.where(shown, share, -share)
