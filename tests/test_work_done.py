"""What the methods do, counted exactly: rows and calls of the network, bytes alive and bytes made.

Nothing here depends on time. A number that grows is work that was not needed before.
"""

from functools import partial

import pytest
import torch
from captum.attr import Saliency
from torch import nn

from benchmarks_kth_mad.speed.counting import Ledger
from captum_video import Extent, Layout
from captum_video.attr import (
    RISE3D,
    SIDU3D,
    ExtremalPerturbation3D,
    GradCAM3D,
    SpatioTemporalOcclusion,
    TemporalSaliencyRescaling,
)
from captum_video.masks import Joined, RandomGrids, RankedPrefixes, SlidingWindows, Switched
from captum_video.metrics import (
    average_drop_and_increase,
    deletion,
    insertion,
    minimal_mask,
    modality_score,
)
from captum_video.perturb import perturbed_scores

EXTENT = Extent(4, 16, 16)
MASK = 4 * 4 * 16 * 16
"""Bytes of a mask in float32."""
ROW = 3 * MASK
CANONICAL = Layout("n c t h w")


class Mean(nn.Module):
    """Allocates nothing but its score."""

    def forward(self, clip):
        return clip.mean((1, 2, 3, 4))


class Pooled(nn.Module):
    """Four maps of a layer, three classes, and a gradient that depends on the place."""

    def __init__(self, maps=4):
        super().__init__()
        self.body = nn.Conv3d(3, maps, (1, 4, 4), stride=(1, 4, 4))
        self.head = nn.Linear(maps, 3)

    def forward(self, clip):
        return self.head(self.body(clip).square().mean((2, 3, 4)))


class Counted(nn.Module):
    """A network that notes the rows of every call."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.calls = []

    def forward(self, clip, *more):
        self.calls.append(len(clip))
        return self.network(clip, *more)

    def of_two(self, first, second):
        """Scores of two inputs laid over each other."""
        return self(first + second)

    @property
    def rows(self):
        """Clips that it was shown."""
        return sum(self.calls)


def clips(count=1):
    return torch.rand(count, 3, *EXTENT, generator=torch.Generator().manual_seed(3))


def watched(run, *known):
    """What a second run adds: what is loaded or made once is there."""
    run()
    with Ledger(*known) as ledger:
        run()
    return ledger


def test_the_ledger_counts_storages_once_and_until_they_are_let_go():
    there = torch.zeros(100)
    with Ledger(there) as ledger:
        there.add_(1)
        there[:50].view(5, 10).T.sum()
        assert (ledger.allocated, ledger.alive, ledger.peak) == (4, 0, 4)
        first = torch.ones(10)
        with torch.inference_mode():
            second = first.expand(7, 10)
            third = second + 1
        assert (ledger.allocated, ledger.alive, ledger.peak) == (324, 320, 320)
        del first, second
        assert ledger.alive == 280
        del third
        assert ledger.alive == 0
        there.isfinite()
        assert ledger.allocated >= 324 + 100 + 400  # the answer, and absolute values on the way
        before = ledger.allocated
        torch.empty(1000, device="meta")
        assert ledger.allocated == before


TWO_PER_CLIP = {"perturbations_per_eval": 2}
RUNS = {  # of three clips, two perturbations of each to a pass: six rows
    "RISE3D": (
        lambda m, x: RISE3D(m).attribute(
            x, target=1, n_samples=10, estimator="coverage", **TWO_PER_CLIP
        ),
        [6, 6, 6, 6, 6],
    ),
    "SpatioTemporalOcclusion": (  # the clip and eight windows
        lambda m, x: SpatioTemporalOcclusion(m).attribute(x, (2, 8, 8), target=1, **TWO_PER_CLIP),
        [6, 6, 5, 5, 5],
    ),
    "Insertion": (
        lambda m, x: insertion(m, x, x, target=1, n_steps=10, **TWO_PER_CLIP),
        [6, 6, 6, 5, 5, 5],
    ),
    "Deletion": (
        lambda m, x: deletion(m, x, x, target=1, n_steps=10, **TWO_PER_CLIP),
        [6, 6, 6, 5, 5, 5],
    ),
    "minimal_mask": (  # of a curve that is there
        lambda m, x: minimal_mask(insertion(m, x, x, target=1, n_steps=1, **TWO_PER_CLIP)),
        [6],
    ),
    "average_drop_and_increase": (
        lambda m, x: average_drop_and_increase(m, x, x, target=1, **TWO_PER_CLIP),
        [6],
    ),
    "modality_score": (  # four coalitions
        lambda m, x: modality_score(m.of_two, (x, x.flip(0)), target=1, **TWO_PER_CLIP),
        [6, 6],
    ),
    "SIDU3D": (  # a look at all clips, then four masks of each
        lambda m, x: SIDU3D(m, "network.body").attribute(x, target=1, soft=True, **TWO_PER_CLIP),
        [3, 6, 6],
    ),
    "GradCAM3D": (lambda m, x: GradCAM3D(m, "network.body").attribute(x, target=1), [3]),
    "ExtremalPerturbation3D": (  # three areas, four iterations, both ends
        lambda m, x: ExtremalPerturbation3D(m).attribute(
            x, (0.1, 0.2, 0.3), target=1, max_iterations=4, **TWO_PER_CLIP
        ),
        [5] * 6 + [4] * 6,
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_rows_and_calls(name):
    """As few calls as there can be, of even size; several clips share a call."""
    run, expected = RUNS[name]
    model = Counted(Pooled().eval())
    run(model, clips(3))
    assert model.calls == expected


def test_rows_of_temporal_saliency_rescaling():
    """Per clip: a check of the target, the map itself, four frames, four tiles in each."""
    model = Counted(Pooled().eval())
    TemporalSaliencyRescaling(Saliency(model)).attribute(
        clips(3), (8, 8), target=1, gate_quantile=0.0, **TWO_PER_CLIP
    )
    assert model.rows == 3 * (1 + 1 + 4 + 16)


def test_automatic_chunks_hold_several_clips():
    model = Counted(Mean())
    RISE3D(model).attribute(clips(5), n_samples=30, grid_shape=(2, 2, 2))
    assert model.calls == [150]


EIGHT = {"perturbations_per_eval": 8}


def occlusion(count, clip):
    window = {64: (1, 4, 4), 128: (1, 4, 2)}[count]
    return SpatioTemporalOcclusion(Mean()).attribute(clip, window, **EIGHT)


def curve(metric, count, clip):
    return metric(Mean(), clip, clip, 0, n_steps=count - 1, activation=None, **EIGHT)


MEMORY = {  # bytes that a perturbation adds to the peak
    "occlusion": (occlusion, 4),  # its score
    "insertion": (partial(curve, insertion), 4 + 4 + 8),  # its score, and how much it keeps, twice
    "deletion": (partial(curve, deletion), 4 + 4 + 8),
}


@pytest.mark.parametrize("name", MEMORY)
def test_memory_does_not_grow_with_perturbations(name):
    run, each = MEMORY[name]
    clip = clips()
    few, many = (watched(lambda n=n: run(n, clip), clip) for n in (64, 128))
    assert many.peak - few.peak == 64 * each
    assert many.peak < 1.25 * 8 * ROW


def test_memory_of_rise_does_not_grow_with_masks():
    """Only bits, shifts and scores are kept of a mask: fewer bytes than its frames have pixels."""
    clip = clips()

    def run(count):
        RISE3D(Mean()).attribute(clip, n_samples=count, grid_shape=(1, 2, 2), **EIGHT)

    few, many = (watched(lambda n=n: run(n), clip) for n in (64, 256))
    assert many.peak - few.peak < 192 * 16 * 16


def test_memory_of_sidu_does_not_grow_with_masks():
    """Beside the layer's own maps, of which there are some copies."""
    clip, model = clips(), Pooled(32).eval()
    nn.init.zeros_(model.body.weight)
    model.body.bias.data.copy_(torch.arange(32))
    run = partial(SIDU3D(model, "body").attribute, clip, target=1, **EIGHT)
    few, many = (
        watched(partial(run, threshold=31.5 - n), clip, *model.parameters()) for n in (8, 32)
    )
    assert 0 < many.peak - few.peak < 24 * 3 * (4 * 4 * 4 * 4)


def test_memory_of_extremal_masks_does_not_grow_with_iterations():
    clip, model = clips(), Pooled().eval()
    run = partial(
        ExtremalPerturbation3D(model).attribute,
        clip,
        (0.1, 0.2),
        target=1,
        perturbations_per_eval=2,
    )
    few, many = (watched(partial(run, max_iterations=n), clip, *model.parameters()) for n in (3, 9))
    assert many.peak - few.peak == 6 * 2 * 4  # losses of two areas


def test_memory_of_rescaling_does_not_grow_with_tiles():
    clip = clips()
    method = TemporalSaliencyRescaling(Saliency(lambda x: (x**2).mean((2, 3, 4))))
    few, many = (
        watched(partial(method.attribute, clip, tile, target=1, perturbations_per_eval=4), clip)
        for tile in ((16, 16), (2, 2))
    )
    assert many.peak - few.peak < MASK


@pytest.mark.parametrize("frames", [4, 8])
def test_grad_cam_takes_little_more_than_a_forward_pass(frames):
    model = nn.Sequential(
        nn.Conv3d(3, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv3d(16, 8, 3, stride=4, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    ).eval()
    clip = torch.rand(2, 3, frames, 16, 16)
    read = clip.contiguous(memory_format=torch.channels_last_3d)

    def forward():
        with torch.inference_mode():
            model(read)

    plain = watched(forward, clip, read, *model.parameters())
    method = GradCAM3D(model, "3")
    found = watched(lambda: method.attribute(clip, target=1), clip, *model.parameters())
    copy = clip.numel() * 4  # as the network reads it
    assert found.peak == plain.peak + copy
    graph = watched(lambda: GradCAM3D(model, "0").attribute(clip, target=1), clip)
    assert graph.peak > found.peak  # the ledger sees what a graph keeps


RANKS = torch.randperm(MASK // 4, generator=torch.Generator().manual_seed(4)).view(EXTENT)
STREAMS = {  # bytes made for each perturbation: a mask in float32, once, and little else
    "prefixes": (RankedPrefixes(RANKS, torch.arange(64), EXTENT), MASK + 28),
    "windows": (SlidingWindows(EXTENT, (1, 4, 4), (1, 4, 4)), MASK + 4 * 4 * 16 + 230),
    "switches": (Switched(EXTENT, torch.arange(64) % 2 == 1), 28),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("layout", [CANONICAL, Layout("(n t) c h w", t=4)], ids=str)
def test_bytes_made_for_each_row(name, layout):
    stream, each = STREAMS[name]
    clip = clips()
    hidden = torch.zeros(1, 1, 1, 1, 1).expand(clip.shape)

    def run(*streams):
        perturbed_scores(
            lambda inputs: layout.to_clip(inputs).mean((1, 2, 3, 4)),
            (clip,),
            (hidden,),
            [[Joined(*streams)]],
            layout=layout,
            **EIGHT,
        )

    few, many = watched(lambda: run(stream), clip), watched(lambda: run(stream, stream), clip)
    assert (many.allocated - few.allocated) / 64 == each


def test_masks_are_not_all_there_at_once():
    """A quarter of a chunk of masks, and the chunk."""
    clip = clips()
    hidden = torch.zeros(1, 1, 1, 1, 1).expand(clip.shape)
    grids = RandomGrids(EXTENT, (2, 2, 2), 0.5, 64, torch.Generator())
    for stream in (grids, *(stream for stream, _ in STREAMS.values())):
        ledger = watched(
            lambda stream=stream: perturbed_scores(
                Mean(), (clip,), (hidden,), [[stream]], layout=CANONICAL, **EIGHT
            ),
            clip,
            hidden,
        )
        assert 8 * ROW <= ledger.peak < 8 * ROW + 4 * 2 * MASK
