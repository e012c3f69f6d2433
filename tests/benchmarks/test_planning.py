"""What a plan says is what then happens: passes are counted in a network while every method runs."""

import copy
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import METRICS, UNITS, Explained, measure
from benchmarks_kth_mad.evaluation.measuring import Played
from benchmarks_kth_mad.methods import BASELINES, METHODS, Options, attribute
from benchmarks_kth_mad.models import Checkpoint, VideoClassifier, build_model
from benchmarks_kth_mad.places import PATCHES, patches_of
from benchmarks_kth_mad.planning.cost import Cost, Subject
from benchmarks_kth_mad.planning.metric_passes import metric_cost
from benchmarks_kth_mad.planning.passes import COSTS, method_cost
from benchmarks_kth_mad.speed.counting import counted_passes
from captum_video.nn import FrameWise

CLIP = ClipShape(frames=6, height=14, width=18, channels=1)
SMALL = {"features": 5, "hidden": 4, "layers": 1, "wide": 4, "attention_size": 3, "hops": 2}


class Whole(VideoClassifier):
    """A 3-D network that costs nothing worth speaking of, of one input or of two."""

    def __init__(self, inputs: int = 1) -> None:
        super().__init__()
        self._inputs = inputs
        self.stage = nn.Conv3d(inputs, 7, 3, stride=(1, 2, 2), padding=1)
        self.fc = nn.Linear(7, 3)

    @property
    def channels(self) -> int:
        return 1

    @property
    def input_channels(self) -> tuple[int, ...]:
        return (1,) * self._inputs

    @property
    def last_stage(self) -> nn.Module:
        return self.stage

    def forward(self, *clips: Tensor) -> Tensor:
        return self.fc(self.stage(torch.cat(clips, 1)).relu().mean((2, 3, 4)))


def frame_wise() -> VideoClassifier:
    settings = {**SMALL, "cell": "input_cell", "encoder": "small"}
    return build_model("cnn_lstm_small", 3, channels=1, settings=settings)


NETWORKS = {
    "whole": Whole,
    "two inputs": lambda: Whole(inputs=2),
    "two streams": lambda: build_model("r3d_small_two_stream", 3, channels=1),
    "frame-wise": frame_wise,
}


def made(kind: str) -> tuple[VideoClassifier, Subject, tuple[Tensor, ...]]:
    """A network, what the plan knows of it, and a clip to explain."""
    torch.manual_seed(3)
    model = NETWORKS[kind]().eval()
    subject = Subject.of(copy.deepcopy(model), CLIP)
    clips = tuple(torch.rand_like(clip, device="cpu") for clip in subject.blank())
    return model, subject, clips


class Count:
    """Passes while the block lasts, as a plan counts them."""

    def __init__(self, model: VideoClassifier) -> None:
        self._passes = counted_passes(model, CLIP.frames)
        self._heads = counted_passes(model.head if isinstance(model, FrameWise) else nn.ReLU(), 1)

    def __enter__(self) -> "Count":
        self.whole, self.heads = self._passes.__enter__(), self._heads.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._heads.__exit__(None, None, None)
        self._passes.__exit__(None, None, None)

    @property
    def found(self) -> tuple[Fraction, Fraction, int]:
        forward, backward = (
            Fraction(round(one * CLIP.frames), CLIP.frames)
            for one in (self.whole.forward, self.whole.backward)
        )
        return forward, backward, int(self.heads.forward)


def planned(cost: Cost) -> tuple[Fraction, Fraction, int]:
    return cost.forward, cost.backward, cost.heads


# where the clip decides how many there are; the rest is exact on these networks
BOUNDS = {
    ("whole", "sidu"),
    ("two inputs", "sidu"),
    ("two streams", "sidu"),
    ("frame-wise", "sidu"),
    ("frame-wise", "tsr"),
    ("frame-wise", "flow_occlusion"),
    ("whole", "extremal"),
    ("two inputs", "extremal"),
    ("frame-wise", "extremal"),
}
REFUSED = {(kind, "input_cell") for kind in ("whole", "two inputs", "two streams")}
SLOW = {("two streams", "tsr"), ("two streams", "extremal"), ("two streams", "flow_occlusion")}
ABOUT = "superpixel_occlusion"
PAIRS = [
    (kind, name)
    for kind in NETWORKS
    for name in METHODS
    if (kind, name) not in REFUSED | SLOW and name != ABOUT
]


def test_there_is_a_plan_for_every_method():
    assert list(COSTS) == list(METHODS)


@pytest.mark.filterwarnings("ignore:RISE3D. the regression", "ignore:SIDU3D. all weights")
@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_methods_take_the_passes_that_were_planned(kind: str, name: str):
    model, subject, clips = made(kind)
    options = Options(n_samples=12, baseline="gray")
    cost = method_cost(subject, name, options)
    with Count(model) as count:
        attribute(name, model, clips, torch.tensor([1]), options)
    if (kind, name) in BOUNDS:
        assert cost.sure == "at most"
        assert all(took <= most for took, most in zip(count.found, planned(cost), strict=True))
        assert count.found[0] > 0
    else:
        assert count.found == planned(cost)


@pytest.mark.parametrize("kind", ["whole", "frame-wise"])
def test_superpixels_are_counted_about(kind: str):
    model, subject, clips = made(kind)
    cost = method_cost(subject, ABOUT, Options())
    assert cost.sure == "about"
    assert (cost.heads or cost.forward) == 1 + PATCHES
    with Count(model) as count:
        attribute(ABOUT, model, clips, torch.tensor([1]), Options())
    taken = 1 + len(patches_of(clips).unique())
    assert (count.found[2] or count.found[0]) == taken


@pytest.mark.parametrize("baseline", BASELINES)
def test_frames_that_hide_are_encoded_once_each(baseline: str):
    model, subject, clips = made("frame-wise")
    for name in ("frame_occlusion", "occlusion"):
        with Count(model) as count:
            attribute(name, model, clips, torch.tensor([1]), Options(baseline=baseline))
        assert count.found == planned(method_cost(subject, name, Options(baseline=baseline)))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", ["whole", "two inputs", "frame-wise"])
@pytest.mark.parametrize("n_steps", [4, 60])
def test_metrics_take_the_passes_that_were_planned(kind: str, unit, n_steps: int):
    model, subject, clips = made(kind)
    maps = {"random": tuple(torch.rand_like(clip) for clip in clips)}
    target = torch.tensor([1])
    explained = Explained(["a"], ["b"], clips, target, target, maps)
    checkpoint = Checkpoint(model, "tiny", ("x", "y", "z"), CLIP)
    for metric in METRICS:
        cost = metric_cost(subject, metric, Played(unit, n_steps, "gray"))
        with Count(model) as count:
            measure(checkpoint, explained, [metric], unit, n_steps, "gray", "cpu")
        if cost.sure:
            assert all(took <= most for took, most in zip(count.found, planned(cost), strict=True))
            assert 2 * count.found[0] > cost.forward or unit == "superpixel"
        else:
            assert count.found == planned(cost)


@pytest.mark.parametrize(("kind", "name"), sorted(REFUSED))
def test_what_a_network_can_not_is_refused(kind: str, name: str):
    with pytest.raises(BenchmarkError, match="no input-cell attention"):
        method_cost(made(kind)[1], name, Options())
