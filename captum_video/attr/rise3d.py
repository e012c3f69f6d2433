"""RISE over space and time: random smooth masks, weighted by the scores they leave."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from captum.attr import PerturbationAttribution
from torch import Tensor

from captum_video._captum import Target, log_usage
from captum_video.attr import _rise_estimators as estimators
from captum_video.attr._rise_stopping import Found, check_tolerance, estimate_until
from captum_video.attr._rise_streams import changes_of, streams_for
from captum_video.baselines import Baseline, resolve
from captum_video.clips import (
    Layout,
    clips_of,
    map_dtype,
    spread_over_channels,
)
from captum_video.masks import RandomGrids
from captum_video.perturb import PerturbationsPerEval, perturbed_scores

Estimator = Literal["regression", "coverage", "expectation"]
Grid = tuple[int | None, int | None, int | None]


@dataclass(frozen=True)
class RISEEstimate:
    """Maps of one or all outputs, and how sure they are.

    Attributes:
        maps: (N, K, T, H, W), in units of the score.
        standard_errors: (N, K, T, H, W), of each voxel over draws of masks; None unless asked for.
        r_squared: (N, K), leave-one-out share of the score's variance over masks that the
            regression explains; None for other estimators.
        fell_back: (N, K), where the regression explained nothing and coverage took its place.
        n_masks: (N,), masks that each clip's maps are of; fewer than asked for where a tolerance
            was reached.
    """

    maps: Tensor
    standard_errors: Tensor | None
    r_squared: Tensor | None
    fell_back: Tensor
    n_masks: Tensor


class RISE3D(PerturbationAttribution):
    """The score to expect when a place is kept and the rest is kept or hidden at random.

    ``S(v) = E[f(x m + b (1 - m)) m(v)] / p`` over smooth random masks m on a coarse space-time grid
    (RISE: Petsiuk et al., arXiv 1806.07421). Deviations: the grid has its own number of cells in
    time, masks are interpolated between grid nodes instead of resized as images, baselines are free,
    and the default estimator has the published expectation with a smaller error.

    Estimators, all from the same masks:

    - ``"regression"``: a linear fit of the score serves as control variate; needs several times
      fewer masks where the score is near linear in them. It expects more of places where hiding
      changes more of the clip. Where its leave-one-out R² is below 0 the fit is of no use: a
      warning says so and coverage is taken (above 0 its error was the smaller one, on average, on
      two trained networks).
    - ``"coverage"``: sums divided by how often each voxel was kept.
    - ``"expectation"``: sums divided by M p, as published; noisy, even for a constant score.

    Args:
        forward_func: the model, or any function of the inputs that returns (N,) or (N, classes).
            The paper takes probabilities; logits are nearer to linear and need fewer masks.
        layout: how the inputs order their axes.

    Example:
        >>> import torch
        >>> model = lambda clip: clip.mean((1, 2, 3, 4))
        >>> rise = RISE3D(model)
        >>> rise.attribute(torch.rand(1, 3, 4, 16, 16), n_samples=50, grid_shape=(2, 4, 4)).shape
        torch.Size([1, 3, 4, 16, 16])
    """

    def __init__(self, forward_func: Callable, layout: str | Layout = "n c t h w") -> None:
        super().__init__(forward_func)
        self.layout = Layout.of(layout)

    @log_usage()
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        baselines: Baseline | tuple[Baseline, ...] = None,
        target: Target = None,
        additional_forward_args: Any = None,
        n_samples: int = 1000,
        perturbations_per_eval: PerturbationsPerEval = "auto",
        show_progress: bool = False,
        *,
        grid_shape: Grid | tuple[Grid, ...] = (4, 7, 7),
        keep_probability: float = 0.5,
        estimator: Estimator = "regression",
        generator: torch.Generator | None = None,
        inputs_together: bool = True,
        tolerance: float | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        """Draw masks, run the masked clips, and average.

        Args:
            inputs: clips in the declared layout, or a tuple of them (visible and infrared, say).
            baselines: what hides: None (zero), a number, a tensor, a function of
                `captum_video.baselines`, or one per input.
            target: Captum's `target <https://captum.ai/api/occlusion.html>`_.
            additional_forward_args: Captum's; tensors have one entry per clip.
            n_samples: number of masks, the same for all clips; with a tolerance the most.
            perturbations_per_eval: masks per clip and pass, or ``"auto"``; no effect on the map.
            show_progress: show a progress bar.
            grid_shape: cells over frames, height and width; at most one cell a voxel. None: masks do
                not vary along that axis, so ``(T, None, None)`` keeps and hides whole frames: a map
                over time, for two passes of a `FrameWise` encoder per frame. Or one such triple per
                input, where each has masks of its own.
            keep_probability: of a grid node, in (0, 1).
            estimator: see the class.
            generator: draws the masks.
            inputs_together: keep the same place of all inputs at once: one map of equally long and
                large inputs. Otherwise every input draws masks of its own, independent of the
                others', and has its own map, ``E[f m_i(v)] / p``: where in *this* input the evidence
                is. Then they may differ in frames and pixels.
            tolerance: draw no more masks for a clip whose map's standard error is at most this share
                of the map's own standard deviation, both over voxels (0.3, say; None: draw all). A
                share needs no knowledge of the score's scale, and asks more of a map in which little
                stands out; one that is flat never gets there. Looked at after 64, 128, 256 ... masks.

        Returns:
            Shape of the inputs; the same map over all channels, and over all inputs where these are
            taken together; in units of the score. Higher: keeping the place raises the score.

        Raises:
            TypeError: an input of a wrong kind.
            ValueError: an option out of range, inputs of different extents taken together, clips
                that are empty or not finite, a target out of range.

        Cost:
            ``n_samples`` passes per clip, or fewer with a tolerance; memory of one chunk of clips, and
            for the regression of the square of about four times the number of grid cells (20 MiB for
            4 x 7 x 7), of all inputs that have their own.

        Randomness:
            All from ``generator``; None is a generator seeded with 0, so that a call repeats itself.
            The map does not depend on ``perturbations_per_eval`` or on the other clips. Fewer masks
            of a seed are the first of more, so that a clip that stops after n of them has the map
            that ``n_samples=n`` gives (where the generator is on the CPU).

        Warns:
            UserWarning: the regression explains nothing; a clip does not reach the tolerance.
        """
        found: RISEEstimate | tuple[RISEEstimate, ...] = self.estimate(
            inputs,
            baselines,
            target,
            additional_forward_args,
            n_samples,
            perturbations_per_eval,
            show_progress,
            grid_shape=grid_shape,
            keep_probability=keep_probability,
            estimator=estimator,
            generator=generator,
            inputs_together=inputs_together,
            tolerance=tolerance,
        )
        is_tuple, clips = clips_of(inputs, self.layout)
        estimates = found if isinstance(found, tuple) else (found,) * len(clips)
        maps = tuple(
            spread_over_channels(one.maps, clip, self.layout)
            for one, clip in zip(estimates, clips, strict=True)
        )
        return maps if is_tuple else maps[0]

    def estimate(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        baselines: Baseline | tuple[Baseline, ...] = None,
        target: Target = None,
        additional_forward_args: Any = None,
        n_samples: int = 1000,
        perturbations_per_eval: PerturbationsPerEval = "auto",
        show_progress: bool = False,
        *,
        grid_shape: Grid | tuple[Grid, ...] = (4, 7, 7),
        keep_probability: float = 0.5,
        estimator: Estimator = "regression",
        generator: torch.Generator | None = None,
        inputs_together: bool = True,
        tolerance: float | None = None,
        every_output: bool = False,
        standard_errors: bool = False,
    ) -> Any:
        """Like `attribute`, with the maps of all classes and their errors from the same passes.

        Args:
            inputs: as for `attribute`, and so are the other arguments that are not named here.
            baselines: what hides.
            target: Captum's target; leave it out with ``every_output``.
            additional_forward_args: Captum's.
            n_samples: number of masks; with a tolerance the most.
            perturbations_per_eval: masks per clip and pass, or ``"auto"``.
            show_progress: show a progress bar.
            grid_shape: cells over frames, height and width.
            keep_probability: of a grid node, in (0, 1).
            estimator: see the class.
            generator: draws the masks.
            inputs_together: see `attribute`.
            tolerance: see `attribute`; with ``every_output`` a clip goes on until all its maps are
                within it, and where inputs have their own, it is asked of them as of one map.
            every_output: maps of all K outputs of a model that returns (N, K).
            standard_errors: also estimate the error of every voxel; makes every mask once more.

        Returns:
            A `RISEEstimate`, its maps (N, K, T, H, W) in the axis order of clips, K = 1 without
            ``every_output``. Where a tuple of inputs is not taken together, a tuple: the estimate of
            each, with the R² of their one fit.

        Raises:
            TypeError: as `attribute`.
            ValueError: as `attribute`; a target beside ``every_output``.

        Example:
            >>> model = lambda clip: clip.mean((3, 4)).flatten(1)
            >>> clip = torch.rand(1, 1, 4, 8, 8)
            >>> found = RISE3D(model).estimate(
            ...     clip, n_samples=60, grid_shape=(2, 2, 2), every_output=True, standard_errors=True
            ... )
            >>> found.maps.shape, found.standard_errors.shape, found.r_squared.shape
            (torch.Size([1, 4, 4, 8, 8]), torch.Size([1, 4, 4, 8, 8]), torch.Size([1, 4]))
        """
        estimate_maps = estimators.named(estimator)
        if every_output and target is not None:
            raise ValueError(f"target: expected None beside every_output, got {target!r}")
        is_tuple, clips = clips_of(inputs, self.layout)
        check_tolerance(tolerance)
        streams = streams_for(
            clips,
            grid_shape,
            keep_probability,
            n_samples,
            generator or torch.Generator().manual_seed(0),
            inputs_together,
        )
        hidden = resolve(baselines, clips, self.layout)

        def scores_under(masks: Sequence[Sequence[RandomGrids]]) -> Tensor:
            return perturbed_scores(
                self.forward_func,
                clips,
                hidden,
                [list(own) * len(clips) if inputs_together else own for own in masks],
                layout=self.layout,
                target=target,
                every_output=every_output,
                additional_forward_args=additional_forward_args,
                perturbations_per_eval=perturbations_per_eval,
                show_progress=show_progress,
                description="RISE",
            )

        changes = changes_of(clips, hidden, streams)
        found = estimate_until(
            tolerance, scores_under, streams, changes, estimate_maps, standard_errors
        )
        _warn(found, tolerance, n_samples)
        dtype = map_dtype(clips[0].dtype)
        estimates = tuple(
            _per_output(one, found, standard_errors, dtype) for one in found.estimates
        )
        return estimates if is_tuple and not inputs_together else estimates[0]


def _per_output(
    estimate: estimators.Estimate, found: Found, with_errors: bool, dtype: torch.dtype
) -> RISEEstimate:
    """Rows as clips and outputs (N, K)."""

    def unfolded(values: Tensor | None) -> Any:
        return None if values is None else values.unflatten(0, (-1, found.n_outputs)).to(dtype)

    fell_back = torch.zeros_like(estimate.maps[:, 0, 0, 0], dtype=torch.bool)
    if estimate.fell_back is not None:
        fell_back = estimate.fell_back
    return RISEEstimate(
        maps=unfolded(estimate.maps),
        standard_errors=unfolded(estimate.standard_errors) if with_errors else None,
        r_squared=unfolded(estimate.r_squared),
        fell_back=fell_back.unflatten(0, (-1, found.n_outputs)),
        n_masks=found.n_masks,
    )


def _warn(found: Found, tolerance: float | None, n_samples: int) -> None:
    """Say which fits were of no use, and which clips did not reach the tolerance."""
    first = found.estimates[0]
    if first.r_squared is not None and first.fell_back is not None and first.fell_back.any():
        warnings.warn(
            f"RISE3D: the regression explains nothing of {int(first.fell_back.sum())} of "
            f"{len(first.fell_back)} scores (leave-one-out R² down to {first.r_squared.min():.2f}); "
            f"the coverage estimator is used there. More masks or a coarser grid make a fit possible.",
            stacklevel=5,
        )
    if tolerance is None or found.errors is None:
        return
    worst = found.errors.amax(1)
    missed = (worst > tolerance).nonzero()[:, 0].tolist()
    if missed:
        warnings.warn(
            f"RISE3D: maps of {len(missed)} of {len(worst)} clips ({', '.join(map(str, missed))}) "
            f"have not reached tolerance {tolerance} after {n_samples} masks (standard error up to "
            f"{worst.max():.2g} of the map's standard deviation; inf: the map is flat). More masks, "
            f"a coarser grid or a larger tolerance would do.",
            stacklevel=5,
        )
