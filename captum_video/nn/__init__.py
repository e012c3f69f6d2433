"""Modules that a model author uses: networks made so that they can be explained well."""

from captum_video.modes import recurrent_gradients
from captum_video.nn.framewise import FrameWise
from captum_video.nn.input_cell_attention import InputCellAttentionLSTM

__all__ = ["FrameWise", "InputCellAttentionLSTM", "recurrent_gradients"]
