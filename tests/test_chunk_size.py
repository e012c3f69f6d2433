"""How many rows a pass holds, how they are laid in memory, and that neither changes a result."""

import copy
import gc

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from toy_models import FrameNet, LimitedMemory, Linear3D, TinyNet3D, frame_wise

from captum_video import Extent, Layout
from captum_video.attr import (
    SIDU3D,
    ExtremalPerturbation3D,
    GradCAM3D,
    SpatioTemporalOcclusion,
)
from captum_video.baselines import resolve, spatial_blur
from captum_video.clips import extent_of
from captum_video.masks import FeatureMaps, RandomGrids, SlidingWindows, Tubes
from captum_video.perturb import _chunk_size, perturbed_scores, run_in_chunks
from captum_video.perturb._chunk_size import rows_by_measure

CANONICAL = Layout("n c t h w")


def scores_of(model, clip, n_masks=40, layout=CANONICAL, **options):
    grids = RandomGrids(extent_of(clip), (2, 2, 2), 0.5, n_masks, torch.Generator(), clip.device)
    return perturbed_scores(
        model,
        (clip,),
        (torch.zeros_like(clip),),
        [[grids]] * len(clip),
        layout=layout,
        target=0,
        **options,
    )


def limited(limit, extent=(4, 6, 6)):
    return LimitedMemory(Linear3D(torch.randn(1, 2, *extent)), limit)


@given(st.integers(1, 200), st.integers(1, 60))
def test_chunks_are_as_few_as_can_be_and_even(n_rows, size):
    chunks = run_in_chunks(
        n_rows, size, lambda *bounds: bounds, may_shrink=False, release=lambda: None
    )
    bounds = [(first, last) for first, last, _ in chunks]
    lengths = [last - first for first, last in bounds]
    assert [first for first, _ in bounds] == [0, *(last for _, last in bounds[:-1])]
    assert sum(lengths) == n_rows
    assert len(lengths) == -(-n_rows // size)
    assert max(lengths) - min(lengths) <= 1
    assert lengths == sorted(lengths, reverse=True)


def test_what_fitted_is_remembered_for_network_shape_and_precision():
    model, clip = limited(5), torch.rand(2, 2, 4, 6, 6)
    first = scores_of(model, clip)
    assert model.batches == [80, 40, 20, 10] + [5] * 16
    model.batches.clear()
    assert torch.equal(scores_of(model, clip), first)
    assert model.batches == [5] * 16
    model.batches.clear()
    scores_of(model, clip, 3)
    assert model.batches == [3, 3]
    model.batches.clear()
    scores_of(model, clip.double())  # others are tried for themselves
    with torch.autocast("cpu", torch.bfloat16):
        scores_of(model, clip)
    assert model.batches.count(80) == 2
    model.batches.clear()
    scores_of(model, clip, perturbations_per_eval=1)  # what is asked for is kept
    assert model.batches == [2] * 40


def test_a_pass_that_no_longer_fits_is_halved_again():
    model, clip = limited(5), torch.rand(1, 2, 4, 6, 6)
    scores_of(model, clip)
    model.limit = 2
    model.batches.clear()
    scores_of(model, clip)
    assert model.batches == [5, 3] + [2] * 20
    model.batches.clear()
    scores_of(model, clip)
    assert model.batches == [2] * 20


def test_functions_are_not_remembered_and_networks_are_let_go():
    model, clip = limited(5), torch.rand(1, 2, 4, 6, 6)
    for _ in range(2):
        scores_of(model.forward, clip)
    assert model.batches.count(40) == 2
    assert model not in _chunk_size._found
    scores_of(model, clip)
    assert model in _chunk_size._found
    before = len(_chunk_size._found)
    del model
    gc.collect()
    assert len(_chunk_size._found) == before - 1


def test_searches_and_frame_wise_networks_remember_too():
    class Limited(TinyNet3D):
        batches = ()

        def forward(self, clip):
            self.batches = (*self.batches, len(clip))
            if len(clip) > 2:
                raise torch.OutOfMemoryError("planned")
            return super().forward(clip)

    model, clip = Limited().eval(), torch.rand(1, 2, 4, 6, 6)
    for _ in range(2):
        ExtremalPerturbation3D(model).attribute(
            clip, (0.1, 0.2, 0.3, 0.4), target=1, max_iterations=2
        )
    assert model.batches == (4, *[2] * 16)

    network = frame_wise()
    network.head = HeadOfFew(network.head)
    expected = scores_of(copy.deepcopy(network), clip, 30, perturbations_per_eval=3)
    for failures in (3, 3):
        torch.testing.assert_close(scores_of(network, clip, 30), expected)
        assert network.head.failures == failures


class HeadOfFew(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.head, self.failures = head, 0

    def forward(self, features):
        if len(features) > 4:
            self.failures += 1
            raise torch.OutOfMemoryError("planned")
        return self.head(features)


@given(st.integers(1, 64), st.integers(0, 2**36), st.integers(0, 2**38), st.integers(1, 2000))
def test_rows_by_measure(rows, taken, available, most):
    found = rows_by_measure(rows, taken, available, most)
    assert 1 <= found <= most
    assert found == 1 or found * taken <= 0.8 * available * rows
    larger = (found + 1) * (taken / rows + 1)
    assert found == most or larger > 0.8 * available


def test_rows_by_measure_by_hand():
    assert rows_by_measure(8, 8 * 300, 10_000, 1000) == 26  # 8,000 bytes at 300 a row
    assert rows_by_measure(8, 8 * 300, 10_000, 20) == 20
    assert rows_by_measure(8, 8 * 300, 100, 20) == 1
    assert rows_by_measure(8, 0, 0, 20) == 1


@pytest.mark.parametrize("pattern", ["(n t) c h w", "(t n) c h w"])
@pytest.mark.parametrize("per_eval", [3, 4])
def test_folded_frames_of_two_dimensional_networks_get_channels_last(pattern, per_eval):
    """Also where a chunk is smaller than the room that is kept."""
    layout, seen = Layout(pattern, t=4), []

    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 5, 3)

        def forward(self, frames):
            seen.append((len(frames), frames.is_contiguous(memory_format=torch.channels_last)))
            return layout.to_clip(self.conv(frames).relu()).mean((2, 3, 4))

    model, clip = Folded().double(), torch.rand(1, 2, 4, 6, 7).double()
    found = scores_of(model, clip, 11, layout, perturbations_per_eval=per_eval)
    assert {form for _, form in seen} == {True}
    assert [rows // 4 for rows, _ in seen] == ([3, 3, 3, 2] if per_eval == 3 else [4, 4, 3])
    plain = scores_of(
        lambda x: model(layout.from_clip(x)), clip, 11, perturbations_per_eval=per_eval
    )
    torch.testing.assert_close(found, plain)


@pytest.mark.parametrize("layout", [CANONICAL, Layout("(n t) c h w", t=4)], ids=str)
def test_layers_are_looked_at_in_the_same_memory_format(layout):
    seen = []
    folded = not layout.is_canonical

    class Watch(FrameNet):
        def forward(self, inputs):
            clip = layout.to_clip(inputs)
            wanted = torch.channels_last if folded else torch.channels_last_3d
            seen.append(inputs.is_contiguous(memory_format=wanted))
            return super().forward(clip)

    model, clip = Watch(folded), torch.rand(2, 2, 4, 6, 7)
    before, inputs = clip.clone(), layout.from_clip(clip)
    for method in (GradCAM3D, SIDU3D):
        maps = method(model, "conv", layout, "(n t) c h w" if folded else "n c t h w")
        assert maps.attribute(inputs, target=1).is_contiguous()
    assert torch.equal(layout.from_clip(before), inputs)
    assert all(seen)
    assert len(seen) >= 3


def test_half_precision_does_not_round_maps():
    """Sums over windows, tubes and feature maps, and blurred baselines, stay as they are."""
    weights = torch.rand(1, 8)
    streams = [
        SlidingWindows(Extent(4, 6, 6), (2, 3, 3), (2, 3, 3)),
        Tubes(Extent(4, 6, 6), (2, 3, 3), (2, 3, 3), torch.zeros(2, 4, 6, 6)),
    ]
    maps = FeatureMaps(torch.rand(8, 2, 3, 3), Extent(4, 6, 6), soft=True)
    clip = torch.rand(1, 2, 4, 12, 12)

    def results():
        sums = [stream.hidden_sum(weights) for stream in streams]
        blurred = resolve(spatial_blur, (clip,), CANONICAL)[0]
        estimated = SpatioTemporalOcclusion(lambda x: (x**2).sum((1, 2, 3, 4))).attribute(
            clip, (2, 4, 4), exact="none"
        )
        return [*sums, maps.kept_sum(weights), blurred, estimated]

    expected = results()
    with torch.autocast("cpu", torch.bfloat16):
        found = results()
    torch.testing.assert_close(found, expected)


def test_half_precision_is_for_the_network_alone():
    """Clips are blended in their own dtype, the first layer rounds them, scores are float32."""
    clip = torch.rand(2, 2, 4, 6, 6)
    grids = RandomGrids(extent_of(clip), (2, 2, 2), 0.5, 7, torch.Generator())
    seen = []

    class Watch(TinyNet3D):
        def forward(self, inputs):
            seen.append(inputs.clone())
            return super().forward(inputs)

    model, baseline = Watch().eval(), torch.rand(2, 2, 4, 6, 6)

    def run(**options):
        return perturbed_scores(
            model, (clip,), (baseline,), [[grids]] * 2, layout=CANONICAL, target=0, **options
        )

    masks = grids[:]
    with torch.autocast("cpu", torch.bfloat16):
        found = run()
        halves = run(activation=lambda outputs: outputs.softmax(1))
    inputs = seen[0]
    expected = [torch.lerp(b[None], x[None], masks) for b, x in zip(baseline, clip, strict=True)]
    assert inputs.dtype == torch.float32
    torch.testing.assert_close(inputs, torch.cat(expected))
    assert found.dtype == halves.dtype == torch.float32
    assert torch.equal(found, found.bfloat16().float())  # the outputs, nothing rounded once more
    assert not torch.equal(halves, halves.bfloat16().float())  # activations are not rounded
    torch.testing.assert_close(found, run(), atol=0.02, rtol=0.05)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_memory_that_runs_out_on_a_gpu():
    """A first small pass is measured; where that is not enough, passes are halved, and remembered."""
    clip, batches = torch.rand(2, 2, 8, 64, 64), []

    class Watch(TinyNet3D):
        def forward(self, inputs):
            batches.append(len(inputs))
            return super().forward(inputs)

    model = Watch().eval()
    expected = scores_of(model, clip, 400)
    model, clip = model.cuda(), clip.cuda()
    batches.clear()
    torch.testing.assert_close(scores_of(model, clip, 400).cpu(), expected, atol=1e-3, rtol=1e-2)
    assert batches[0] == 8
    assert batches[1] > 8
    batches.clear()
    scores_of(model, clip, 400)
    assert batches[0] > 8  # remembered
    _chunk_size._found.pop(model)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(clip.device).total_memory
    used = torch.cuda.memory_reserved() + 300 * 2**20
    torch.cuda.set_per_process_memory_fraction(used / total)
    try:
        batches.clear()
        found = scores_of(model, clip, 400)
        tried = list(batches)
        batches.clear()
        again = scores_of(model, clip, 400)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert len(tried) > len(batches)  # it ran out, and the next time it did not
    assert max(batches) < max(tried)
    torch.testing.assert_close(found.cpu(), expected, atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(again, found, atol=1e-3, rtol=1e-2)
