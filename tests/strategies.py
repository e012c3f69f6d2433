"""Hypothesis strategies for clips, windows and layouts."""

import torch
from hypothesis import strategies as st

from captum_video import Extent, Layout

extents = st.builds(
    Extent, frames=st.integers(1, 6), height=st.integers(1, 9), width=st.integers(1, 9)
)


@st.composite
def clips(draw, extent=extents, n_clips=(1, 2), channels=(1, 3)):
    """Random clips (N, C, T, H, W), reproducible from what hypothesis drew."""
    shape = (draw(st.integers(*n_clips)), draw(st.integers(*channels)), *draw(extent))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    return torch.rand(shape, generator=generator)


@st.composite
def windows(draw, extent: Extent):
    """A window inside the extent, and strides that leave no gap."""
    window = tuple(draw(st.integers(1, length)) for length in extent)
    return window, tuple(draw(st.integers(1, size)) for size in window)


def layouts(channels: int):
    return st.sampled_from(
        [
            Layout("n c t h w"),
            Layout("n t c h w"),
            Layout("n t h w c"),
            Layout("n (t c) h w", c=channels),
            Layout("n (c t) h w", c=channels),
            Layout("(n c) t h w", c=channels),
        ]
    )
