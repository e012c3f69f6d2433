import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_models import FailsAfter, LimitedMemory, Linear3D, Relaid, TinyNet3D

from captum_video import Layout
from captum_video.clips import extent_of
from captum_video.masks import RandomGrids, SlidingWindows, Untouched
from captum_video.perturb import perturbed_outputs, perturbed_scores
from captum_video.perturb._job import is_out_of_memory

CANONICAL = Layout("n c t h w")


def stream(clip, n_masks=11, seed=0):
    return RandomGrids(
        extent_of(clip), (2, 2, 2), 0.5, n_masks, torch.Generator().manual_seed(seed)
    )


def plain(model, clip, baseline, masks, **kwargs):
    """One forward pass per mask and clip, blended by hand."""
    return torch.stack(
        [
            torch.cat([model(m * x[None] + (1 - m) * b[None], **kwargs) for m in masks[:]])
            for x, b in zip(clip, baseline, strict=True)
        ]
    )


@given(st.integers(1, 3), st.sampled_from([1, 2, 3, 7, 100, "auto"]))
def test_equals_one_pass_at_a_time_for_every_chunk(n_clips, per_eval):
    clip, baseline = torch.rand(2, n_clips, 2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    model = Linear3D(torch.randn(3, 2, 3, 4, 5, generator=torch.Generator().manual_seed(2)))
    masks = stream(clip)
    scores = perturbed_scores(
        model,
        (clip,),
        (baseline,),
        [[masks]] * n_clips,
        layout=CANONICAL,
        every_output=True,
        perturbations_per_eval=per_eval,
    )
    torch.testing.assert_close(scores, plain(model, clip, baseline, masks), atol=1e-5, rtol=1e-5)


def test_streams_may_differ_by_clip_and_input_and_leave_one_alone():
    first, second = torch.rand(2, 1, 2, 4, 4), torch.rand(2, 1, 2, 6, 6)
    seen = []

    def model(a, b):
        seen.append((a.clone(), b.clone()))
        return a.sum((1, 2, 3, 4)) + b.sum((1, 2, 3, 4))

    masks = [stream(first, 3, seed=1), stream(first, 3, seed=2)]
    list(
        perturbed_outputs(
            model,
            (first, second),
            (first * 0, second * 0),
            [[m, None] for m in masks],
            layout=CANONICAL,
            perturbations_per_eval=2,
        )
    )
    got_first, got_second = (torch.cat(parts) for parts in zip(*seen, strict=True))
    expected = torch.cat([masks[i][:] * first[i] for i in range(2)])
    torch.testing.assert_close(got_first, expected)
    assert torch.equal(got_second, second.repeat_interleave(3, 0))


@pytest.mark.parametrize("short", [(2, 4, 4), (1, 4, 4), (4, 4, 1)])
def test_masks_of_another_extent_are_refused(short):
    """Also of one frame, which broadcasting would lay over all."""
    first, second = torch.rand(1, 2, 4, 4, 4), torch.rand(1, 1, *short)
    masks = SlidingWindows(extent_of(first), (2, 2, 2), (2, 2, 2))
    other = SlidingWindows(extent_of(second), (1, 2, 1), (1, 2, 1))
    for pair, bad in (((masks, masks), 1), ((other, other), 0)):
        with pytest.raises(ValueError, match=rf"masks of inputs\[{bad}\]: expected .*, got"):
            perturbed_scores(
                lambda a, b: a.sum((1, 2, 3, 4)) + b.sum((1, 2, 3, 4)),
                (first, second),
                (first * 0, second * 0),
                [pair],
                layout=CANONICAL,
            )


def test_streams_of_different_length_per_clip():
    clip = torch.rand(3, 1, 4, 4, 4)
    masks = [[stream(clip, n)] for n in (2, 5, 1)]
    parts = list(
        perturbed_outputs(
            lambda x: x.sum((1, 2, 3, 4)),
            (clip,),
            (clip * 0,),
            masks,
            layout=CANONICAL,
            perturbations_per_eval=1,
        )
    )
    assert [(p.clip, p.start, p.stop) for p in parts] == [
        (0, 0, 2),
        (1, 0, 1),
        (1, 1, 4),
        (1, 4, 5),
        (2, 0, 1),
    ]
    scores = perturbed_scores(
        lambda x: x.sum((1, 2, 3, 4)), (clip,), (clip * 0,), masks, layout=CANONICAL
    )
    assert scores.isnan().sum(1).tolist() == [3, 0, 4]
    for row, ((one,), x) in zip(scores, zip(masks, clip, strict=True), strict=True):
        torch.testing.assert_close(row[: len(one)], (one[:] * x).sum((1, 2, 3, 4)))
    with pytest.raises(ValueError, match="finite scores"):
        perturbed_scores(
            lambda x: x.sum((1, 2, 3, 4)) / 0, (clip,), (clip * 0,), masks, layout=CANONICAL
        )


def test_end_points_are_exact():
    clip, baseline = torch.rand(1, 2, 3, 4, 5) * 1e3, torch.rand(1, 2, 3, 4, 5)
    seen = []

    def keep(x):
        seen.append(x.clone())
        return x.sum((1, 2, 3, 4))

    whole = SlidingWindows(extent_of(clip), (3, 4, 5), (1, 1, 1))
    for masks in (Untouched(extent_of(clip)), whole):
        perturbed_scores(keep, (clip,), (baseline,), [[masks]], layout=CANONICAL)
    assert torch.equal(seen[0], clip)
    assert torch.equal(seen[1], baseline)


def _viewable(inputs):
    inputs.view(-1)  # raises where the memory is in another order


@pytest.mark.parametrize("pattern", ["n t c h w", "n (t c) h w"])
def test_other_layouts_reach_the_model_contiguous(pattern):
    layout = Layout(pattern, c=2) if "(" in pattern else Layout(pattern)
    clip, network = torch.rand(2, 2, 4, 6, 6), TinyNet3D().eval()
    model = Relaid(network, pattern, **layout.sizes)
    model.register_forward_pre_hook(lambda _, args: _viewable(args[0]))
    masks = [[stream(clip)]] * 2
    zeros = (torch.zeros_like(clip),)
    scores = perturbed_scores(model, (clip,), zeros, masks, layout=layout, target=1)
    plain_ = perturbed_scores(network, (clip,), zeros, masks, layout=CANONICAL, target=1)
    torch.testing.assert_close(scores, plain_, atol=1e-5, rtol=1e-5)


def test_auto_halves_until_it_fits_and_keeps_the_result():
    clip = torch.rand(2, 2, 4, 6, 6)
    network = Linear3D(torch.randn(1, 2, 4, 6, 6))
    limited = LimitedMemory(network, limit=5)
    arguments = {"layout": CANONICAL, "target": 0}
    zeros, masks = (torch.zeros_like(clip),), [[stream(clip, 40)]] * 2
    scores = perturbed_scores(limited, (clip,), zeros, masks, **arguments)
    assert torch.allclose(scores, perturbed_scores(network, (clip,), zeros, masks, **arguments))
    tried = limited.batches
    assert tried[:5] == [80, 40, 20, 10, 5]
    assert max(tried[4:]) <= 5
    with pytest.raises(torch.OutOfMemoryError):  # a number that was asked for is kept
        perturbed_scores(limited, (clip,), zeros, masks, perturbations_per_eval=4, **arguments)
    with pytest.raises(torch.OutOfMemoryError):
        perturbed_scores(LimitedMemory(network, 0), (clip,), zeros, masks, **arguments)


def test_chunks_grow_with_neither_masks_nor_clips():
    network = LimitedMemory(Linear3D(torch.randn(1, 3, 16, 112, 112)), limit=10**9)
    clip = torch.rand(1, 3, 16, 112, 112).expand(3, -1, -1, -1, -1)
    masks = [[stream(clip, 5)]] * 3
    perturbed_scores(network, (clip,), (clip[:1] * 0,), masks, layout=CANONICAL, target=0)
    assert network.batches == [4, 4, 4, 3]


def test_three_dimensional_convolutions_get_channels_last():
    formats = []

    class Watch(TinyNet3D):
        def forward(self, clip):
            formats.append(clip.is_contiguous(memory_format=torch.channels_last_3d))
            return super().forward(clip)

    clip = torch.rand(1, 2, 4, 6, 6)
    perturbed_scores(Watch(), (clip,), (clip * 0,), [[stream(clip)]], layout=CANONICAL, target=0)
    assert all(formats)


def test_runs_in_inference_and_eval_mode_and_under_the_callers_autocast():
    facts = []

    class Watch(TinyNet3D):
        def forward(self, clip):
            out = super().forward(clip)
            facts.append((torch.is_inference_mode_enabled(), self.training, out.dtype))
            return out

    model, clip = Watch().train(), torch.rand(1, 2, 4, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        scores = perturbed_scores(
            model, (clip,), (clip * 0,), [[stream(clip)]], layout=CANONICAL, target=0
        )
    assert facts[0] == (True, False, torch.bfloat16)
    assert model.training
    assert scores.dtype == torch.float32
    assert not torch.is_inference_mode_enabled()
    assert not scores.is_inference()


def test_stopping_in_the_middle_leaves_nothing_behind():
    clip, model = torch.rand(1, 2, 4, 6, 6), TinyNet3D().train()
    parts = perturbed_outputs(
        model, (clip,), (clip * 0,), [[stream(clip)]], layout=CANONICAL, perturbations_per_eval=2
    )
    next(parts)
    assert model.training
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_progress_counts_clips(capsys):
    clip = torch.rand(2, 1, 4, 4, 4)
    for show in (True, False):
        perturbed_scores(
            lambda x: x.sum((1, 2, 3, 4)),
            (clip,),
            (clip * 0,),
            [[stream(clip)]] * 2,
            layout=CANONICAL,
            show_progress=show,
            description="Waiting",
        )
        shown = capsys.readouterr().err
        assert ("Waiting" in shown and "22/22" in shown) is show


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (lambda x: x.sum(), {}, ValueError, r"one row for each of 11 clips, got shape \(\)"),
        (lambda x: x[:1].flatten(1).sum(1), {}, ValueError, "one row for each of 11 clips"),
        (lambda x: [x], {}, TypeError, "expected a tensor back, got list"),
        (lambda x: x.sum((1, 2, 3, 4)) * torch.nan, {}, ValueError, "finite scores, got NaN"),
        (lambda x: x.sum((2, 3, 4)), {}, ValueError, "one per clip"),
        (
            lambda x: x.sum((2, 3, 4)),
            {"target": 2},
            ValueError,
            "target 2: expected 0 <= target < 2",
        ),
        (lambda x: x.sum((2, 3, 4)), {"target": -1}, ValueError, "target -1: expected 0 <="),
        (lambda x: x.sum((1, 2, 3, 4)), {"target": 0}, ValueError, "has only 0 axes"),
        (
            lambda x: x.sum((2, 3, 4)),
            {"target": [0, 1]},
            ValueError,
            r"one entry per clip \(1\), got 2",
        ),
        (
            lambda x: x.sum((2, 3, 4)),
            {"target": torch.tensor([0.5, 0.5])},
            ValueError,
            "class indices",
        ),
        (lambda x: x.sum((2, 3, 4)), {"target": 0.5}, TypeError, "target: expected int"),
        (lambda x: x.sum((2, 3, 4)), {"target": True}, TypeError, "target: expected int"),
        (lambda x: x, {"every_output": True}, ValueError, r"expected \(clips, classes\)"),
        (lambda x: x, {"perturbations_per_eval": 0}, ValueError, "at least 1, got 0"),
        (lambda x: x, {"perturbations_per_eval": "all"}, TypeError, "whole number or 'auto'"),
        (
            lambda x, y: x,
            {"additional_forward_args": torch.zeros(3)},
            ValueError,
            r"additional_forward_args\[0\]: expected one entry per clip \(1\)",
        ),
    ],
)
def test_bad_models_and_options_say_why(model, options, error, message):
    clip = torch.rand(1, 2, 4, 4, 4)
    with pytest.raises(error, match=message):
        perturbed_scores(
            model, (clip,), (clip * 0,), [[stream(clip)]], **({"layout": CANONICAL} | options)
        )


def test_a_models_own_error_passes_through():
    clip = torch.rand(1, 2, 4, 4, 4)
    model = FailsAfter(TinyNet3D().train(), calls=2)
    with pytest.raises(RuntimeError, match="planned failure"):
        perturbed_scores(
            model,
            (clip,),
            (clip * 0,),
            [[stream(clip)]],
            layout=CANONICAL,
            target=0,
            perturbations_per_eval=1,
        )
    assert model.network.training
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("planned failure"))
