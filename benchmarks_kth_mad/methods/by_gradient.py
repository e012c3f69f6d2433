"""Methods that follow the gradient back to the clip."""

from captum.attr import Saliency
from torch import Tensor

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods.options import BASELINES, Clips, Options, over_channels
from benchmarks_kth_mad.models import VideoClassifier
from captum_video.attr import InputCellAttribution, TemporalSaliencyRescaling
from captum_video.clips import extent_of
from captum_video.modes import evaluation_mode, recurrent_gradients
from captum_video.nn import InputCellAttentionLSTM

TILES = 12


def gradient(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """Size of the score's gradient (Captum's Saliency), summed over channels."""
    inputs = tuple(clip.detach().clone().requires_grad_() for clip in clips)
    with evaluation_mode(model), recurrent_gradients(model):
        maps = Saliency(model).attribute(inputs, target.tolist())
    return over_channels(tuple(one.detach().sum(1, keepdim=True) for one in maps), clips)


def rescaled_gradient(
    model: VideoClassifier, clips: Clips, target: Tensor, options: Options
) -> Clips:
    """Temporal Saliency Rescaling of the gradient, on tiles of a twelfth of the frame."""
    return TemporalSaliencyRescaling(Saliency(model)).attribute(
        clips,
        tile_of(clips),
        BASELINES[options.baseline],
        target,
        show_progress=options.show_progress,
    )


def tile_of(clips: Clips) -> tuple[int, int]:
    """Height and width of a tile of `rescaled_gradient`."""
    _, height, width = extent_of(clips[0])
    return max(1, height // TILES), max(1, width // TILES)


def input_cell(model: VideoClassifier, clips: Clips, target: Tensor, options: Options) -> Clips:
    """First-order effect through what the cell attended to, back at the pixels, summed over channels.

    Raises:
        BenchmarkError: the network has no input-cell attention.
    """
    cells = [module for module in model.modules() if isinstance(module, InputCellAttentionLSTM)]
    if len(cells) != 1:
        raise BenchmarkError(
            "the network has no input-cell attention; train cnn_lstm_small_attention"
        )
    maps = InputCellAttribution(model, cells[0]).attribute(
        clips, target, kind="attention_x_gradient", to_inputs=True
    )
    return over_channels(tuple(one.sum(1, keepdim=True) for one in maps), clips)
