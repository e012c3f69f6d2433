"""Checks of sanity: does the map depend on what the network has learned?"""

import torch
from torch import Tensor, nn

from benchmarks_kth_mad.checks.bench import Answer, Bench
from benchmarks_kth_mad.methods import attribute
from captum_video.metrics import parameter_randomization

_ALL_LAYERS = [""]


def likeness_to_random_network(bench: Bench, answer: Answer) -> Tensor:
    """Rank correlation of a map with that of the network once all of its layers are drawn anew.

    It is the last step of the cascade, and the only one that is made. A random map, drawn again by
    the same seed, has 1: it is the map that knows nothing of the network.
    """

    def explain(model: nn.Module) -> Tensor:
        maps = attribute(answer.method, model, bench.clips, bench.targets, answer.options)  # type: ignore[arg-type]  # a copy of the bench's
        return _in_one(maps)

    generator = torch.Generator().manual_seed(bench.settings.options.seed)
    found = parameter_randomization(
        bench.model, explain, _in_one(answer.maps), generator, layers=_ALL_LAYERS
    )
    return found.similarity[-1]


def _in_one(maps: tuple[Tensor, ...]) -> Tensor:
    """One channel of each input's map, all in one row."""
    return torch.cat([one[:, :1].detach().flatten(1) for one in maps], 1).float()
