"""Captum for video: attribution, metrics and pictures over space *and* time.

Start with ``from captum_video.attr import GradCAM3D``; metrics live in
``captum_video.metrics``, replacements for removed evidence in ``captum_video.baselines``,
pictures in ``captum_video.visualization``. ``python -m captum_video --help`` makes a first picture.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from captum_video._version import __version__

if TYPE_CHECKING:
    from captum_video.clips import Extent, Layout
    from captum_video.curves import Curve

__all__ = ["Curve", "Extent", "Layout", "__version__"]

_ROOMS = {"Curve": "curves", "Extent": "clips", "Layout": "clips"}


def __getattr__(name: str) -> Any:
    """Import on first use: the command's help and the version need no torch, which takes seconds."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
