"""How many masks RISE needs: the error of its estimators against a map from many masks."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks_kth_mad import seeds
from benchmarks_kth_mad.choice import spread_evenly
from benchmarks_kth_mad.commands import checkpoint_of
from benchmarks_kth_mad.console import shows_progress
from benchmarks_kth_mad.evaluation import load_explained
from benchmarks_kth_mad.methods import BASELINES, Clips, Options, rise_grid
from benchmarks_kth_mad.runs import Run
from captum_video.attr import _rise_estimators as estimators
from captum_video.attr._rise_streams import changes_of
from captum_video.baselines import resolve
from captum_video.clips import Layout, extent_of
from captum_video.masks import RandomGrids
from captum_video.perturb import perturbed_scores

ESTIMATORS = ("expectation", "coverage", "regression")
SCORES = ("logit", "softmax")
KEEP_PROBABILITY = 0.5
LAYOUT = Layout.of("n c t h w")


def convergence_table(
    model: nn.Module,
    clips: Clips,
    targets: Tensor,
    counts: Sequence[int],
    converged: int,
    baseline: str,
    n_seeds: int = 3,
    seed: int = 0,
) -> pd.DataFrame:
    """Squared error of maps from few masks, over the variance of the converged map.

    The network sees every mask once: maps from fewer masks are of the first of more, logit and
    probability come of one pass. The error that the converged map has by its own standard errors is
    taken off both the squared error and the variance. Clips of which that error, squared, is more than
    half of the variance do not count: their maps are too flat for so few masks.

    Args:
        model: clips to logits.
        clips: (N, C, T, H, W), one for each input of the model.
        targets: (N,), the class explained.
        counts: numbers of masks.
        converged: masks of the map that counts as true, by regression; drawn on their own.
        baseline: what hides; see `benchmarks_kth_mad.methods.BASELINES`.
        n_seeds: draws of masks that the error is averaged over.
        seed: of all draws.

    Returns:
        One row per score (logit, softmax), number of masks and estimator, and how many clips count; NaN
        where none does. ``pooled``: errors summed over clips and draws, over the variances summed;
        ``median``: over clips, of each one's own ratio; the regression's mean leave-one-out R².
    """
    streams = [
        RandomGrids(
            extent_of(clips[0]),
            rise_grid(clips[0]),
            KEEP_PROBABILITY,
            converged if draw == 0 else max(counts),
            torch.Generator().manual_seed(seeds.of_rank(seed, draw)),
            clips[0].device,
        )
        for draw in range(1 + n_seeds)
    ]
    hidden = resolve(BASELINES[baseline], clips, LAYOUT)
    scores = _scores(model, clips, targets, hidden, streams)
    changes = changes_of(clips, hidden, streams[:1]).repeat(len(SCORES), 1)
    (known,) = estimators.regression(streams[:1], scores[0], True, changes)
    if known.standard_errors is None:
        raise RuntimeError("the converged map has no standard errors")
    doubt = _mean_square(known.standard_errors)
    variance = known.maps.flatten(1).var(1, correction=0) - doubt  # (2 N,)
    sure = doubt < variance / 2
    rows = []
    for count in counts:
        for estimator in ESTIMATORS:
            found = [
                estimators.named(estimator)(
                    [masks.part(slice(count))], seen[:, :count], False, changes
                )[0]
                for masks, seen in zip(streams[1:], scores[1:], strict=True)
            ]
            squares = [_mean_square(one.maps - known.maps) for one in found]
            error = torch.stack(squares).mean(0) - doubt
            fits = [one.r_squared for one in found if one.r_squared is not None]
            for place, score in enumerate(SCORES):
                own = torch.zeros_like(sure)
                own[place * len(targets) : (place + 1) * len(targets)] = True
                own &= sure
                rows.append(
                    {
                        "score": score,
                        "masks": count,
                        "estimator": estimator,
                        "clips": int(own.sum()),
                        "pooled": (error[own].sum() / variance[own].sum()).item(),
                        "median": pd.Series((error[own] / variance[own]).tolist()).median(),
                        "R²": torch.stack(fits)[:, own].mean().item() if fits else np.nan,
                    }
                )
    return pd.DataFrame(rows).sort_values(["score", "masks"], kind="stable", ignore_index=True)


def run_errors(
    run: Run,
    device: str,
    n_clips: int = 6,
    counts: Sequence[int] = (100, 250, 500),
    converged: int = 2500,
    baseline: str = Options.baseline,
    seed: int = 0,
) -> pd.DataFrame:
    """`convergence_table` of the network and some clips of a run, spread over those explained.

    Args:
        run: with maps.
        device: ``"cpu"`` or ``"cuda"``.
        n_clips: how many.
        counts: numbers of masks.
        converged: masks of the map that counts as true.
        baseline: what hides.
        seed: of all draws.

    Returns:
        Its rows, the network's name first.
    """
    checkpoint, explained = checkpoint_of(run), load_explained(run)
    chosen = spread_evenly(len(explained.names), n_clips)
    print(f"{checkpoint.name}, clips: {', '.join(explained.names[index] for index in chosen)}")
    table = convergence_table(
        checkpoint.model.to(device),
        tuple(clip[chosen].to(device) for clip in explained.clips),
        explained.targets[chosen].to(device),
        sorted(set(counts)),
        converged,
        baseline,
        seed=seed,
    )
    table.insert(0, "network", checkpoint.name)
    return table


def masks_needed(errors: pd.DataFrame) -> pd.DataFrame:
    """How many masks coverage needs for the error that the regression has.

    Coverage is a mean over masks that are drawn independently, so its error falls as their number
    rises: from its error after as many masks, which were the same ones, follows how many it needs.

    Args:
        errors: as `convergence_table` returns it.

    Returns:
        One row per score and number of masks of the regression: coverage's masks, and how many times
        as many that is, by pooled errors and by medians over clips; NaN where an error is lost in the
        doubt about the converged map.
    """
    table = errors.pivot(index=["score", "masks"], columns="estimator")
    needed = pd.DataFrame(index=table.index)
    for column in ("pooled", "median"):
        own = table[column].where(table[column] > 0)
        ratio = own["coverage"] / own["regression"]
        needed[f"coverage's masks, {column}"] = ratio * table.index.get_level_values("masks")
        needed[f"ratio, {column}"] = ratio
    return needed.reset_index()


def _scores(
    model: nn.Module,
    clips: Clips,
    targets: Tensor,
    hidden: Clips,
    streams: Sequence[RandomGrids],
) -> list[Tensor]:
    """For each stream the logits of the targets (N, masks), below them their probabilities."""
    found = []
    for masks in streams:
        logits = perturbed_scores(
            model,
            clips,
            hidden,
            [[masks] * len(clips)] * len(targets),
            layout=LAYOUT,
            every_output=True,
            show_progress=shows_progress(),
            description=f"{len(masks)} masks",
        ).double()
        own = targets[:, None, None].expand(-1, logits.shape[1], 1)
        both = (values.gather(2, own)[..., 0] for values in (logits, logits.softmax(2)))
        found.append(torch.cat(list(both)))
    return found


def _mean_square(maps: Tensor) -> Tensor:
    """Over the voxels of each."""
    return maps.flatten(1).square().mean(1)
