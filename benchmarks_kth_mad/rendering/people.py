"""Who acts in a rendered video: proportions and clothes, drawn once for a person."""

from dataclasses import replace

import numpy as np

from benchmarks_kth_mad.rendering.motion import Body
from benchmarks_kth_mad.rendering.scenes import Picture


def draw_person(rng: np.random.Generator) -> Body:
    """Somebody's proportions and shades."""
    return Body(
        build=rng.uniform(0.85, 1.3),
        leg=rng.uniform(0.45, 0.5),
        shoulder=rng.uniform(0.085, 0.115),
        hair=rng.uniform(20, 150),
        skin=rng.uniform(110, 215),
        top=rng.uniform(20, 240),
        trousers=rng.uniform(20, 200),
        shoes=rng.uniform(15, 120),
        long_sleeves=bool(rng.random() < 0.5),
        coat=False,
    )


def change_clothes(body: Body, rng: np.random.Generator) -> Body:
    """The same person, dressed otherwise."""
    return replace(
        body,
        top=rng.uniform(20, 240),
        trousers=rng.uniform(20, 200),
        long_sleeves=True,
        coat=bool(rng.random() < 0.6),
    )


def stand_out(body: Body, scene: Picture) -> Body:
    """Move clothes that nearly have the place's gray level away from it, so that they can be seen."""
    rows = scene.shape[0]
    top, bottom = float(scene[rows // 3 : rows // 2].mean()), float(scene[rows * 2 // 3 :].mean())

    def away(shade: float, level: float) -> float:
        if abs(shade - level) >= 55:
            return shade
        return level - 65 if level > 110 else level + 65

    return replace(
        body,
        top=away(body.top, top),
        skin=away(body.skin, top),
        trousers=away(body.trousers, bottom),
        shoes=away(body.shoes, bottom),
    )
