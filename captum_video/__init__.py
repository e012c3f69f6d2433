"""Captum for video: attribution, metrics and pictures over space *and* time.

Start with ``from captum_video.attr import GradCAM3D``; metrics live in
``captum_video.metrics``, replacements for removed evidence in ``captum_video.baselines``,
pictures in ``captum_video.visualization``.
"""

from captum_video._version import __version__
from captum_video.clips import Extent, Layout
from captum_video.curves import Curve

__all__ = ["Curve", "Extent", "Layout", "__version__"]
