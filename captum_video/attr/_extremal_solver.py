"""The search for the best mask of every area: each row on its own, in batches of rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from captum_video._captum import Target, forward, select, take_arguments, take_target
from captum_video.attr._extremal_masks import SmoothMasks, area_loss, core_loss
from captum_video.attr._extremal_substrates import Substrate
from captum_video.clips import Extent, Layout
from captum_video.modes import full_precision

Goal = Literal["preserve", "delete", "both"]
Activation = Literal["softmax"] | None
AREA_WEIGHTS = (0.1, 1000.0)
CORE_SHARE = 0.01
LEARNING_RATE = 0.2
MOMENTUM = 0.9
MEMORY = 0.9
TINY = 1e-12
LOW, HIGH = 0.25, 0.75
NOISE = 0.02
NEARLY_CERTAIN = -1e-15
"""The largest log probability that float64 tells from 0."""


@dataclass(frozen=True)
class Question:
    """Which network and clips, what hides, and whether the score is to be kept or destroyed."""

    forward_func: Callable
    clips: tuple[Tensor, ...]
    substrates: Sequence[Substrate]
    layout: Layout
    target: Target
    arguments: tuple | None
    activation: Activation
    goal: Goal

    def scores(self, rows: Sequence[int], masks: Sequence[Tensor]) -> Tensor:
        """Scores (R,) of these clips, each input behind its mask; float64, probabilities as logs."""
        masks = masks if len(masks) == len(self.clips) else [*masks] * len(self.clips)
        with full_precision(self.clips[0]):
            blended = [
                substrate(clip, rows, mask.to(clip))
                for substrate, clip, mask in zip(self.substrates, self.clips, masks, strict=True)
            ]
        inputs = tuple(self.layout.from_clip(clip) for clip in blended)
        arguments = take_arguments(self.arguments, rows)
        values = forward(self.forward_func, inputs, arguments, gradients=True).double()
        if self.activation is not None:
            if values.ndim < 2 or values.shape[1] < 2:
                raise ValueError(
                    f"forward_func: expected outputs (clips, classes) of at least two classes, got "
                    f"{tuple(values.shape)}; pass activation=None to take the score as it is"
                )
            values = values.log_softmax(1)
        scores = select(values, take_target(self.target, rows, len(self.clips[0])), len(rows))
        if not torch.isfinite(scores).all():
            raise ValueError("forward_func: expected finite scores, got NaN or infinity")
        return scores

    @property
    def ways(self) -> tuple[bool, ...]:
        """Whether a mask shows its region, hides it, or is tried both ways."""
        return {"preserve": (True,), "delete": (False,), "both": (True, False)}[self.goal]

    def ends(self, clip: int) -> Tensor:
        """Scores of the whole clip and of what is left where all of it is hidden: (2,)."""
        with torch.no_grad():
            scores = [
                self.scores([clip], [c.new_full((1, 1, *c.shape[2:]), shown) for c in self.clips])
                for shown in (1.0, 0.0)
            ]
        return torch.cat(scores)

    def losses(self, scores: Tensor, ends: Tensor, keeps: bool) -> Tensor:
        """What is to be small where the mask keeps, or where it hides: (R,).

        ``-log p``, or ``-log(1 - p)``; of raw scores the share of the way from the whole clip to the
        hidden one, or back, so that its unit does not matter.
        """
        if self.activation is not None:
            if keeps:
                return -scores
            return -torch.log(-torch.expm1(scores.clamp_max(NEARLY_CERTAIN)))
        whole, hidden = ends
        gap = (whole - hidden).abs()
        gap = torch.where(gap > 0, gap, torch.ones_like(gap))
        return (whole - scores if keeps else scores - hidden) / gap


class Found(NamedTuple):
    """Of R rows: masks (R, 1, T, H, W) of each set, scores kept and left, iterations and losses."""

    masks: list[Tensor]
    kept: Tensor
    left: Tensor
    iterations: Tensor
    losses: Tensor


class _State(NamedTuple):
    """Of the rows that are still searched: their places, and what the search knows of them."""

    places: Tensor
    nodes: list[Tensor]
    momentum: list[Tensor]
    squares: Tensor

    def of(self, chosen: Tensor) -> "_State":
        return _State(
            self.places[chosen],
            [one[chosen] for one in self.nodes],
            [one[chosen] for one in self.momentum],
            self.squares[chosen],
        )


@dataclass(frozen=True)
class Search:
    """A search for each area of each clip: rows are all areas of the first clip, then of the next.

    Args:
        question: what is asked.
        spaces: of the masks: one for all inputs, or one each.
        areas: (A,), the share of the volume that each may keep.
        start: for each space, nodes (N or 1, A, t, h, w) to begin with.
        max_iterations: after which a search ends.
        tolerance: mean change of the nodes at which it ends before.
        core: of the masks; None for any shape.
    """

    question: Question
    spaces: Sequence[SmoothMasks]
    areas: Tensor
    start: Sequence[Tensor]
    max_iterations: int
    tolerance: float
    core: Extent | None

    def __call__(self, rows: range, report: Callable[[int], object]) -> Found:
        """Search these rows, each on its own.

        Args:
            rows: their numbers.
            report: told of iterations that are over, of all rows together.
        """
        with torch.inference_mode(False), torch.enable_grad():
            numbers = torch.tensor(rows, device=self.areas.device)
            clips, areas = numbers // len(self.areas), self.areas[numbers % len(self.areas)]
            state = self._begin(numbers)
            ends = self._ends(clips)
            nodes = [one.clone() for one in state.nodes]
            iterations = torch.zeros_like(numbers)
            losses = areas.new_full((len(rows), self.max_iterations), torch.nan)
            for iteration in range(self.max_iterations):
                at = state.places
                loss, slopes = self._slopes(
                    state.nodes, clips[at].tolist(), areas[at], ends[:, at], iteration
                )
                moved = self._step(state, slopes, iteration)
                losses[at, iteration] = loss.to(losses)
                iterations[at] = iteration + 1
                for kept, one in zip(nodes, state.nodes, strict=True):
                    kept[at] = one
                over = moved <= self.tolerance
                report(len(at) + int(over.sum()) * (self.max_iterations - iteration - 1))
                if over.all():
                    break
                if over.any():
                    state = state.of(~over)
            return self._found(nodes, clips.tolist(), iterations, losses)

    def _begin(self, numbers: Tensor) -> _State:
        nodes = [
            one[numbers // len(self.areas) if len(one) > 1 else 0, numbers % len(self.areas)]
            for one in self.start
        ]
        zeros = [torch.zeros_like(one) for one in nodes]
        places = torch.arange(len(numbers), device=numbers.device)
        return _State(places, nodes, zeros, self.areas.new_zeros(len(numbers)))

    def _ends(self, clips: Tensor) -> Tensor:
        """Scores of the whole clips and of the hidden ones (2, R), where the loss needs them."""
        found = self.areas.new_zeros((2, len(clips)), dtype=torch.float64)
        if self.question.activation is None:
            for clip in clips.unique().tolist():
                found[:, clips == clip] = self.question.ends(clip)[:, None]
        return found

    def _slopes(
        self, nodes: list[Tensor], clips: list[int], areas: Tensor, ends: Tensor, iteration: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Losses (R,), and how they change with the nodes."""
        leaves = [one.detach().requires_grad_() for one in nodes]
        masks = self._masks(leaves)
        losses = areas.new_zeros(len(areas), dtype=torch.float64)
        slopes = [torch.zeros_like(mask) for mask in masks]
        for keeps in self.question.ways:
            seen = [mask.detach().requires_grad_() for mask in masks]
            scores = self.question.scores(clips, seen if keeps else [1 - mask for mask in seen])
            loss = self.question.losses(scores, ends, keeps)
            if not loss.requires_grad:
                raise ValueError(
                    "forward_func: expected a score that is differentiable in the inputs"
                )
            found = torch.autograd.grad(loss.sum(), seen, materialize_grads=True)
            slopes = [total + one for total, one in zip(slopes, found, strict=True)]
            losses = losses + loss.detach()
        shape = self._shape_loss(masks, areas, slopes, iteration / self.max_iterations)
        found = torch.autograd.grad([shape, *masks], leaves, [torch.ones_like(shape), *slopes])
        return losses + shape.detach(), list(found)

    def _masks(self, nodes: list[Tensor]) -> list[Tensor]:
        with full_precision(self.areas):
            return [space(one) for space, one in zip(self.spaces, nodes, strict=True)]

    def _shape_loss(
        self, masks: list[Tensor], areas: Tensor, slopes: list[Tensor], progress: float
    ) -> Tensor:
        """What the masks lack in area and core: (R,)."""
        first, last = AREA_WEIGHTS
        weight = first * (last / first) ** progress
        with full_precision(areas):
            loss = weight * area_loss(masks, areas, slopes)
            if self.core is not None:
                parts = [core_loss(mask, areas, self.core) for mask in masks]
                loss = loss + CORE_SHARE * weight * torch.stack(parts).mean(0)
        return loss

    def _step(self, state: _State, slopes: list[Tensor], iteration: int) -> Tensor:
        """Move the nodes; by how much on average: (R,).

        Momentum over the root mean square slope of all nodes of the row, at a rate that falls to 0.
        A scale for each node, as Adam has, would drive all nodes that help at all to 1 at one
        speed, where nothing tells the best of them.
        """
        rate = LEARNING_RATE * (1 - iteration / self.max_iterations)
        every = torch.cat([slope.flatten(1) for slope in slopes], dim=1)
        state.squares.lerp_(every.square().mean(1), 1 - MEMORY)
        size = (state.squares / (1 - MEMORY ** (iteration + 1))).sqrt().clamp_min(TINY)
        moved = []
        for nodes, momentum, slope in zip(state.nodes, state.momentum, slopes, strict=True):
            momentum.lerp_(slope, 1 - MOMENTUM)
            step = momentum / (1 - MOMENTUM ** (iteration + 1)) / size[:, None, None, None]
            new = (nodes - rate * step).clamp(0, 1)
            moved.append((new - nodes).abs().flatten(1))
            nodes.copy_(new)
        return torch.cat(moved, dim=1).mean(1)

    def _found(
        self, nodes: list[Tensor], clips: list[int], iterations: Tensor, losses: Tensor
    ) -> Found:
        with torch.no_grad():
            masks = self._masks(nodes)
            kept = self.question.scores(clips, masks)
            left = self.question.scores(clips, [1 - mask for mask in masks])
        if self.question.activation is not None:
            kept, left = kept.exp(), left.exp()
        return Found(masks, kept.to(losses), left.to(losses), iterations, losses)


def starting_nodes(
    grids: Sequence[Extent],
    areas: Tensor,
    initial: Sequence[Tensor] | None,
    generator: torch.Generator,
) -> list[Tensor]:
    """Nodes (N or 1, A, t, h, w) for each grid: half-way, or higher where a map (N, 1, T, H, W) is."""
    found = []
    for i, grid in enumerate(grids):
        noise = torch.rand((1, 1, *grid), generator=generator, device=generator.device)
        level = areas.new_full((1, len(areas), 1, 1, 1), 0.5)
        if initial is not None:
            small = functional.adaptive_avg_pool3d(
                initial[i], (grid.frames, grid.height, grid.width)
            ).flatten(1)
            ranks = small.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
            shares = (ranks.to(areas) + 0.5).unflatten(1, (1, *grid)) / small.shape[1]
            level = torch.where(shares < areas.view(1, -1, 1, 1, 1), HIGH, LOW).to(areas)
        found.append(level + NOISE * (noise.to(areas) - 0.5))
    return found
