"""Extremal perturbations over space and time: the best region of every size, by search."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from captum.attr import PerturbationAttribution
from torch import Tensor

from captum_video._captum import Target, arguments_of, log_usage, progress_bar
from captum_video.attr._extremal_masks import SmoothMasks
from captum_video.attr._extremal_options import (
    Grid,
    Over,
    check_options,
    checked_areas,
    grids_of,
    maps_to_start_from,
    masked_apart,
)
from captum_video.attr._extremal_solver import (
    Activation,
    Found,
    Goal,
    Question,
    Search,
    starting_nodes,
)
from captum_video.attr._extremal_substrates import SubstrateName, substrates_of
from captum_video.baselines import Baseline
from captum_video.clips import (
    Layout,
    clips_of,
    extent_of,
    map_dtype,
    spread_over_channels,
    window_of,
)
from captum_video.perturb import ChunkSize, PerturbationsPerEval, rows_that_fit, run_in_chunks

AREAS = (0.01, 0.02, 0.05, 0.1, 0.2)
_GPU_COPIES = 1024


class ExtremalMasks(NamedTuple):
    """The best region of every area, and what it is worth.

    Attributes:
        masks: (N, A, T, H, W) in [0, 1], 1 where the region is; a tuple, one for each input, where
            inputs have masks of their own.
        kept: (N, A), the score where only the region is shown; a probability, or the raw score.
        left: (N, A), the score where the region is hidden and the rest is shown.
        iterations: (N, A), how many the search took.
        losses: (N, A, max_iterations), of each iteration; NaN after the last.
    """

    masks: Any
    kept: Tensor
    left: Tensor
    iterations: Tensor
    losses: Tensor


class ExtremalPerturbation3D(PerturbationAttribution):
    """In how many of the best regions, one of every size, a place lies.

    For each area a a smooth mask is searched that covers the share a of the clip's volume and keeps
    the score as high as it can, or destroys it: extremal perturbations (Fong et al., ICCV 2019,
    arXiv 1910.08485), over space and time (STEP: Li et al., arXiv 2005.00375). With
    ``m = smax(k, p)`` from values p in [0, 1] on a coarse grid,

    ``min_p  -log f(m x + (1 - m) b) + w |sort(m) - r_a|^2 [+ c core(m)]``

    and the map is the mean of the masks over the areas: a place in the small ones is important. Only
    what is found *and* fits the area counts, so that a place without which nothing works stands
    before one that merely helps.

    Deviations: steps are scaled by the slope of the whole row and shrink to 0, so that tens of
    iterations do where the authors take hundreds; masks start half-way, and the weight w grows
    from 0.1 to 1000, so that the score has its say before the area does; the smooth maximum is taken
    along one axis after the other.

    Args:
        forward_func: the model, or any function of the inputs that returns (N,) or (N, classes), and
            can be differentiated.
        layout: how the inputs order their axes.

    Example:
        >>> import torch
        >>> model = lambda clip: clip[:, :, 2:4, :8, :8].sum((1, 2, 3, 4))
        >>> method = ExtremalPerturbation3D(model)
        >>> maps = method.attribute(torch.rand(1, 3, 8, 16, 16), activation=None, max_iterations=20)
        >>> maps.shape, bool(maps[:, :, 2:4, :8, :8].mean() > 2 * maps.mean())
        (torch.Size([1, 3, 8, 16, 16]), True)
    """

    def __init__(self, forward_func: Callable, layout: str | Layout = "n c t h w") -> None:
        super().__init__(forward_func)
        self.layout = Layout.of(layout)

    @log_usage()
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        areas: Sequence[float] = AREAS,
        baselines: Baseline | tuple[Baseline, ...] = None,
        target: Target = None,
        additional_forward_args: Any = None,
        perturbations_per_eval: PerturbationsPerEval = "auto",
        show_progress: bool = False,
        *,
        goal: Goal = "preserve",
        over: Over = "space-time",
        grid_shape: Grid | tuple[Grid, ...] | None = None,
        core: tuple[int, int, int] | None = None,
        substrate: SubstrateName = "fade",
        activation: Activation = "softmax",
        max_iterations: int = 24,
        tolerance: float = 0.0,
        initial: Tensor | tuple[Tensor, ...] | None = None,
        generator: torch.Generator | None = None,
        inputs_together: bool = True,
    ) -> Tensor | tuple[Tensor, ...]:
        """Search a mask of every area, and average.

        Args:
            inputs: clips in the declared layout, or a tuple of them (visible and infrared, say).
            areas: shares of the volume, in (0, 1). At least one voxel (one frame) is kept.
            baselines: what hides, with ``substrate="fade"``: None (zero), a number, a tensor, a
                function of `captum_video.baselines`, or one per input.
            target: Captum's `target <https://captum.ai/api/occlusion.html>`_.
            additional_forward_args: Captum's; tensors have one entry per clip.
            perturbations_per_eval: masks per clip and pass, or ``"auto"``; no effect on the map, but
                for rounding.
            show_progress: show a progress bar, counted in iterations of masks.
            goal: ``"preserve"`` the score by what the mask shows, ``"delete"`` it by hiding that, or
                ``"both"`` at once, in twice the time.
            over: masks over ``"space-time"``, or over ``"time"``: whole frames, one value each.
            grid_shape: nodes of the masks over frames, height and width, at most one a voxel; None
                for one of them: masks do not vary along that axis. Or one such triple per input, where
                each has masks of its own. None: 16 x 8 x 8, or as many as there are voxels.
            core: frames, height and width of the ellipsoid of which masks are to be made (STEP), cut
                to the clip; None leaves their shape free.
            substrate: what stands where the mask is 0: ``"fade"`` into ``baselines``; ``"blur"``, the
                more the lower the mask; or, of masks over time (Mänttäri et al., ACCV 2020,
                arXiv 2002.00367), ``"freeze"``: the last frame shown stays, ``"reverse"``: hidden
                stretches are played backwards.
            activation: ``"softmax"``: the search is for log probabilities. None: for the raw score, as
                a share of what lies between the clip's and the hidden clip's.
            max_iterations: of a search.
            tolerance: a search ends where an iteration moves the nodes by no more than this on
                average; 0 ends it where nothing moves.
            initial: attributions to start from, like the inputs or with one channel: each search
                begins in the region where they are highest.
            generator: draws what breaks ties at the start.
            inputs_together: one mask for all inputs, which are equally long and large. Otherwise
                each has its own, and an area is that of all of them, each the same share of the
                whole: the map tells in *which* input the evidence is, too.

        Returns:
            Shape of the inputs, in [0, 1]; the same map over all channels, and over all inputs where
            these share masks: the share of the areas whose region the place is in. Higher is more
            important.

        Raises:
            TypeError: an input of a wrong kind.
            ValueError: an option out of range or of no use, inputs of different extents that are to
                share masks, clips that are empty or not finite, a target out of range, probabilities
                asked of a single score.

        Cost:
            At most ``max_iterations`` passes forward and backward for each area and clip (twice as many
            for both goals), and two to four passes forward. Memory of one chunk of clips with
            what a backward pass needs; it does not grow with the iterations.

        Randomness:
            Values of 0.01 and less that tell nodes of the start apart, the same for all clips, from
            ``generator``; None is a generator seeded with 0.
        """
        found = self.solve(
            inputs,
            areas,
            baselines,
            target,
            additional_forward_args,
            perturbations_per_eval,
            show_progress,
            goal=goal,
            over=over,
            grid_shape=grid_shape,
            core=core,
            substrate=substrate,
            activation=activation,
            max_iterations=max_iterations,
            tolerance=tolerance,
            initial=initial,
            generator=generator,
            inputs_together=inputs_together,
        )
        is_tuple, clips = clips_of(inputs, self.layout)
        masks = found.masks if isinstance(found.masks, tuple) else (found.masks,) * len(clips)
        maps = tuple(
            spread_over_channels(one.mean(1, keepdim=True), clip, self.layout)
            for one, clip in zip(masks, clips, strict=True)
        )
        return maps if is_tuple else maps[0]

    def solve(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        areas: Sequence[float] = AREAS,
        baselines: Baseline | tuple[Baseline, ...] = None,
        target: Target = None,
        additional_forward_args: Any = None,
        perturbations_per_eval: PerturbationsPerEval = "auto",
        show_progress: bool = False,
        *,
        goal: Goal = "preserve",
        over: Over = "space-time",
        grid_shape: Grid | tuple[Grid, ...] | None = None,
        core: tuple[int, int, int] | None = None,
        substrate: SubstrateName = "fade",
        activation: Activation = "softmax",
        max_iterations: int = 24,
        tolerance: float = 0.0,
        initial: Tensor | tuple[Tensor, ...] | None = None,
        generator: torch.Generator | None = None,
        inputs_together: bool = True,
    ) -> ExtremalMasks:
        """The masks that `attribute` averages, and what each is worth.

        Args:
            inputs: as for `attribute`, and so are the other arguments.
            areas: shares of the volume.
            baselines: what hides.
            target: Captum's target.
            additional_forward_args: Captum's.
            perturbations_per_eval: masks per clip and pass, or ``"auto"``.
            show_progress: show a progress bar.
            goal: what the mask is to do.
            over: space and time, or time.
            grid_shape: nodes over frames, height and width.
            core: of the masks.
            substrate: what stands where the mask is 0.
            activation: ``"softmax"`` or None.
            max_iterations: of a search.
            tolerance: when a search ends.
            initial: attributions to start from.
            generator: breaks ties.
            inputs_together: see `attribute`.

        Returns:
            `ExtremalMasks`, in the axis order of clips.

        Raises:
            TypeError: as `attribute`.
            ValueError: as `attribute`.

        Example:
            >>> model = lambda clip: clip.mean((1, 3, 4))
            >>> found = ExtremalPerturbation3D(model).solve(
            ...     torch.rand(2, 1, 4, 8, 8), (0.25, 0.5), target=1, over="time", max_iterations=9
            ... )
            >>> found.masks.shape, found.kept.shape, found.losses.shape
            (torch.Size([2, 2, 4, 8, 8]), torch.Size([2, 2]), torch.Size([2, 2, 9]))
        """
        is_tuple, clips = clips_of(inputs, self.layout)
        wanted = checked_areas(areas, clips[0])
        check_options(goal, over, substrate, activation, max_iterations, tolerance, grid_shape)
        shape = None if core is None else window_of(core, "core")
        with torch.inference_mode(False), torch.no_grad():
            clips = tuple(clip.clone() if clip.is_inference() else clip for clip in clips)
            searched = masked_apart(clips, inputs_together)
            grids = grids_of(searched, grid_shape, over)
            wanted = wanted.to(map_dtype(clips[0].dtype))
            question = Question(
                self.forward_func,
                clips,
                substrates_of(substrate, baselines, clips, self.layout),
                self.layout,
                target,
                arguments_of(additional_forward_args, len(clips[0])),
                activation,
                goal,
            )
            spaces = [
                SmoothMasks(extent_of(clip), grid, wanted)
                for clip, grid in zip(searched, grids, strict=True)
            ]
            start = starting_nodes(
                grids,
                wanted,
                maps_to_start_from(initial, clips, self.layout, inputs_together),
                generator or torch.Generator().manual_seed(0),
            )
            search = Search(question, spaces, wanted, start, max_iterations, tolerance, shape)
            parts = _run(search, perturbations_per_eval, show_progress)
            return _in_place(parts, searched, len(wanted), is_tuple and not inputs_together)


def _run(search: Search, size: PerturbationsPerEval, show_progress: bool) -> list[Found]:
    """Search all rows, chunk by chunk."""
    clips = search.question.clips
    n_rows = len(clips[0]) * len(search.areas)
    if size != "auto" and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise ValueError(
            f"perturbations_per_eval: expected a whole number of at least 1 or 'auto', got {size!r}"
        )
    row = [clip[0] for clip in clips]
    found = ChunkSize(search.question.forward_func, row, "gradients")
    if size == "auto":
        fitting, after = found.first(rows_that_fit(row, _GPU_COPIES)), found.after
    else:
        fitting, after = size * len(clips[0]), None

    def release() -> None:
        if clips[0].is_cuda:
            torch.cuda.empty_cache()
        found.failed()

    with progress_bar(show_progress, n_rows * search.max_iterations, "Extremal masks") as bar:
        chunks = run_in_chunks(
            n_rows,
            min(fitting, n_rows),
            lambda first, last, _: search(range(first, last), bar.update),
            may_shrink=size == "auto",
            release=release,
            after=after,
        )
        return [found for _, _, found in chunks]


def _in_place(
    parts: list[Found], clips: Sequence[Tensor], n_areas: int, apart: bool
) -> ExtremalMasks:
    """Rows as clips and areas, masks as large as their clips."""

    def unfolded(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts]).unflatten(0, (-1, n_areas))

    masks = tuple(
        torch.cat([part.masks[i][:, 0] for part in parts])
        .unflatten(0, (-1, n_areas))
        .expand(-1, -1, *extent_of(clip))
        for i, clip in enumerate(clips)
    )
    return ExtremalMasks(
        masks if apart else masks[0],
        *map(unfolded, ("kept", "left", "iterations", "losses")),
    )
