"""Occlusion over space and time: the drop of the score when a place is hidden."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from captum.attr import PerturbationAttribution
from torch import Tensor

from captum_video._captum import Target, log_usage
from captum_video.attr._first_order import Exact, check_exact, first_order_drops
from captum_video.attr._hiding import Hiding, Window, hidings_of, perturbations_of
from captum_video.baselines import Baseline, resolve
from captum_video.clips import Layout, clips_of, extent_of, spread_over_channels
from captum_video.masks import Joined, MaskStream, Untouched
from captum_video.perturb import PerturbationsPerEval, perturbed_scores


class SpatioTemporalOcclusion(PerturbationAttribution):
    """How much the score falls when a window of frames and pixels, or a region, is hidden.

    ``S(v)`` is the mean of ``f(x) - f(x with place w hidden)`` over the places w that cover voxel v.
    Windows are those of `captum.attr.Occlusion` over all channels, to rounding (Zeiler and Fergus,
    arXiv 1311.2901), with one deviation: strides default to the window, so that windows tile the
    clip, because Captum's stride of 1 would mean hundreds of thousands of passes.

    With ``flow``, windows become tubes that go along with what moves (Uchiyama et al., arXiv
    2207.12859; `captum_video.masks.Tubes`). Deviations: the paper's code averages changes of a softmax
    over all tubes, weighted by the inverse of a mask's mean, merges tubes of similar flow, and lets go
    of what leaves the frame; here each voxel has the mean drop of the score over its own tubes, which
    are not merged, and every voxel is covered. With ``feature_mask``, places are regions that labels
    name, as in `captum.attr.FeatureAblation`, to which the map is equal to rounding.

    ``exact`` says how many of the places are in fact hidden. The paper's first-order estimate of a drop,
    ``sum over v in w of grad f(x) . (x - baseline)``, costs one backward pass for all of them; it is
    exact where f is linear. ``"outliers"`` then hides those whose estimate lies more than 1.5
    interquartile ranges below the first quartile of the clip's estimates or above the third.
    Alone the estimate is a local one, and can be far off, even of the wrong sign, where what hides is
    far from the clip.

    Args:
        forward_func: the model, or any function of the inputs that returns (N,) or (N, classes).
        layout: how the inputs order their axes; see `captum_video.Layout`.

    Example:
        >>> import torch
        >>> total = lambda clip: clip.sum((1, 2, 3, 4))
        >>> occlusion = SpatioTemporalOcclusion(total)
        >>> occlusion.attribute(torch.ones(1, 3, 4, 8, 8), (2, 4, 4)).unique()
        tensor([96.])
        >>> when = torch.tensor([0, 1, 1, 1]).reshape(4, 1, 1).expand(4, 8, 8)
        >>> occlusion.attribute(torch.ones(1, 3, 4, 8, 8), feature_mask=when)[0, 0, :, 0, 0]
        tensor([192., 576., 576., 576.])
    """

    def __init__(self, forward_func: Callable, layout: str | Layout = "n c t h w") -> None:
        super().__init__(forward_func)
        self.layout = Layout.of(layout)

    @log_usage()
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        sliding_window_shapes: Window | tuple[Window, ...] | None = None,
        strides: Window | tuple[Window, ...] | None = None,
        baselines: Baseline | tuple[Baseline, ...] = None,
        target: Target = None,
        additional_forward_args: Any = None,
        perturbations_per_eval: PerturbationsPerEval = "auto",
        show_progress: bool = False,
        *,
        inputs_together: bool = True,
        flow: Tensor | tuple[Tensor, ...] | None = None,
        feature_mask: Tensor | tuple[Tensor, ...] | None = None,
        exact: Exact = "all",
    ) -> Tensor | tuple[Tensor, ...]:
        """Hide places one after the other and record what each was worth.

        Args:
            inputs: clips in the declared layout, or a tuple of them (visible and infrared, say).
            sliding_window_shapes: frames, height and width of a window, None being the whole axis:
                ``(1, None, None)`` hides one frame after the other. Or one such triple per input.
                Channels are hidden together. Left out where there is a ``feature_mask``.
            strides: likewise; None, for all axes or for one, is the window's size, which tiles the
                clip. A window at the far border is cut there.
            baselines: what hides: None (zero), a number, a tensor, a function of
                `captum_video.baselines`, or one per input.
            target: Captum's `target <https://captum.ai/api/occlusion.html>`_.
            additional_forward_args: Captum's; tensors have one entry per clip.
            perturbations_per_eval: places per clip and pass, or ``"auto"``; no effect on the map.
            show_progress: show a progress bar.
            inputs_together: hide the same place of all inputs at once (a window of one number, a
                region of one label), or of one input at a time (as Captum does).
            flow: (N, 2, T, H, W), or (1, 2, T, H, W) for all clips, of
                `captum_video.flow.optical_flow`, whatever the layout: windows follow it. Or one per
                input.
            feature_mask: labels of regions, whole numbers, (T, H, W) for all clips, or
                (N, 1, T, H, W), whatever the layout; clips may have different numbers of regions. Or
                one per input. `captum_video.regions` makes some.
            exact: hide ``"all"`` places, only ``"outliers"`` of the first-order estimate, or
                ``"none"``.

        Returns:
            Shape of the inputs, in units of the score. Positive: hiding the place lowers the
            score, so it speaks for the target.

        Raises:
            TypeError: an input, window, flow or feature mask of a wrong kind.
            ValueError: a window larger than the clip, a stride of 0 or above the window, inputs with
                different numbers of windows, a flow or feature mask of another shape, a feature mask
                beside windows, clips that are empty or not finite, a target out of range, an
                estimate of a score without a gradient.

        Cost:
            One pass per place, and one for the whole clip; memory of one chunk of clips. With
            ``exact`` other than ``"all"``, a forward and a backward pass per clip, one clip at a time,
            and a pass per outlier.
        """
        check_exact(exact)
        is_tuple, clips = clips_of(inputs, self.layout)
        hidings = hidings_of(
            clips, sliding_window_shapes, strides, flow, feature_mask, inputs_together
        )
        masks = [perturbations_of(streams, clips, inputs_together) for streams in hidings]
        options: dict[str, Any] = {
            "layout": self.layout,
            "target": target,
            "additional_forward_args": additional_forward_args,
        }
        hidden_by = resolve(baselines, clips, self.layout)
        scores_of = partial(
            perturbed_scores,
            self.forward_func,
            clips,
            hidden_by,
            perturbations_per_eval=perturbations_per_eval,
            show_progress=show_progress,
            description="Occlusion",
            **options,
        )
        drops = (
            _drops(scores_of, masks, clips)
            if exact == "all"
            else first_order_drops(
                self.forward_func, clips, hidden_by, masks, exact, scores_of, **options
            )
        )
        maps = _maps(hidings, drops, inputs_together)
        spread = tuple(
            spread_over_channels(one[:, None], clip, self.layout)
            for one, clip in zip(maps, clips, strict=True)
        )
        return spread if is_tuple else spread[0]


def _drops(
    scores_of: Callable[[Any], Tensor],
    masks: Sequence[Sequence[MaskStream]],
    clips: tuple[Tensor, ...],
) -> list[Tensor]:
    """What each perturbation of each clip takes from the score of the whole clip."""
    whole = [Untouched(extent_of(clip), 1, clip.device) for clip in clips]
    scores = scores_of(
        [[Joined(one, mask) for one, mask in zip(whole, row, strict=True)] for row in masks]
    )
    return [score[0] - score[1 : 1 + len(row[0])] for score, row in zip(scores, masks, strict=True)]


def _maps(
    hidings: Sequence[Sequence[Hiding]], drops: Sequence[Tensor], together: bool
) -> list[Tensor]:
    """For each input (N, T, H, W): mean drop over the places that cover a voxel."""
    maps: list[list[Tensor]] = [[] for _ in hidings[0]]
    for streams, drop in zip(hidings, drops, strict=True):
        lengths = [len(stream) for stream in streams]
        parts = [drop] * len(streams) if together else drop.split(lengths)
        for found, stream, part in zip(maps, streams, parts, strict=True):
            total, count = stream.hidden_sum(torch.stack([part, torch.ones_like(part)]))
            found.append(total / count)
    return [torch.stack(found) for found in maps]
