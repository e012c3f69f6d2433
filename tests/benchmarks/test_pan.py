"""PAN gives the oracle's scores; what is laid over a frame reaches that frame and no other segment."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pan_oracle import CONSENSUS, VARIANTS, pan_scores, random_state
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import Options, attribute, last_spatiotemporal_layer
from benchmarks_kth_mad.models import (
    PAN,
    Checkpoint,
    FullPAN,
    PANSettings,
    VideoClassifier,
    build_model,
    load_checkpoint,
    save_checkpoint,
)
from benchmarks_kth_mad.models.pan_parts import (
    PersistenceOfAppearance,
    VariousTimescalePooling,
)
from benchmarks_kth_mad.models.temporal_shift import TemporalShift, temporal_shift
from captum_video.attr import RISE3D, GradCAM3D, SpatioTemporalOcclusion

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None, None]
ENCODERS = {18: "resnet18", 50: "resnet50", 101: "resnet101"}
OURS = {"vap": "vap", "avg": "average"}
LITTLE = {"encoder": "small", "segments": 4, "frames_per_segment": 3}


def little(name: str = "pan_lite", channels: int = 1, **changes: Any) -> VideoClassifier:
    """A small network of 4 segments of 3 frames."""
    torch.manual_seed(0)
    return build_model(name, 3, channels, settings={**LITTLE, **changes}).eval()


@pytest.mark.parametrize(
    ("variant", "depth", "consensus", "segments", "per_segment"),
    [
        *[(variant, 18, consensus, 8, 4) for variant in VARIANTS for consensus in CONSENSUS],
        ("lite", 18, "vap", 4, 3),
        ("lite", 18, "avg", 3, 2),
        ("rgb", 18, "vap", 8, 1),
        ("lite", 50, "vap", 8, 4),
        ("pa", 50, "avg", 2, 4),
        ("lite", 101, "vap", 2, 2),
    ],
)
def test_scores_are_the_oracle_s(
    variant: str, depth: int, consensus: str, segments: int, per_segment: int
) -> None:
    state = random_state(variant, depth, 5, segments, consensus, per_segment)
    parts = {"encoder": ENCODERS[depth], "consensus": OURS[consensus], "segments": segments}
    parts["frames_per_segment"] = per_segment
    model = build_model(f"pan_{variant}", 5, settings=parts).eval()
    model.load_state_dict(state)
    clips = torch.rand(2, 3, segments * per_segment, 32, 40, dtype=torch.float64)
    wanted = pan_scores(state, (clips - MEAN) / STD, segments, per_segment)
    with torch.no_grad():
        torch.testing.assert_close(model.double()(clips), wanted, rtol=1e-6, atol=1e-6)
    assert (wanted[0] - wanted[1]).abs().max() > 1e-3  # the clips do make a difference


@pytest.mark.parametrize(
    ("name", "encoder", "count"),
    [("pan_lite", "resnet18", 126), ("pan_lite", "resnet50", 324), ("pan_rgb", "resnet18", 124)],
)
def test_as_many_tensors_as_the_authors_have(name: str, encoder: str, count: int) -> None:
    assert len(build_model(name, 4, settings={"encoder": encoder}).state_dict()) == count


def test_the_full_network_is_the_mean_of_its_streams() -> None:
    model = little("pan_full")
    assert isinstance(model, FullPAN)
    clips = torch.rand(2, 1, 12, 24, 32)
    with torch.no_grad():
        rgb, pa = model.rgb(clips), model.pa(clips)
        torch.testing.assert_close(model(clips), 0.5 * rgb + 0.5 * pa)
        still = clips[:, :, ::3].repeat_interleave(3, dim=2)
        torch.testing.assert_close(model.rgb(still), rgb)
        assert (model.pa(still) - pa).abs().max() > 1e-3


@pytest.mark.parametrize(("encoder", "every"), [("resnet18", 1), ("resnet50", 1), ("resnet101", 2)])
def test_which_blocks_are_shifted(encoder: str, every: int) -> None:
    model = build_model("pan_rgb", 4, settings={"encoder": encoder})
    for stage in (model.base_model.layer1, model.base_model.layer3):
        shifted = [isinstance(block.conv1, TemporalShift) for block in stage]
        assert shifted == [k % every == 0 for k in range(len(stage))]


# what a frame reaches ---------------------------------------------------------------------------


@given(
    variant=st.sampled_from(["lite", "pa", "rgb"]),
    channels=st.sampled_from([1, 3]),
    segments=st.sampled_from([1, 2, 4, 8]),
    per_segment=st.integers(2, 4),
    data=st.data(),
)
@settings(max_examples=25, deadline=None)
def test_a_frame_changes_its_own_segment_alone(
    variant: str, channels: int, segments: int, per_segment: int, data: st.DataObject
) -> None:
    parts = {"encoder": "small", "consensus": "average", "segments": segments}
    parts |= {"frames_per_segment": per_segment, "variant": variant}
    model = build_model("pan_lite", 3, channels, settings=parts).eval()
    frame = data.draw(st.integers(0, segments * per_segment - 1))
    clips = torch.rand(2, channels, segments * per_segment, 8, 8)
    changed = clips.clone()
    changed[1, :, frame] = 1 - changed[1, :, frame]
    with torch.no_grad():
        before, after = (model.pictures(x).unflatten(0, (2, segments)) for x in (clips, changed))
    differs = (before - after).abs().amax((2, 3, 4)) > 0
    seen = variant != "rgb" or frame % per_segment == 0
    wanted = torch.zeros(2, segments, dtype=torch.bool)
    wanted[1, frame // per_segment] = seen
    assert torch.equal(differs, wanted)


def test_pictures_are_the_first_frame_and_what_changes_between_neighbours() -> None:
    model = little()
    clips = torch.rand(2, 1, 12, 8, 8)
    with torch.no_grad():
        pictures = model.pictures(clips)
        assert pictures.shape == (8, 1 + 2, 8, 8)
        for clip in range(2):
            for segment in range(4):
                frames = (clips[clip, :, 3 * segment : 3 * segment + 3] - 0.5) / 0.25
                features = [model.PA.shallow_conv(frame[None])[0] for frame in frames.unbind(1)]
                wanted = [frames[0, :1]]
                for one, two in itertools.pairwise(features):
                    wanted.append((one - two + 1e-6).square().sum(0, keepdim=True).sqrt())
                found = pictures[4 * clip + segment]
                torch.testing.assert_close(found, torch.cat(wanted), rtol=1e-4, atol=1e-5)


class SeesOneSegment(nn.Module):
    """The mean of what the encoder would see of one segment, maps and all."""

    def __init__(self, model: PAN, segment: int) -> None:
        super().__init__()
        self.model, self.segment = model, segment

    def forward(self, clips: Tensor) -> Tensor:
        pictures = self.model.pictures(clips).unflatten(0, (len(clips), -1))
        return pictures[:, self.segment].mean((1, 2, 3))[:, None]


@pytest.mark.parametrize("segment", [0, 2, 3])
def test_occlusion_of_a_frame_counts_for_its_own_segment(segment: int) -> None:
    clips = torch.rand(1, 1, 12, 8, 8)
    maps = SpatioTemporalOcclusion(SeesOneSegment(little(), segment)).attribute(
        clips, (1, 8, 8), (1, 8, 8), 0.0, 0, perturbations_per_eval=5
    )
    found = (maps.abs().amax((0, 1, 3, 4)) > 1e-6).tolist()
    assert found == [frame // 3 == segment for frame in range(12)]


@pytest.mark.parametrize("segment", [0, 2, 3])
def test_rise_finds_the_segment(segment: int) -> None:
    model = SeesOneSegment(little("pan_rgb"), segment)
    maps = RISE3D(model).attribute(
        torch.ones(1, 1, 12, 8, 8),
        0.0,
        0,
        n_samples=400,
        grid_shape=(12, 1, 1),
        generator=torch.Generator().manual_seed(0),
    )
    assert int(maps.mean((0, 1, 3, 4)).argmax()) == 3 * segment


def test_masks_reach_the_encoder_in_the_order_of_frames() -> None:
    """A spy at the door of the encoder sees the occluded frame at its own place in the fold."""
    model = little("pan_rgb", segments=8, frames_per_segment=1)
    seen: list[Tensor] = []
    model.base_model.stem.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    values = torch.linspace(0.2, 0.9, 8)
    clips = values[None, None, :, None, None].expand(1, 1, 8, 16, 16).clone()
    SpatioTemporalOcclusion(model).attribute(
        clips, (1, 16, 16), (1, 16, 16), 0.0, 0, perturbations_per_eval=3
    )
    rows = torch.cat([one * 0.25 + 0.5 for one in seen]).mean((1, 2, 3)).unflatten(0, (-1, 8))
    hidden = [row for row in rows if not torch.allclose(row, values)]
    assert len(hidden) == 8
    for frame, row in enumerate(hidden):
        wanted = values.clone()
        wanted[frame] = 0
        torch.testing.assert_close(row, wanted, atol=1e-6, rtol=0)


# gradients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", ["pan_lite", "pan_pa", "pan_full"])
def test_gradients_are_finite_where_nothing_moves(name: str, half: bool) -> None:
    model = little(name)
    still = torch.rand(1, 1, 1, 24, 32).repeat(1, 1, 12, 1, 1).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        score = model(still)[0, 1]
    score.backward()
    assert still.grad is not None
    assert still.grad.isfinite().all()
    for weight in model.parameters():
        assert weight.grad is None or weight.grad.isfinite().all()


def test_a_still_clip_has_maps_of_the_smallest_size() -> None:
    maps = PersistenceOfAppearance(3)(torch.rand(2, 1, 3, 9, 9).repeat(1, 4, 1, 1, 1))
    assert maps.shape == (2, 3, 9, 9)
    torch.testing.assert_close(maps, torch.full_like(maps, 8**0.5 * 1e-6), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", ["pan_lite", "pan_pa", "pan_full"])
def test_gradcam_is_the_gradient_weighted_map_of_each_segment(name: str) -> None:
    model, clips = little(name), torch.rand(2, 1, 12, 24, 32)
    kept: list[Tensor] = []
    hook = model.last_stage.register_forward_hook(lambda *args: kept.append(args[2]))
    scores = model(clips)[:, 1]
    slopes = torch.autograd.grad(scores.sum(), kept[0])[0].unflatten(0, (2, 4))
    hook.remove()
    maps = kept[0].detach().unflatten(0, (2, 4))
    cam = torch.einsum("nk,nskhw->nshw", slopes.mean((1, 3, 4)), maps).relu()
    wanted = nn.functional.interpolate(cam[:, None], (12, 24, 32), mode="trilinear")
    found = GradCAM3D(model, model.last_stage, activation_layout="(n t) c h w").attribute(clips, 1)
    assert found.shape == clips.shape
    torch.testing.assert_close(found, wanted)
    assert found.max() > 0


def test_the_command_s_gradcam_takes_the_last_stage() -> None:
    model, clips = little(), torch.rand(2, 1, 12, 24, 32)
    layer = last_spatiotemporal_layer(model, (clips[:1],))
    assert model.get_submodule(layer) is model.last_stage
    (maps,) = attribute("gradcam", model, clips, torch.tensor([0, 2]), Options())
    assert maps.shape == clips.shape


# parts ------------------------------------------------------------------------------------------


@given(
    n_clips=st.integers(1, 3),
    segments=st.integers(1, 6),
    channels=st.integers(1, 9),
    data=st.data(),
)
def test_temporal_shift_is_a_loop_over_channels(
    n_clips: int, segments: int, channels: int, data: st.DataObject
) -> None:
    fold = data.draw(st.integers(0, channels // 2))
    features = torch.rand(n_clips * segments, channels, 2, 3)
    wanted = torch.zeros_like(features)
    for clip in range(n_clips):
        for segment in range(segments):
            for channel in range(channels):
                step = 1 if channel < fold else -1 if channel < 2 * fold else 0
                if 0 <= segment + step < segments:
                    source = features[clip * segments + segment + step, channel]
                    wanted[clip * segments + segment, channel] = source
    assert torch.equal(temporal_shift(features, segments, fold), wanted)


@given(segments=st.integers(2, 6), fold=st.integers(1, 3), data=st.data())
def test_temporal_shift_reaches_one_segment_either_way(
    segments: int, fold: int, data: st.DataObject
) -> None:
    features = torch.rand(segments, 8, 1, 1)
    place = data.draw(st.integers(0, segments - 1))
    changed = features.clone()
    changed[place] += 1
    differs = temporal_shift(features, segments, fold) != temporal_shift(changed, segments, fold)
    reached = differs.any(1).flatten().nonzero().flatten().tolist()
    assert set(reached) <= {place - 1, place, place + 1}
    assert not differs[:place, fold:].any()  # the past is told of the future in the first fold
    assert not differs[place + 1 :, :fold].any()


@given(segments=st.integers(1, 6), fold=st.integers(0, 4))
def test_temporal_shift_of_time_reversed(segments: int, fold: int) -> None:
    """Played backwards, next and previous change places."""
    features = torch.rand(segments, 8, 2, 2)
    swapped = torch.cat(
        [features[:, fold : 2 * fold], features[:, :fold], features[:, 2 * fold :]], dim=1
    )
    forward = temporal_shift(features, segments, fold)
    backward = temporal_shift(swapped.flip(0), segments, fold).flip(0)
    assert torch.equal(backward[:, :fold], forward[:, fold : 2 * fold])
    assert torch.equal(backward[:, fold : 2 * fold], forward[:, :fold])
    assert torch.equal(backward[:, 2 * fold :], forward[:, 2 * fold :])


def test_pooling_takes_the_largest_of_each_timescale() -> None:
    pooling = VariousTimescalePooling(8, 5, 3, dropout=0.5).eval()
    features = torch.rand(16, 5)
    clips = features.unflatten(0, (2, 8))
    groups = [range(8), range(0, 8, 2), range(1, 8, 2), *[range(k, 8, 4) for k in range(4)]]
    largest = torch.stack([clips[:, list(group)].amax(1) for group in groups], dim=1)
    with torch.no_grad():
        pooling.TES[2].weight.zero_()  # then all seven weigh the same
        torch.testing.assert_close(pooling(features), pooling.pred(largest.mean(1)))
        same = features[:1].expand(16, 5)
        torch.testing.assert_close(pooling(same), pooling.pred(same[:2]))


def test_dropout_drops_in_training_alone() -> None:
    clips = torch.rand(1, 1, 12, 24, 32)
    for consensus in ("vap", "average"):
        kept = little(consensus=consensus, dropout=0.0)
        model = little(consensus=consensus, dropout=0.5)
        with torch.no_grad():
            assert torch.equal(model(clips), kept(clips))
            for module in model.modules():
                module.training = isinstance(module, nn.Dropout)
            assert not torch.equal(model(clips), kept(clips))


# building ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("consensus", ["vap", "average"])
@pytest.mark.parametrize("name", ["pan_lite", "pan_pa", "pan_rgb", "pan_full"])
def test_checkpoint_round_trip(tmp_path: Path, name: str, consensus: str, channels: int) -> None:
    model = little(name, channels, consensus=consensus, dropout=0.25)
    clip = ClipShape(frames=12, height=24, width=32, channels=channels)
    save_checkpoint(tmp_path / "a.pt", Checkpoint(model, name, ("a", "b", "c"), clip))
    loaded = load_checkpoint(tmp_path / "a.pt").model
    assert loaded.settings == model.settings
    assert loaded.settings["dropout"] == 0.25
    assert (loaded.channels, loaded.input_channels) == (channels, (channels,))
    clips = torch.rand(2, channels, 12, 24, 32)
    with torch.no_grad():
        logits = loaded(clips)
        assert logits.shape == (2, 3)
        assert torch.equal(logits, model(clips))


def test_the_small_network_is_small() -> None:
    model = build_model("pan_lite_small", 4)
    assert sum(weight.numel() for weight in model.parameters()) < 50_000
    shapes: list[tuple] = []
    model.last_stage.register_forward_hook(lambda *args: shapes.append(tuple(args[2].shape)))
    model(torch.rand(1, 3, 32, 48, 64))
    assert shapes == [(8, 32, 6, 8)]


@pytest.fixture
def offline_weights(monkeypatch: pytest.MonkeyPatch) -> Callable[[nn.Module], None]:
    """Let torchvision "fetch" the weights of a network of ours."""

    def serve(network: nn.Module) -> None:
        monkeypatch.setattr(
            "torchvision.models._api.load_state_dict_from_url",
            lambda *_, **__: dict(network.state_dict()),
        )

    return serve


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("variant", ["lite", "pa", "rgb"])
def test_published_filters_see_colours_and_their_mean_sees_the_rest(
    offline_weights: Callable, variant: str, channels: int
) -> None:
    published = resnet18()
    offline_weights(published)
    parts = {"encoder": "resnet18", "frames_per_segment": 4}
    model = build_model(f"pan_{variant}", 4, channels, "IMAGENET1K_V1", parts)
    filters = published.conv1.weight
    gray = filters.mean(1, keepdim=True)
    picture = {"pa": [], "rgb": [filters], "lite": [filters]}[variant]
    if channels == 1:
        picture = [gray] * len(picture)
    wanted = torch.cat([*picture, *[gray] * (0 if variant == "rgb" else 3)], dim=1)
    assert torch.equal(model.base_model.conv1.weight, wanted)
    last = model.base_model.layer4[1]
    assert torch.equal(last.conv1.net.weight, published.layer4[1].conv1.weight)


def test_published_weights_are_resnet_50_s_by_default(offline_weights: Callable) -> None:
    published = resnet50()
    offline_weights(published)
    model = build_model("pan_lite", 4, weights="IMAGENET1K_V1")
    assert torch.equal(model.base_model.conv1.weight[:, :3], published.conv1.weight)


@pytest.mark.parametrize("frames", [1, 8, 11, 24])
def test_clips_of_another_length(frames: int) -> None:
    message = r"expected clips \(N, C, T, H, W\) of 12 frames, 4 segments of 3, got shape \(1, 1, "
    for name in ("pan_lite", "pan_full"):
        with pytest.raises(BenchmarkError, match=message + str(frames)):
            little(name)(torch.rand(1, 1, frames, 24, 32))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("pan_lite", {"settings": {"variant": "en"}}, "variant 'en': expected one of lite, pa"),
        ("pan_lite", {"settings": {"encoder": "vgg11"}}, "encoder 'vgg11': expected one of small"),
        ("pan_lite", {"settings": {"consensus": "max"}}, "consensus 'max': expected one of vap"),
        ("pan_lite", {"settings": {"segments": 6}}, "segments: expected a power of two with"),
        ("pan_lite", {"settings": {"segments": 1}}, "segments: expected a power of two with"),
        ("pan_lite", {"settings": {"segments": 0}}, "segments: expected a whole number of at le"),
        ("pan_lite", {"settings": {"segments": "8"}}, "segments: expected a whole number of at"),
        ("pan_lite", {"settings": {"frames_per_segment": 1}}, "of at least 2, got 1"),
        ("pan_rgb", {"settings": {"frames_per_segment": 0}}, "of at least 1, got 0"),
        ("pan_lite", {"settings": {"dropout": 1.0}}, "dropout: expected 0 <= p < 1, got 1.0"),
        ("pan_lite", {"settings": {"depth": 18}}, "setting 'depth': expected one of variant"),
        ("pan_lite", {"weights": "nope"}, "encoder resnet50: expected weights IMAGENET1K_V1"),
        ("pan_lite_small", {"weights": "IMAGENET1K_V1"}, "encoder small: has no published"),
    ],
)
def test_impossible_networks(name: str, arguments: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        build_model(name, 4, **arguments)


def test_one_stream_is_not_two() -> None:
    with pytest.raises(BenchmarkError, match="variant full: has two streams"):
        PAN(4, settings=PANSettings(variant="full"))
