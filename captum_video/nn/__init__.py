"""Modules that a model author uses: networks made so that they can be explained well."""

from captum_video.modes import recurrent_gradients
from captum_video.nn.framewise import FrameWise

__all__ = ["FrameWise", "recurrent_gradients"]
