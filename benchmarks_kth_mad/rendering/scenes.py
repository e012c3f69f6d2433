"""Places for rendered people to act in: a ground, a sky or wall, things that stand about."""

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]


def background(rng: np.random.Generator, height: int, width: int, indoors: bool) -> Picture:
    """Draw a place without people.

    Args:
        rng: decides everything about the place.
        height: rows.
        width: columns.
        indoors: a room (wall, skirting board, frames) or a field (sky, buildings, trees).

    Returns:
        float32 (H, W), gray levels within 0..255.
    """
    horizon = int(height * (rng.uniform(0.68, 0.76) if indoors else rng.uniform(0.5, 0.68)))
    picture = np.empty((height, width), np.float32)
    far, near = rng.uniform(90, 225), rng.uniform(70, 205)
    picture[:horizon] = _ramp(horizon, far, far + rng.uniform(-30, 30))
    picture[horizon:] = _ramp(height - horizon, near, near + rng.uniform(-30, 30))
    if indoors:
        _furnish(rng, picture, horizon)
    else:
        _build_up(rng, picture, horizon)
    grain = _texture(rng, height, width)
    grain[:horizon] *= 0.4
    picture += grain
    slope = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(rng.uniform(-14, 14))
    return np.clip(picture + slope, 8, 247)


def _ramp(rows: int, top: float, bottom: float) -> Picture:
    return np.linspace(top, bottom, rows, dtype=np.float32)[:, None]


def _texture(rng: np.random.Generator, height: int, width: int) -> Picture:
    grain = np.zeros((height, width), np.float32)
    for sigma, strength in ((1.0, 4.0), (3.0, 4.0), (9.0, 6.0)):
        noise = rng.standard_normal((height, width), dtype=np.float32)
        smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma * height / 120), np.float32)
        grain += smooth * np.float32(strength / max(float(smooth.std()), 1e-6))
    return grain


def _furnish(rng: np.random.Generator, picture: Picture, horizon: int) -> None:
    width = picture.shape[1]
    shade = float(rng.uniform(40, 120))
    cv2.line(picture, (0, horizon), (width, horizon), shade, 2)
    for _ in range(rng.integers(1, 4)):
        left, top = int(rng.uniform(0, 0.8) * width), int(rng.uniform(0.05, 0.4) * horizon)
        size = (int(rng.uniform(0.08, 0.2) * width), int(rng.uniform(0.2, 0.5) * horizon))
        corner = (left + size[0], top + size[1])
        cv2.rectangle(picture, (left, top), corner, float(rng.uniform(60, 235)), -1)
        cv2.rectangle(picture, (left, top), corner, float(rng.uniform(30, 120)), 1)


def _build_up(rng: np.random.Generator, picture: Picture, horizon: int) -> None:
    width = picture.shape[1]
    for _ in range(rng.integers(1, 4)):
        left = int(rng.uniform(-0.1, 0.9) * width)
        right = left + int(rng.uniform(0.1, 0.35) * width)
        top = int(horizon * rng.uniform(0.35, 0.85))
        cv2.rectangle(picture, (left, top), (right, horizon), float(rng.uniform(70, 215)), -1)
    for _ in range(rng.integers(0, 4)):
        x, top = int(rng.uniform(0, 1) * width), int(horizon * rng.uniform(0.1, 0.6))
        shade = float(rng.uniform(40, 120))
        foot = horizon + int(rng.uniform(0, 6))
        cv2.line(picture, (x, top), (x, foot), shade, int(rng.integers(1, 4)), cv2.LINE_AA)
        if rng.random() < 0.6:
            crown = (int(rng.uniform(4, 14) * width / 160), int(rng.uniform(6, 16) * width / 160))
            cv2.ellipse(picture, (x, top), crown, 0, 0, 360, shade + 15.0, -1, cv2.LINE_AA)
