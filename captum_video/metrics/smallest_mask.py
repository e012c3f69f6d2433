"""Minimal mask: how little of a clip is enough."""

import torch
from torch import Tensor

from captum_video.curves import Curve


def minimal_mask(curve: Curve, share: float = 0.9, floor: float = 0.0) -> Tensor:
    """Least share of the units whose insertion gives back the score of the clip. Lower is better.

    The first fraction of an insertion curve at which the score is at least ``share`` of that of the
    whole clip, and at least ``floor``. It is read off the curve, so it is only as fine as the curve's
    steps; no pass is made. (Gaya-Morey et al., arXiv 2401.11796, look for the smallest mask that keeps
    the predicted class; a probability of one half, ``share=0.5, floor=0.5``, is enough for that, and
    needed where there are two classes.)

    Args:
        curve: of `insertion`: the last score is that of the whole clip. Of one by regions, whose
            fractions are each clip's own, the answer is a share of the clip's voxels.
        share: of the score of the whole clip, above 0, at most 1.
        floor: a score to be reached too; clips that are whole below it are asked for all they have.

    Returns:
        (N,), in [0, 1], of the dtype of the fractions; at most 1, where the whole clip is needed.

    Raises:
        TypeError: no curve.
        ValueError: an option out of range, a curve that does not run from 0 to 1, or a clip whose
            score is below 0: a share of that means nothing; insert with ``activation="softmax"``.

    Note:
        It lies where the baseline alone already scores high (the answer is then 0), and where a score
        passes its mark once and falls again, because the first time counts. Scattered pixels of an
        adversarial map can be enough: smaller is not the same as more faithful.

    Example:
        >>> import torch
        >>> curve = Curve(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([[0.1, 0.8, 0.8]]))
        >>> minimal_mask(curve)
        tensor([0.5000])
    """
    if not isinstance(curve, Curve):
        raise TypeError(f"curve: expected a Curve of insertion, got {type(curve).__name__}")
    if not 0 < share <= 1:
        raise ValueError(f"share: expected 0 < share <= 1, got {share}")
    if not floor >= 0:
        raise ValueError(f"floor: expected at least 0, got {floor}")
    scores, shared = curve.scores, curve.fractions.ndim == 1
    fractions = curve.fractions.expand_as(scores)
    steps = fractions.diff()
    falls = steps <= 0 if shared else steps < 0  # a clip of few regions repeats points
    if (fractions[:, 0] != 0).any() or (fractions[:, -1] != 1).any() or falls.any():
        raise ValueError(
            f"curve: expected fractions that rise from 0 to 1, got {fractions[0, 0].item():.3g} to "
            f"{fractions[0, -1].item():.3g}"
        )
    whole = scores[:, -1:]
    if not (whole >= 0).all():
        raise ValueError(
            f"curve: expected whole clips to score at least 0, got {whole.min().item():.3g}"
        )
    wanted = torch.maximum(share * whole, whole.clamp(max=floor))
    first = (scores >= wanted).int().argmax(1, keepdim=True)
    return fractions.gather(1, first)[:, 0]
