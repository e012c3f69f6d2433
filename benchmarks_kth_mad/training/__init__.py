"""Training a video classifier with Lightning, on one device or several, and going on where it was ended."""

from benchmarks_kth_mad.training.trainer import (
    PRECISIONS,
    Recipe,
    Trained,
    check_device,
    resolve_device,
    train,
)

__all__ = ["PRECISIONS", "Recipe", "Trained", "check_device", "resolve_device", "train"]
