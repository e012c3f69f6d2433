"""Pictures: overlays (tensors), figures (Matplotlib), and movies (GIF, MP4)."""

from captum_video.visualization.figures import filmstrip
from captum_video.visualization.lines import plot_curves, temporal_profile
from captum_video.visualization.overlay import color_limit, overlay
from captum_video.visualization.video import save_gif, save_mp4, side_by_side

__all__ = [
    "color_limit",
    "filmstrip",
    "overlay",
    "plot_curves",
    "save_gif",
    "save_mp4",
    "side_by_side",
    "temporal_profile",
]
