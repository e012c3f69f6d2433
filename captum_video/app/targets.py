"""Which class is explained, and what the network says."""

import difflib
from collections.abc import Sequence

from torch import Tensor

from captum_video.app.errors import AppError

_SHOWN = 5


def target_of(asked: str | None, scores: Tensor, categories: Sequence[str]) -> int:
    """The index of a class.

    Args:
        asked: an index, or a name in any case; None is the class of the highest score.
        scores: (K,).
        categories: names of the K classes, or none.

    Raises:
        AppError: there is no such class, or there are several.
    """
    if asked is None:
        return int(scores.argmax())
    if asked.lstrip("-").isdecimal():
        if not 0 <= int(asked) < len(scores):
            raise AppError(f"--target {asked}: the network's classes are 0 to {len(scores) - 1}")
        return int(asked)
    if not categories:
        raise AppError(
            f"--target {asked}: the names of the network's classes are not known; give an index, 0 "
            f"to {len(scores) - 1}"
        )
    found = [i for i, name in enumerate(categories) if name.lower() == asked.lower()]
    if len(found) > 1:
        raise AppError(f"--target {asked}: several classes are called so: {_listed(found)}")
    if not found:
        raise AppError(f"--target {asked}: no class is called so; {_near(asked, categories)}")
    return found[0]


def name_of(target: int, categories: Sequence[str]) -> str:
    """What the class is called."""
    return categories[target] if categories else f"class {target}"


def ranking(scores: Tensor, target: int, categories: Sequence[str]) -> list[str]:
    """A line for each of the highest classes, and for the one that is explained."""
    probabilities = scores.float().softmax(0)
    highest = probabilities.argsort(descending=True)[:_SHOWN].tolist()
    shown = highest if target in highest else [*highest, target]
    width = max(len(name_of(one, categories)) for one in shown)
    return [
        f"  {probabilities[one]:6.1%}  {name_of(one, categories):{width}}"
        + ("  <- explained" if one == target else "")
        for one in shown
    ]


def _listed(found: Sequence[int]) -> str:
    return ", ".join(map(str, found)) + "; give an index"


def _near(asked: str, categories: Sequence[str]) -> str:
    by_lower = {name.lower(): name for name in categories}
    holding = [name for low, name in by_lower.items() if asked.lower() in low][:5]
    near = holding or [by_lower[n] for n in difflib.get_close_matches(asked.lower(), by_lower, 5)]
    return f"near it: {', '.join(near)}" if near else "give an index"
