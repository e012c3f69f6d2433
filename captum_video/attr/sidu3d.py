"""SIDU over space and time: feature maps as masks, weighted by what they leave of the prediction."""

import warnings
from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any

import torch
from captum.attr import LayerAttribution, PerturbationAttribution
from torch import Tensor, nn

from captum_video._captum import Target, arguments_of, forward, log_usage, select, take_target
from captum_video.attr._activations import as_clips, recording
from captum_video.attr._layers import find_layer
from captum_video.attr._sidu_weights import Activation, Comparison
from captum_video.baselines import Baseline, resolve
from captum_video.clips import Layout, clips_of, extent_of, spread_over_channels
from captum_video.masks import FeatureMaps
from captum_video.perturb import PerturbationsPerEval, Perturbed, as_read, perturbed_outputs

QUANTILE = 0.9
WIDTH = 0.25


class SIDU3D(LayerAttribution, PerturbationAttribution):
    """Which places a layer's feature maps agree on, where they keep the prediction and stand apart.

    Similarity difference and uniqueness (Muddamsetty et al., arXiv 2101.10710). Map i of the layer,
    thresholded and upsampled, is the mask ``M_i``; with ``P`` the class probabilities of the clip and
    ``P_i`` those of the clip behind that mask::

        SD_i = exp(-(P_c - P_i,c)^2 / (2 width^2))            how much of class c the mask keeps
        U_i = sum_j |P_i - P_j|, scaled to [0, 1] over i      how unlike the others it predicts
        S(v) = mean_i SD_i U_i M_i(v)

    Deviations: the paper's threshold of 0.1 depends on the scale of the features, so that a quantile
    is the default. Maps that keep nothing are left out, where the paper lets their predictions of an
    empty clip shift every U. The mean stands for the paper's sum over N / 2, which changes the scale
    only. Where all masks are equally far from each other (a single mask, two masks, a score that
    does not depend on the clip) there is nothing to scale: U is 1, and similarity alone decides.

    Args:
        forward_func: the model, which returns (N, classes).
        layer: a module of it, or the module's name; usually the last with a map over space and time
            (`layer_candidates`).
        layout: how the inputs order their axes.
        activation_layout: how the layer's output orders its axes, as in `GradCAM3D`:
            ``"(n t) c h w"`` for a 2-D network on folded frames, ``"n c h w"`` for a layer that runs
            once per frame, ``Layout("n (t h w) c", skip_tokens=1, t=8, h=14)`` for tokens.

    Raises:
        ValueError: the layer is not in the model.

    Example:
        >>> import torch
        >>> from torchvision.models.video import r3d_18
        >>> model = r3d_18(num_classes=4)
        >>> sidu = SIDU3D(model, "layer1")  # 64 maps
        >>> sidu.attribute(torch.rand(1, 3, 4, 16, 16), target=2).shape
        torch.Size([1, 3, 4, 16, 16])
    """

    def __init__(
        self,
        forward_func: Callable,
        layer: nn.Module | str,
        layout: str | Layout = "n c t h w",
        activation_layout: str | Layout = "n c t h w",
    ) -> None:
        super().__init__(forward_func, find_layer(forward_func, layer))
        self.layout = Layout.of(layout)
        self.activation_layout = Layout.of(activation_layout)

    @log_usage()
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        baselines: Baseline | tuple[Baseline, ...] = None,
        target: Target = None,
        additional_forward_args: Any = None,
        perturbations_per_eval: PerturbationsPerEval = "auto",
        show_progress: bool = False,
        *,
        threshold: float | None = None,
        quantile: float | None = None,
        soft: bool = False,
        attribute_to_layer_input: bool = False,
        width: float = WIDTH,
        activation: Activation = "softmax",
        inputs_together: bool = True,
    ) -> Tensor | tuple[Tensor, ...]:
        """Record the layer's maps, run the clip behind each of them, and weigh the maps.

        Args:
            inputs: clips in the declared layout, or a tuple of them (visible and infrared, say),
                each of its own length and size.
            baselines: what hides: None (zero), a number, a tensor, a function of
                `captum_video.baselines`, or one per input.
            target: Captum's `target <https://captum.ai/api/layer.html>`_.
            additional_forward_args: Captum's; tensors have one entry per clip.
            perturbations_per_eval: masks per clip and pass, or ``"auto"``; no effect on the map.
            show_progress: show a progress bar.
            threshold: a mask keeps where its map exceeds this value; 0.1 in the paper.
            quantile: or where it exceeds this quantile, in [0, 1), of all maps of the clip that vary;
                0.9 if no rule is given.
            soft: or masks are the maps themselves, each scaled to [0, 1].
            attribute_to_layer_input: take masks from what enters the layer instead of what leaves it.
            width: of the similarity kernel, in units of what is compared; above 0.
            activation: ``"softmax"`` over the classes, or None to compare outputs as they are: for a
                model that ends in its own softmax. On logits, as in the code of Bayer et al. (ICPR
                2022), a change of 10 is usual and 40 widths wide: exp(-800) is 0 in any precision.
            inputs_together: a mask hides the same place of all inputs at once; else it hides in one
                input at a time, the others staying whole, and each input gets a map of its own.

        Returns:
            Shape of the inputs; the same over all channels. In [0, 1]: higher where more of the
            masks that keep the prediction and stand apart keep the place.

        Raises:
            TypeError: an input or the layer's output is of a wrong kind.
            ValueError: more than one mask rule, or one that keeps nothing of a clip; a model without
                classes, unless ``activation`` is None; an option out of range; the layer does not
                run; clips that are empty or not finite, a target out of range.

        Cost:
            A pass per clip, and one per channel that keeps something (at most 512 at the end of
            r3d_18), times the inputs where they are not together. Memory of one chunk of clips and of the
            layer's maps: masks are upsampled a chunk at a time, their sum is taken at the maps' size.
        """
        is_tuple, clips = clips_of(inputs, self.layout)
        rule, compare = _rule_of(threshold, quantile, soft), Comparison(activation, width)
        run = partial(
            perturbed_outputs,
            self.forward_func,
            clips,
            resolve(baselines, clips, self.layout),
            layout=self.layout,
            additional_forward_args=additional_forward_args,
            perturbations_per_eval=perturbations_per_eval,
            show_progress=show_progress,
        )
        n_clips = len(clips[0])
        tensors = inputs if isinstance(inputs, tuple) else (inputs,)
        arguments = arguments_of(additional_forward_args, n_clips)
        outputs, features = self._look(tensors, arguments, n_clips, attribute_to_layer_input)
        row_target = take_target(target, range(n_clips), n_clips)
        weigh = partial(
            _weights, compare, select(compare.values(outputs), row_target, n_clips), target
        )
        masks = [_masks_of(n, maps, clips, rule) for n, maps in enumerate(features)]
        maps = []
        for i, clip in enumerate(clips):
            if i == 0 or not inputs_together:
                name = "SIDU" if inputs_together else f"SIDU, input {i}"
                hiding = masks if inputs_together else [_only(i, streams) for streams in masks]
                weights = weigh(run(hiding, description=name))
            means = [
                streams[i].kept_sum(weight[None]) / len(weight)
                for streams, weight in zip(masks, weights, strict=True)
            ]
            maps.append(spread_over_channels(torch.stack(means), clip, self.layout))
        return tuple(maps) if is_tuple else maps[0]

    def _look(
        self, inputs: tuple[Tensor, ...], arguments: tuple | None, n_clips: int, at_input: bool
    ) -> tuple[Tensor, Tensor]:
        """Outputs for the whole clips, and the layer's maps (N, K, T', H', W')."""
        with recording(self.layer, at_input) as captured:
            read = as_read(inputs, self.forward_func, self.layout)
            outputs = forward(self.forward_func, read, arguments)
        return outputs, as_clips(captured, self.activation_layout, n_clips)


def _weights(
    compare: Comparison, scores: Tensor, target: Target, outputs: Iterable[Perturbed]
) -> list[Tensor]:
    """The weight of every mask, clip by clip, from outputs in the order of clips."""
    weights = []
    for clip, parts in groupby(outputs, key=attrgetter("clip")):
        values = torch.cat([compare.values(part.outputs) for part in parts])
        rows = [clip] * len(values)
        behind = select(values, take_target(target, rows, len(scores)), len(rows))
        weights.append(compare.weights(values, behind, scores[clip]))
    if any(not weight.float().any() for weight in weights):
        warnings.warn(
            "SIDU3D: all weights of a clip are 0 in single precision, and its map with them: no mask "
            "that stands apart comes within 14 widths of the prediction. Compare probabilities, or "
            "take a larger width.",
            stacklevel=4,
        )
    return weights


def _rule_of(threshold: float | None, quantile: float | None, soft: bool) -> dict[str, Any]:
    """The one rule that was given, or the default."""
    rule: dict[str, Any] = {"threshold": threshold, "quantile": quantile, "soft": soft or None}
    given = {name: value for name, value in rule.items() if value is not None}
    if len(given) > 1:
        raise ValueError(f"masks: expected one rule, got {' and '.join(given)}")
    return given or {"quantile": QUANTILE}


def _masks_of(
    n: int, maps: Tensor, clips: tuple[Tensor, ...], rule: dict[str, Any]
) -> list[FeatureMaps]:
    """Masks of clip n, as large as each input."""
    try:
        made = {extent: FeatureMaps(maps, extent, **rule) for extent in set(map(extent_of, clips))}
    except ValueError as error:
        raise ValueError(f"clip {n}: {error}") from error
    return [made[extent_of(clip)] for clip in clips]


def _only(i: int, streams: list[FeatureMaps]) -> list[FeatureMaps | None]:
    """Hide in this input; the others stay whole."""
    return [stream if i == j else None for j, stream in enumerate(streams)]
