"""Pictures: overlays (tensors), figures (Matplotlib), and movies (GIF, MP4)."""

from captum_video.visualization.figures import filmstrip
from captum_video.visualization.flow_colors import flow_to_rgb
from captum_video.visualization.lines import plot_curves, temporal_profile
from captum_video.visualization.overlay import color_limit, overlay
from captum_video.visualization.timelines import feature_heatmap, time_strip
from captum_video.visualization.video import save_gif, save_mp4, side_by_side

__all__ = [
    "color_limit",
    "feature_heatmap",
    "filmstrip",
    "flow_to_rgb",
    "overlay",
    "plot_curves",
    "save_gif",
    "save_mp4",
    "side_by_side",
    "temporal_profile",
    "time_strip",
]
