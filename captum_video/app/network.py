"""A network as the command knows it: a module of clips, what it expects and what it calls things."""

from typing import NamedTuple

from torch import nn

from captum_video.clips import Layout


class Expected(NamedTuple):
    """The clips that a network was trained on, as far as that is known.

    Attributes:
        resize: pixels (height, width) to which frames are brought, or of their short side.
        crop: pixels (height, width) cut out of the middle; None keeps the frame whole.
        n_frames: of a clip.
        frame_rate: frames per second; None where that is not known.
    """

    resize: int | tuple[int, int] = 112
    crop: tuple[int, int] | None = None
    n_frames: int = 16
    frame_rate: float | None = None


class KnownLayer(NamedTuple):
    """A layer whose output does not tell how it is ordered."""

    name: str
    layout: Layout


class Network(NamedTuple):
    """What is explained.

    Attributes:
        module: clips (N, 3, T, H, W) in [0, 1] to scores (N, K), in eval mode.
        description: what it is, in a few words.
        expected: its clips.
        categories: names of the K classes; empty where they are not known.
        layer: where Grad-CAM looks, of a network of tokens.
        warning: what the user has to know before believing a map.
    """

    module: nn.Module
    description: str
    expected: Expected = Expected()
    categories: tuple[str, ...] = ()
    layer: KnownLayer | None = None
    warning: str | None = None
