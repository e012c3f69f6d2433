"""Occlusion and units by what moves together and by what looks alike."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import Explained, measure
from benchmarks_kth_mad.methods import BASELINES, Options, attribute
from benchmarks_kth_mad.models import Checkpoint, VideoClassifier, build_model
from benchmarks_kth_mad.places import flow_of_clips, patches_of
from captum_video.attr import SpatioTemporalOcclusion
from captum_video.metrics import Insertion
from captum_video.regions import superpixels

TARGETS = torch.tensor([0, 1])


@pytest.fixture(scope="module")
def model() -> VideoClassifier:
    torch.manual_seed(0)
    return build_model("r3d_small", 2, 1).eval()


@pytest.fixture
def clips() -> torch.Tensor:
    return torch.rand(2, 1, 8, 24, 32)


def test_without_motion_flow_occlusion_is_occlusion(model: VideoClassifier) -> None:
    still = torch.full((2, 1, 8, 24, 32), 0.5)
    assert flow_of_clips(still).abs().max() == 0
    black = Options(baseline="black")
    (found,) = attribute("flow_occlusion", model, still, TARGETS, black)
    (plain,) = attribute("occlusion", model, still, TARGETS, black)
    torch.testing.assert_close(found, plain, atol=1e-6, rtol=1e-5)
    assert plain.std() > 0


def test_flow_occlusion_follows_the_flow_of_its_clip(
    model: VideoClassifier, clips: torch.Tensor
) -> None:
    (found,) = attribute("flow_occlusion", model, clips, TARGETS, Options())
    expected = SpatioTemporalOcclusion(model).attribute(
        clips, (2, 6, 8), (1, 3, 4), BASELINES["frame-mean"], TARGETS, flow=flow_of_clips(clips)
    )
    assert torch.equal(found, expected)
    (plain,) = attribute("occlusion", model, clips, TARGETS, Options())
    assert not torch.allclose(found, plain)


def test_superpixel_occlusion_has_one_value_per_patch(
    model: VideoClassifier, clips: torch.Tensor
) -> None:
    (found,) = attribute("superpixel_occlusion", model, clips, TARGETS, Options())
    patches = patches_of((clips,))
    for one, labels in zip(found[:, 0], patches[:, 0], strict=True):
        for name in labels.unique():
            assert len(one[labels == name].unique()) == 1
    assert found.std() > 0


def test_patches_serve_all_inputs() -> None:
    visible, infrared = torch.rand(2, 1, 4, 16, 16), torch.rand(2, 1, 4, 16, 16)
    both = patches_of((visible, infrared))
    assert both.shape == (2, 1, 4, 16, 16)
    assert torch.equal(both, superpixels(torch.cat([visible, infrared], 1)))
    assert not torch.equal(both, patches_of((visible,)))


@pytest.mark.parametrize(
    ("clip", "name", "message"),
    [
        (
            torch.rand(1, 1, 1, 8, 8),
            "farneback",
            "flow farneback: clip: expected at least 2 frames",
        ),
        (torch.rand(1, 1, 2, 8, 8), "dis", "flow dis: clip: expected frames of at least"),
        (torch.rand(1, 1, 2, 8, 8), "pwc", "flow 'pwc': expected one of farneback, dis"),
    ],
)
def test_clips_without_flow(clip: torch.Tensor, name: str, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        flow_of_clips(clip, name)


@pytest.mark.parametrize("unit", ["segment", "superpixel"])
def test_areas_by_unit_are_those_of_the_metric(
    unit: str, model: VideoClassifier, clips: torch.Tensor
) -> None:
    maps = {"random": (torch.rand_like(clips),)}
    explained = Explained(["a", "b"], ["1", "2"], (clips,), TARGETS, TARGETS, maps)
    shape = ClipShape(frames=8, height=24, width=32, channels=1)
    checkpoint = Checkpoint(model, "r3d_small", ("walking", "running"), shape)
    rows, curves = measure(checkpoint, explained, ["insertion"], unit, 5, "black", "cpu")
    labels = patches_of((clips,)) if unit == "superpixel" else None
    metric = Insertion(
        model, unit="voxel" if labels is not None else "segment", n_steps=5, baselines=0
    )
    expected = metric.evaluate(clips, maps["random"], TARGETS, feature_mask=labels)
    assert rows["area"].tolist() == pytest.approx(expected.area.tolist())
    assert set(rows["unit"]) == {unit}
    torch.testing.assert_close(curves["insertion"]["random"].fractions, expected.fractions)
    again, _ = measure(checkpoint, explained, ["insertion"], unit, 5, "black", "cpu")
    pd.testing.assert_frame_equal(rows, again)


def test_from_the_command_line(run_copy: Path, command: Callable[..., str]) -> None:
    methods = ["flow_occlusion", "superpixel_occlusion", "random"]
    command("attribute", "--run", run_copy, "--fresh", "--clips", 2, "--methods", *methods)
    for unit in ("segment", "superpixel"):
        said = command("evaluate", "--run", run_copy, "--fresh", "--unit", unit, "--steps", 3)
        assert "measured 12 areas" in said
        rows = pd.read_csv(run_copy / "rows.csv")
        assert set(rows["unit"]) == {unit}
        assert set(rows["method"]) == set(methods)
        assert "flow_occlusion" in command("report", "--run", run_copy, "--pictures", 0)
        assert f"while one {unit} after the other" in (run_copy / "report.md").read_text()
