"""The pictures of the sequential study: where in each frame, when, by which features, beside flow."""

import torch
from captum.attr import Saliency
from torch import Tensor

from benchmarks_kth_mad.choice import different
from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.files import plain_name
from benchmarks_kth_mad.methods import BASELINES
from benchmarks_kth_mad.models import VideoClassifier
from benchmarks_kth_mad.report.pictures import save_figure
from benchmarks_kth_mad.runs import Run
from captum_video.attr import TemporalSaliencyRescaling
from captum_video.flow import flow_magnitude
from captum_video.modes import evaluation_mode, recurrent_gradients
from captum_video.nn import FrameWise
from captum_video.visualization import feature_heatmap, filmstrip, flow_to_rgb, time_strip


def draw_motion(
    run: Run,
    model: VideoClassifier,
    explained: Explained,
    flow: Tensor,
    baseline: str,
    n_clips: int,
) -> list[str]:
    """Draw the first clips of different classes.

    Args:
        run: whose pictures they are.
        model: the network that was explained.
        explained: clips and maps.
        flow: (N, 2, T, H, W).
        baseline: what hides frames where the map of all of them is compared.
        n_clips: how many clips.

    Returns:
        Names of the files: per clip the maps frame by frame under the flow, strips over time, and,
        for a frame-wise network, the features of its frames over time.
    """
    names = []
    clips, every_map = explained.of_only_input()
    for index in different(explained.targets.tolist(), n_clips):
        stem, clip = plain_name(explained.names[index]), clips[index : index + 1]
        target = int(explained.targets[index])
        own = flow[index : index + 1]
        maps = {name: every[index : index + 1] for name, every in every_map.items()}
        spread = {name: one.expand_as(clip) for name, one in maps.items()}
        figure = filmstrip(clip, spread, rows={"flow": flow_to_rgb(own)}, scale="frame", title=stem)
        names.append(save_figure(run.pictures, f"{stem}_frames.png", figure))
        strips = {name: one.sum((0, 1, 3, 4)) for name, one in maps.items()}
        strips["TSR, when"] = time_contributions(model, clip, target, baseline)
        strips["mean speed"] = flow_magnitude(own).mean((0, 1, 3, 4))
        names.append(
            save_figure(run.pictures, f"{stem}_time.png", time_strip(clip, strips, title=stem))
        )
        if isinstance(model, FrameWise):
            slopes = feature_saliency(model, clip, target)
            figure = feature_heatmap(slopes, title=f"{stem}: |gradient| at the features")
            names.append(save_figure(run.pictures, f"{stem}_features.png", figure))
    return names


def time_contributions(model: VideoClassifier, clip: Tensor, target: int, baseline: str) -> Tensor:
    """Temporal Saliency Rescaling's first step: (T,)."""
    _, times = TemporalSaliencyRescaling(Saliency(model)).attribute(
        clip,
        tuple(clip.shape[3:]),
        BASELINES[baseline],
        target,
        gate_threshold=float("inf"),
        return_time_contributions=True,
    )
    return times[0]


def feature_saliency(model: FrameWise, clip: Tensor, target: int) -> Tensor:
    """Size of the score's gradient at every feature of every frame: (T, F)."""
    with evaluation_mode(model), recurrent_gradients(model):
        with torch.no_grad():
            features = model.encoder(clip[0].transpose(0, 1))[None]
        return Saliency(model.head).attribute(features.requires_grad_(), target)[0].detach()
