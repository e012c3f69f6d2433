"""How many masks RISE needs: the error of its estimators against a map from many masks."""

from collections.abc import Callable, Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.methods import BASELINES, Clips, rise_grid
from captum_video.attr import RISE3D

ESTIMATORS = ("expectation", "coverage", "regression")
CONVERGED_SEED = 10_000


def convergence_table(
    model: nn.Module,
    clips: Clips,
    targets: Tensor,
    counts: Sequence[int],
    converged: int,
    baseline: str,
    n_seeds: int = 3,
) -> pd.DataFrame:
    """Squared error of maps from few masks, over the variance of the converged map.

    Args:
        model: clips to logits.
        clips: (N, C, T, H, W), one for each input of the model.
        targets: (N,), the class explained.
        counts: numbers of masks.
        converged: masks of the map that counts as true, by regression; drawn on their own.
        baseline: what hides; see `benchmarks_kth_mad.methods.BASELINES`.
        n_seeds: draws of masks that the error is averaged over.

    Returns:
        One row per score (logit, softmax) and number of masks, one column per estimator: the
        mean over clips and seeds, and the regression's mean leave-one-out R².
    """
    rows = []
    scores: dict[str, Callable[..., Tensor]] = {
        "logit": model,
        "softmax": lambda *inputs: model(*inputs).softmax(1),
    }
    with progress_bar(total=len(scores) * (1 + n_seeds * len(counts))) as bar:
        for name, score in scores.items():

            def estimate(
                count: int, estimator: str, seed: int, score: Callable[..., Tensor] = score
            ) -> tuple[Tensor, Tensor | None]:
                found = RISE3D(score).estimate(
                    clips,
                    BASELINES[baseline],
                    targets,
                    n_samples=count,
                    grid_shape=rise_grid(clips[0]),
                    estimator=estimator,  # type: ignore[arg-type]
                    generator=torch.Generator().manual_seed(seed),
                )
                return found.maps, found.r_squared

            truth, _ = estimate(converged, "regression", CONVERGED_SEED)
            bar.update()
            for count in counts:
                errors: dict[str, list[float]] = {}
                for seed in range(n_seeds):
                    for estimator in ESTIMATORS:
                        maps, fit = estimate(count, estimator, seed)
                        errors.setdefault(estimator, []).append(_relative_error(maps, truth))
                        if fit is not None:
                            errors.setdefault("R²", []).append(fit.mean().item())
                    bar.update()
                means = {key: sum(values) / len(values) for key, values in errors.items()}
                rows.append({"score": name, "masks": count, **means})
    return pd.DataFrame(rows)


def _relative_error(maps: Tensor, truth: Tensor) -> float:
    """Mean over clips of squared error over variance."""
    error = (maps - truth).square().flatten(1).mean(1)
    return (error / truth.flatten(1).var(1, correction=0)).mean().item()
