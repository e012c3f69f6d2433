"""The study: train every network on every layout, take its gradients, compare them with the boxes.

Ismail, Gunady, Pessoa, Corrada Bravo, Feizi: Input-Cell Attention Reduces Vanishing Saliency of
Recurrent Neural Networks, NeurIPS 2019, arXiv 1910.12370.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from captum.attr import Saliency
from torch import Tensor, nn

from benchmarks_kth_mad.boxes.networks import NETWORKS, Sizes
from benchmarks_kth_mad.boxes.series import LAYOUTS, Series, draw
from benchmarks_kth_mad.boxes.training import BoxRecipe, fit
from benchmarks_kth_mad.training.surroundings import reproducible
from captum_video.metrics import euclidean_distance, min_max, weighted_jaccard
from captum_video.nn import recurrent_gradients

EDGE = 10
_CHUNK = 100


@dataclass(frozen=True)
class Scores:
    """What a cell of the table is made of; means over the test series.

    Args:
        weighted_jaccard: of the saliency and the box, higher is better.
        euclidean: likewise, lower is better.
        accuracy: share of test series labelled right.
        in_box: share of the saliency (not rescaled) on the box.
        in_time: share of it on the steps of the box, whatever the feature.
        first_over_last: mean saliency of the first ten steps over that of the last ten.
        epochs: of training.
        train_accuracy: counted during the last epoch.
    """

    weighted_jaccard: float
    euclidean: float
    accuracy: float
    in_box: float
    in_time: float
    first_over_last: float
    epochs: int
    train_accuracy: float


@dataclass(frozen=True)
class Result:
    """Scores of one network on one layout, and its mean rescaled saliency (steps, features)."""

    scores: Scores
    mean_map: Tensor


def run_cell(
    layout: str,
    network: str,
    recipe: BoxRecipe,
    sizes: Sizes,
    seed: int,
    device: str,
    on_epoch: Callable[[int, float], None] = lambda epoch, accuracy: None,
    n_series: tuple[int | None, int | None] = (None, None),
) -> Result:
    """Train one network on one layout and explain the test series.

    Args:
        layout: one of `LAYOUTS`.
        network: one of `NETWORKS`.
        recipe: of training.
        sizes: of the network.
        seed: of everything; a cell of the table depends on no other.
        device: ``"cpu"`` or ``"cuda"``.
        on_epoch: see `fit`.
        n_series: of training and test set; as the layout has them where None.

    Returns:
        Scores and mean map.
    """
    training_set, test_set = _sets(layout, seed, device, n_series)
    with reproducible(_seed(seed, layout, network)):
        model = NETWORKS[network].build(sizes).to(device)
        order = torch.Generator().manual_seed(_seed(seed, layout, network, "order"))
        accuracies = fit(model, training_set, recipe, order, on_epoch)
    model.eval()
    maps = saliency(model, test_set)
    return Result(_scores(model, test_set, maps, accuracies), min_max(maps).mean(0).cpu())


def saliency(model: nn.Module, series: Series) -> Tensor:
    """Absolute gradient of the logit of each series' class, (N, steps, features)."""
    parts = []
    with recurrent_gradients(model):
        for inputs, labels in zip(
            series.inputs.split(_CHUNK), series.labels.split(_CHUNK), strict=True
        ):
            parts.append(Saliency(model).attribute(inputs.clone().requires_grad_(), labels))
    return torch.cat(parts).detach()


def _sets(
    layout: str, seed: int, device: str, n_series: tuple[int | None, int | None]
) -> tuple[Series, Series]:
    """Training and test set on the device, each feature scaled by the training set's moments."""
    where = LAYOUTS[layout]
    counts = (n_series[0] or where.n_train, n_series[1] or where.n_test)
    training_set, test_set = (
        draw(where, count, torch.Generator().manual_seed(_seed(seed, layout, split)))
        for split, count in zip(("train", "test"), counts, strict=True)
    )
    deviation, mean = torch.std_mean(training_set.inputs, dim=(0, 1))
    for one in (training_set, test_set):
        one.inputs.sub_(mean).div_(deviation)
    return (
        Series(*(tensor.to(device) for tensor in training_set)),
        Series(*(tensor.to(device) for tensor in test_set)),
    )


def _scores(model: nn.Module, series: Series, maps: Tensor, accuracies: list[float]) -> Scores:
    with torch.no_grad():
        logits = torch.cat([model(inputs) for inputs in series.inputs.split(_CHUNK)])
    steps = series.reference.any(2, keepdim=True)
    mass = maps.double()
    mass = mass / mass.sum((1, 2), keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    edges = mass[:, :EDGE].sum() / mass[:, -EDGE:].sum()
    return Scores(
        weighted_jaccard=weighted_jaccard(maps, series.reference).mean().item(),
        euclidean=euclidean_distance(maps, series.reference).mean().item(),
        accuracy=(logits.argmax(1) == series.labels).double().mean().item(),
        in_box=(mass * series.reference).sum((1, 2)).mean().item(),
        in_time=(mass * steps).sum((1, 2)).mean().item(),
        first_over_last=edges.item(),
        epochs=len(accuracies),
        train_accuracy=accuracies[-1],
    )


def _seed(*names: object) -> int:
    """Seeds that differ by what they are for, and agree between runs and machines."""
    return zlib.crc32(" ".join(map(str, names)).encode())
