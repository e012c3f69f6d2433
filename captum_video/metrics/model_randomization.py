"""Model parameter randomisation: whether a map depends on what the network has learnt."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from captum_video._captum import progress_bar
from captum_video.metrics._energy import checked_maps
from captum_video.metrics._ranks import rank_correlation
from captum_video.metrics._scale import min_max

Similarity = Literal["spearman", "ssim"] | Callable[[Tensor, Tensor], Tensor]
_SSIM_WINDOW = 11


@dataclass(frozen=True)
class ParameterRandomization:
    """How alike maps stay while a network forgets, layer by layer.

    Attributes:
        layers: names in the order in which they were drawn anew.
        similarity: (layers, N), of the maps after each step with those of the network as it was.
    """

    layers: tuple[str, ...]
    similarity: Tensor

    higher_is_better: ClassVar[bool] = False


@torch.no_grad()
def parameter_randomization(
    model: nn.Module,
    explain: Callable[[nn.Module], Tensor],
    attributions: Tensor | None = None,
    generator: torch.Generator | None = None,
    *,
    similarity: Similarity = "spearman",
    layers: Sequence[str] | None = None,
    cascading: bool = True,
    show_progress: bool = False,
) -> ParameterRandomization:
    """Similarity of maps before and after the network's weights are drawn anew. Lower is better.

    From the last layer to the first, each layer is put back to what it was before training, on top of
    those after it (cascading) or by itself alone, and the maps are made again (Adebayo et al., Sanity
    Checks for Saliency Maps, arXiv 1810.03292). Maps that stay as they were do not come from what the
    network learnt, but from the clip and the architecture, as an edge detector's would.

    A layer is a module with parameters of its own, and is drawn anew by its ``reset_parameters``; a
    parameter which that leaves as it was, or that has none, has its values permuted instead, which
    keeps their scale. Batch norm so becomes scale 1, shift 0, mean 0 and variance 1. The order is that
    in which the modules were registered, reversed; where that is not the order in which they
    run, give ``layers``.

    Args:
        model: the network; it is copied, and never touched.
        explain: takes a network and returns its maps (N, ...), always of the same clips and targets,
            with the same seed where it draws: ``lambda m: GradCAM3D(m, "layer3").attribute(clip,
            target=2)``. It gets copies in eval mode; name layers, because a module given as an object
            is not part of the copy.
        attributions: the maps of the network as it is; None: ``explain`` makes them.
        generator: draws one seed per layer, so that a layer gets the same values whether cascading
            or not; None: one seeded with 0. Draws are made on the CPU, whatever the device.
        similarity: ``"spearman"``, rank correlation over all voxels, 0 where a map is constant;
            ``"ssim"``, the mean structural similarity of the frames of maps (N, C, T, H, W) or
            (N, T, H, W), scaled to [0, 1] by `min_max`; or a function of two batches of maps, float64,
            that returns (N,). Take absolute values in ``explain`` where the sign says nothing.
        layers: names of modules, in the order to draw them anew; each stands for all layers inside
            it, so that blocks can be taken as a whole. None: every layer by itself.
        cascading: keep what was drawn anew; or put each layer back before the next.
        show_progress: show a progress bar, counted in layers.

    Returns:
        Names of the layers, and similarities (layers, N), float64; near 0 is what a map should have
        once the network is all random.

    Raises:
        TypeError: no module; maps that are no floating-point tensor.
        ValueError: no such layer, a network without layers, maps of another shape or not finite, an
            unknown similarity.

    Cost:
        One call of ``explain`` per layer, and one more; a copy of the network in memory.

    Randomness:
        The global state of torch is used by ``reset_parameters`` and put back; a CUDA device's is
        not used. What ``explain`` draws is its own.

    Note:
        It lies towards similarity where maps are smooth or coarse, because their centre or their
        border is alike whatever the network, and for maps multiplied by the input. It lies the
        other way where a random network is so saturated that its gradients vanish: then everything
        is dissimilar. To pass is needed and not enough: random maps pass.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 3))
        >>> clip = torch.rand(1, 1, 2, 2, 2)
        >>> edges = parameter_randomization(model, lambda m: clip)
        >>> edges.layers, edges.similarity
        (('1',), tensor([[1.]], dtype=torch.float64))
    """
    groups = _groups(model, layers)
    seeds = _seeds(model, generator)
    compare = _similarity(similarity)
    before = _maps(explain, _copy(model), "of the network as it is", attributions)
    found = []
    network = _copy(model)
    with progress_bar(show_progress, len(groups), "Parameter randomization") as bar:
        for name, group in groups.items():
            network = network if cascading else _copy(model)
            for one in group:
                _draw_anew(network.get_submodule(one), seeds[one])
            after = _maps(explain, network, f"after {name!r} was drawn anew")
            if after.shape != before.shape:
                raise ValueError(
                    f"explain: expected maps of shape {tuple(before.shape)} after {name!r} was drawn "
                    f"anew, got {tuple(after.shape)}"
                )
            found.append(compare(before, after.to(before.device)))
            bar.update(1)
    return ParameterRandomization(tuple(groups), torch.stack(found))


def _copy(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).eval()


def _maps(
    explain: Callable[[nn.Module], Tensor],
    network: nn.Module,
    when: str,
    given: Tensor | None = None,
) -> Tensor:
    if given is not None:
        return checked_maps(given)
    with torch.enable_grad():
        found = explain(network)
    try:
        return checked_maps(found)
    except (TypeError, ValueError) as error:
        raise type(error)(f"explain: the maps {when}: {error}") from error


def _own(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters(recurse=False))


def _learnt(module: nn.Module) -> bool:
    """Whether training leaves something in the module itself: parameters, or running statistics."""
    statistics = (
        hasattr(module, "reset_parameters") and len(list(module.buffers(recurse=False))) > 0
    )
    return bool(_own(module)) or statistics


def _names(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if _learnt(module)][::-1]


def _groups(model: nn.Module, layers: Sequence[str] | None) -> dict[str, list[str]]:
    """Layers to draw anew at each step, by the name of the step.

    Raises:
        TypeError: no module.
        ValueError: no such module, or nothing to draw in it.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a module, got {type(model).__name__}")
    names = _names(model)
    if layers is None:
        groups = {name: [name] for name in names}
    else:
        groups = {
            one: [name for name in names if one in ("", name) or name.startswith(f"{one}.")]
            for one in layers
        }
    empty = [name for name, group in groups.items() if not group]
    if empty or not groups:
        raise ValueError(
            f"layers: expected names of modules with parameters, got {empty or 'none'}; there are "
            f"{names}"
        )
    return groups


def _seeds(model: nn.Module, generator: torch.Generator | None) -> dict[str, int]:
    generator = generator or torch.Generator().manual_seed(0)
    names = _names(model)
    drawn = torch.randint(2**62, (len(names),), generator=generator, device=generator.device)
    return dict(zip(names, drawn.tolist(), strict=True))


def _draw_anew(layer: nn.Module, seed: int) -> None:
    """Put a layer's own parameters and buffers back to what they were before training."""
    fresh = copy.deepcopy(layer).cpu()
    reset = getattr(fresh, "reset_parameters", None)
    if callable(reset):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            reset()
    generator = torch.Generator().manual_seed(seed)
    for parameter, drawn in zip(_own(layer), _own(fresh), strict=True):
        if torch.equal(parameter.cpu(), drawn):
            order = torch.randperm(drawn.numel(), generator=generator)
            drawn.copy_(drawn.flatten()[order].view_as(drawn))
        parameter.copy_(drawn)
    for buffer, known in zip(
        layer.buffers(recurse=False), fresh.buffers(recurse=False), strict=True
    ):
        buffer.copy_(known)


def _similarity(name: Similarity) -> Callable[[Tensor, Tensor], Tensor]:
    if name == "spearman":
        return lambda a, b: rank_correlation(a.flatten(1), b.flatten(1))
    if name == "ssim":
        return _ssim
    if callable(name):
        return name
    raise ValueError(f"similarity: expected 'spearman', 'ssim' or a function, got {name!r}")


def _ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity of the frames of two batches of maps, each scaled to [0, 1]."""
    from kornia.metrics import ssim  # kornia takes seconds to import

    if a.ndim not in (4, 5):
        raise ValueError(
            f"explain: 'ssim' compares maps (N, C, T, H, W) or (N, T, H, W), got {tuple(a.shape)}"
        )
    a, b = (min_max(one).flatten(1, -3) for one in (a, b))  # (N, frames, H, W)
    smallest = min(a.shape[-2:])
    window = min(_SSIM_WINDOW, smallest - 1 + smallest % 2)
    return ssim(a, b, max(window, 1)).mean((1, 2, 3))
