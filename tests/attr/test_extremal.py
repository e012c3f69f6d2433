import numpy as np
import oracles_extremal as oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import clips, extents
from toy_models import LimitedMemory, Linear3D, Swapped, TinyNet3D, TwoStreams, frame_wise

from captum_video import Extent, baselines
from captum_video.attr import ExtremalPerturbation3D
from captum_video.attr._extremal_masks import SmoothMasks, area_loss, core_loss, ellipsoid
from captum_video.attr._extremal_substrates import BlurPyramid, Freeze, Reverse

RAW = {"activation": None}
DOUBLE = torch.empty(0, dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def grids(extent):
    return st.builds(Extent, *(st.integers(1, size) for size in extent))


@given(st.data(), extents, st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_masks_are_the_smooth_maximum_of_their_nodes(data, extent, seed):
    grid = data.draw(grids(extent))
    nodes = torch.rand((2, *grid), generator=seeded(seed), dtype=torch.float64)
    masks = SmoothMasks(extent, grid, DOUBLE)(nodes)
    for one, found in zip(nodes, masks.expand(-1, 1, *extent)[:, 0], strict=True):
        expected = oracles.smooth_mask(one.numpy(), extent)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@given(st.data(), extents)
@settings(max_examples=25, deadline=None)
def test_nodes_of_one_or_zero_everywhere_are_the_mask(data, extent):
    masks = SmoothMasks(extent, data.draw(grids(extent)), DOUBLE)
    for value in (0.0, 1.0):
        found = masks(torch.full((1, *masks.grid), value, dtype=torch.float64))
        torch.testing.assert_close(found, torch.full_like(found, value))


@given(st.data(), st.integers(1, 40), st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_area_loss(data, count, seed):
    areas = torch.tensor([data.draw(st.floats(0.01, 0.99)) for _ in range(3)])
    values = torch.rand((3, count), generator=seeded(seed), dtype=torch.float64).round(decimals=1)
    found = area_loss([values], areas)
    expected = [
        oracles.area_loss(row.tolist(), area)
        for row, area in zip(values, areas.tolist(), strict=True)
    ]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_equal_values_are_told_apart_by_their_slope():
    values, slopes = torch.ones(1, 4, requires_grad=True), torch.tensor([[0.0, -1.0, 2.0, -3.0]])
    (push,) = torch.autograd.grad(area_loss([values], torch.tensor([0.5]), [slopes]).sum(), values)
    assert push.tolist() == [[0.5, 0.0, 0.5, 0.0]]
    apart = torch.tensor([[1.0, 0.9, 1.0, 0.9]], requires_grad=True)  # only nearly equal ones
    (push,) = torch.autograd.grad(area_loss([apart], torch.tensor([0.5]), [slopes]).sum(), apart)
    torch.testing.assert_close(push, torch.tensor([[0.0, 0.45, 0.0, 0.45]]))


def test_area_of_several_masks_is_that_of_all_each_the_same_share():
    first, second = torch.tensor([[0.9, 0.8, 0.1, 0.0]]), torch.tensor([[0.95, 0.2]])
    quarter = area_loss([first, second], torch.tensor([0.25]))  # the one large value, 1/4 of all
    expected = 0.125 * (0.81 + 0.64 + 0.01) + 0.25 * (0.05**2 + 0.04)
    assert quarter.item() == pytest.approx(expected)
    half = area_loss([first, second], torch.tensor([0.5]))
    expected = 0.125 * (0.01 + 0.04 + 0.01) + 0.25 * (0.05**2 + 0.04)
    assert half.item() == pytest.approx(expected)


@given(st.data(), st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_core_loss(data, seed):
    extent = Extent(*(data.draw(st.integers(2, 7)) for _ in range(3)))
    core = Extent(*(data.draw(st.integers(1, 5)) for _ in range(3)))
    area = data.draw(st.floats(0.01, 0.6))
    mask = torch.rand((1, 1, *extent), generator=seeded(seed), dtype=torch.float64)
    found = core_loss(mask, torch.tensor([area], dtype=torch.float64), core)
    expected = oracles.core_loss(mask[0, 0].numpy(), area, core)
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_a_mask_made_of_one_ellipsoid_lacks_nothing():
    core, mask = Extent(3, 5, 5), torch.zeros(1, 1, 3, 15, 15)
    kernel = ellipsoid(core, mask)
    mask[..., 5:10, 10:15] = kernel
    area = kernel.sum() / mask.numel()
    assert core_loss(mask, area[None], core).item() == 0
    scattered = torch.zeros_like(mask).flatten()
    scattered[:: int(1 / area)] = 1
    assert core_loss(scattered.view_as(mask), area[None], core).item() > 0.5


@given(st.data(), st.integers(1, 7), st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_freezing_and_reversing(data, frames, seed):
    clip = torch.rand((2, 3, frames, 2, 2), generator=seeded(seed), dtype=torch.float64)
    values = st.one_of(st.sampled_from([0.0, 0.89, 0.9, 1.0]), st.floats(0, 1))
    masks = torch.tensor(
        [[data.draw(values) for _ in range(frames)] for _ in range(3)], dtype=torch.float64
    )
    rows = [1, 0, 1]
    for substrate, oracle in ((Freeze(), oracles.freeze), (Reverse(), oracles.reverse)):
        found = substrate(clip, rows, masks.view(3, 1, frames, 1, 1))
        for row, mask, one in zip(rows, masks, found, strict=True):
            expected = oracle(clip[row].transpose(0, 1).numpy(), mask.numpy())
            np.testing.assert_allclose(one.transpose(0, 1).numpy(), expected, atol=1e-12)


def test_blur_grows_as_the_mask_falls():
    clip = torch.rand(1, 1, 2, 28, 28)
    blurred = BlurPyramid(clip)
    levels = [blurred(clip, [0], torch.full((1, 1, 2, 1, 1), i / 14)) for i in range(15)]
    assert torch.equal(levels[-1], clip)
    torch.testing.assert_close(levels[0], baselines.spatial_blur(clip, 5.0))
    torch.testing.assert_close(levels[2], baselines.spatial_blur(clip, 5.0 * 6 / 7))
    torch.testing.assert_close(levels[1], (levels[0] + levels[2]) / 2)  # linear in between
    spread = [level.std().item() for level in levels]
    assert spread == sorted(spread)


def box_model(clip):
    """Reads one box, an eighth of the clip."""
    return clip[:, :, 4:8, 8:16, :8].mean((1, 2, 3, 4))


@pytest.mark.parametrize("goal", ["preserve", "delete", "both"])
@pytest.mark.parametrize("core", [None, (4, 8, 8)])
def test_the_mask_lies_on_the_box_that_is_read(goal, core):
    clip = torch.ones(1, 1, 8, 16, 16)
    found = ExtremalPerturbation3D(box_model).solve(
        clip, (1 / 8,), goal=goal, core=core, grid_shape=(4, 4, 4), max_iterations=60, **RAW
    )
    mask = found.masks[0, 0]
    assert mask.shape == (8, 16, 16)
    inside = mask[4:8, 8:16, :8].mean()
    outside = (mask.sum() - 256 * inside) / (mask.numel() - 256)
    assert inside > 0.6  # a smooth mask of that area has a rim, part of it outside
    assert outside < 0.1
    assert abs(mask.mean() - 1 / 8) < 0.03
    assert found.kept.item() == pytest.approx(inside.item())
    assert found.left.item() == pytest.approx(1 - inside.item())


def test_areas_are_kept_to_and_the_map_is_their_mean():
    clip = torch.rand(2, 2, 4, 16, 16, generator=seeded())
    weights = torch.linspace(0, 1, 16).expand(1, 2, 4, 16, 16)
    areas = (0.1, 0.3, 0.6)
    method = ExtremalPerturbation3D(Linear3D(weights))
    options = {"target": 0, "grid_shape": (4, 8, 8), "max_iterations": 60} | RAW
    found = method.solve(clip, areas, **options)
    volumes = found.masks.mean((2, 3, 4))
    torch.testing.assert_close(volumes, torch.tensor([areas] * 2), atol=0.05, rtol=0)
    assert (found.kept.diff(dim=1) > 0).all()
    assert (found.left.diff(dim=1) < 0).all()
    maps = method.attribute(clip, areas, **options)
    torch.testing.assert_close(maps[:, 1], found.masks.mean(1))


def test_of_frames_those_are_found_that_a_linear_model_weighs_most():
    worth = torch.tensor([0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.0, 0.4])
    found = ExtremalPerturbation3D(lambda x: (x.mean((1, 3, 4)) * worth).sum(1)).solve(
        torch.ones(1, 2, 8, 5, 5), (1 / 8, 3 / 8), over="time", max_iterations=80, **RAW
    )
    per_frame = found.masks[0, :, :, 0, 0]
    assert torch.equal(found.masks, per_frame[None, ..., None, None].expand(1, 2, 8, 5, 5))
    for count, frames in ((1, per_frame[0]), (3, per_frame[1])):
        assert set(frames.topk(count).indices.tolist()) == set(worth.topk(count).indices.tolist())
        assert frames.topk(count).values.min() > 0.8
        assert frames.topk(count + 1).values[-1] < 0.2


def test_freezing_finds_the_frame_at_which_something_moves():
    clip = torch.zeros(1, 1, 8, 4, 4)
    clip[:, :, 5:] = 1  # all stands still but at frame 5
    moved = lambda x: x.diff(dim=2).abs().sum((1, 2, 3, 4))  # noqa: E731
    found = ExtremalPerturbation3D(moved).solve(
        clip, (1 / 8,), over="time", substrate="freeze", max_iterations=60, **RAW
    )
    # Frames 5 to 7 are alike: whichever is shown first brings the step.
    assert found.masks[0, 0, :, 0, 0].argmax() >= 5
    assert found.kept.item() > 0.9 * moved(clip).item()


def test_reversing_finds_the_frames_whose_order_counts():
    clip = torch.arange(8.0).view(1, 1, 8, 1, 1).expand(1, 1, 8, 4, 4)
    early = lambda x: x[:, 0, 0, 0, 0] * -1 - 3 * x[:, 0, 1, 0, 0]  # noqa: E731
    found = ExtremalPerturbation3D(early).solve(
        clip, (1 / 4,), over="time", substrate="reverse", max_iterations=60, **RAW
    )
    assert set(found.masks[0, 0, :, 0, 0].topk(2).indices.tolist()) == {0, 1}


def test_an_input_that_is_not_read_has_no_region():
    model = lambda visible, infrared: visible[..., :4, :4].mean((1, 2, 3, 4))  # noqa: E731
    inputs = torch.ones(1, 2, 4, 8, 8), torch.ones(1, 1, 2, 6, 6)
    method = ExtremalPerturbation3D(model)
    visible, infrared = method.attribute(
        inputs, (0.125,), inputs_together=False, max_iterations=60, **RAW
    )
    assert visible[..., :4, :4].mean() > 0.6
    assert infrared.mean() < 0.05


@given(clips(n_clips=(2, 2), extent=st.just(Extent(3, 6, 6)), channels=(2, 2)), st.integers(1, 7))
@settings(max_examples=8, deadline=None)
def test_chunks_and_the_order_of_clips_do_not_matter(clip, chunk):
    clip = clip.double()
    model = TinyNet3D().eval().double()
    run = ExtremalPerturbation3D(model).attribute
    options = {"areas": (0.1, 0.3), "target": 1, "grid_shape": (3, 3, 3), "max_iterations": 6}
    expected = run(clip, **options)
    torch.testing.assert_close(run(clip, perturbations_per_eval=chunk, **options), expected)
    torch.testing.assert_close(run(clip.flip(0), **options), expected.flip(0))


def test_the_generator_decides():
    clip, model = torch.rand(1, 2, 4, 8, 8), TinyNet3D().eval()
    run = ExtremalPerturbation3D(model).attribute
    options = {"target": 1, "max_iterations": 3}
    first = run(clip, generator=seeded(3), **options)
    assert torch.equal(first, run(clip, generator=seeded(3), **options))
    assert not torch.equal(first, run(clip, generator=seeded(4), **options))
    assert torch.equal(run(clip, **options), run(clip, generator=seeded(0), **options))


def test_a_search_ends_where_it_stands_still_and_others_go_on():
    clip = torch.ones(2, 1, 4, 4, 4)
    clip[1] = 0  # whatever is hidden, nothing changes: only the area counts
    method = ExtremalPerturbation3D(Linear3D(torch.rand(1, 1, 4, 4, 4)))
    options = {"target": 0, "over": "time", "max_iterations": 60} | RAW
    whole = method.solve(clip, (0.25, 0.5), **options)
    found = method.solve(clip, (0.25, 0.5), tolerance=0.002, **options)
    assert found.iterations.min() < found.iterations.max()
    assert found.iterations.max() < 60
    for losses, every, count in zip(
        found.losses.flatten(0, 1),
        whole.losses.flatten(0, 1),
        found.iterations.flatten(),
        strict=True,
    ):
        torch.testing.assert_close(losses[:count], every[:count])
        assert losses[count:].isnan().all()
    torch.testing.assert_close(found.masks, whole.masks, atol=0.05, rtol=0)


def test_a_search_starts_where_it_is_told_to():
    clip, model = torch.rand(2, 2, 4, 8, 8), TinyNet3D().eval()
    initial = torch.zeros(2, 1, 4, 8, 8)
    initial[0, :, 1:3] = 1
    initial[1, ..., :4] = 1
    found = ExtremalPerturbation3D(model).solve(
        clip, (0.5,), target=1, initial=initial, max_iterations=1, grid_shape=(4, 4, 4)
    )
    for mask, wanted in zip(found.masks[:, 0], initial[:, 0].bool(), strict=True):
        assert mask[wanted].mean() > mask[~wanted].mean() + 0.2


def test_memory_that_does_not_suffice_is_asked_for_in_halves():
    clip, model = torch.rand(2, 2, 4, 6, 6), TinyNet3D().eval()
    limited = LimitedMemory(model, 2)
    options = {"areas": (0.1, 0.2, 0.4), "target": 1, "max_iterations": 3}
    expected = ExtremalPerturbation3D(model).attribute(clip, **options)
    found = ExtremalPerturbation3D(limited).attribute(clip, **options)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
    assert max(limited.batches) > 2
    with pytest.raises(torch.OutOfMemoryError):
        ExtremalPerturbation3D(limited).attribute(clip, perturbations_per_eval=3, **options)


def test_what_the_model_is_asked():
    """One row for each area and clip in every pass, at most as many as allowed."""
    clip, model = torch.rand(2, 2, 4, 6, 6), LimitedMemory(TinyNet3D().eval(), 100)
    ExtremalPerturbation3D(model).attribute(
        clip, (0.1, 0.2, 0.4), target=1, max_iterations=5, perturbations_per_eval=2
    )
    assert model.batches == [3] * 14  # evenly, instead of 4 and 2


def test_gradients_stay_off_parameters_and_recurrent_networks_work():
    model = frame_wise().eval()
    found = ExtremalPerturbation3D(model).attribute(
        torch.rand(1, 2, 4, 6, 6), target=1, over="time", max_iterations=4
    )
    assert found.std() > 0
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_clips_made_in_inference_mode_are_explained():
    method = ExtremalPerturbation3D(TinyNet3D().eval())
    with torch.inference_mode():
        clip = torch.rand(1, 2, 4, 6, 6)
        found = method.attribute(clip, baselines=clip / 2, target=1, max_iterations=2)
    assert torch.isfinite(found).all()


def test_order_of_inputs_goes_with_their_masks():
    model = TwoStreams().eval().double()
    inputs = torch.rand(1, 2, 4, 6, 6).double(), torch.rand(1, 1, 4, 6, 6).double()
    options = {"target": 1, "max_iterations": 3, "inputs_together": False, "over": "time"}
    options["initial"] = inputs
    found = ExtremalPerturbation3D(model).attribute(inputs, **options)
    options["initial"] = inputs[::-1]
    swapped = ExtremalPerturbation3D(Swapped(model)).attribute(inputs[::-1], **options)
    assert [one.shape for one in swapped[::-1]] == [one.shape for one in found]


def test_progress_is_shown(capsys):
    ExtremalPerturbation3D(box_model).attribute(
        torch.rand(1, 1, 8, 16, 16), (0.1, 0.2), max_iterations=3, show_progress=True, **RAW
    )
    shown = capsys.readouterr().err
    assert "Extremal masks" in shown
    assert "6/6" in shown


BAD = [
    ({"areas": ()}, TypeError, "areas: expected a tuple of shares"),
    ({"areas": 0.1}, TypeError, "areas: expected a tuple of shares, got 0.1"),
    ({"areas": (0.1, 1.0)}, ValueError, r"areas: expected shares in \(0, 1\), got \(0.1, 1.0\)"),
    ({"goal": "keep"}, ValueError, "goal: expected one of .*, got 'keep'"),
    ({"over": "space"}, ValueError, "over: expected one of .*, got 'space'"),
    ({"activation": "relu"}, ValueError, "activation: expected one of .*, got 'relu'"),
    ({"substrate": "noise"}, ValueError, "substrate: expected 'fade', .*, got 'noise'"),
    ({"substrate": "freeze"}, ValueError, "substrate 'freeze': .* for over='time'"),
    ({"substrate": "reverse"}, ValueError, "substrate 'reverse': .* for over='time'"),
    ({"substrate": "blur", "baselines": 0}, ValueError, "baselines: only substrate 'fade'"),
    ({"over": "time", "grid_shape": (2, 1, 1)}, ValueError, "grid_shape: over='time'"),
    ({"grid_shape": (5, 2, 2)}, ValueError, r"grid_shape \(5, 2, 2\) exceeds clip \(4, 6, 6\)"),
    ({"grid_shape": (2, 2)}, TypeError, "grid_shape: expected three whole numbers"),
    ({"core": (0, 2, 2)}, ValueError, "core: expected sizes of at least 1"),
    ({"core": 3}, TypeError, "core: expected three whole numbers"),
    ({"max_iterations": 0}, ValueError, "max_iterations: expected at least 1, got 0"),
    ({"tolerance": -1.0}, ValueError, "tolerance: expected at least 0, got -1.0"),
    ({"tolerance": float("nan")}, ValueError, "tolerance: expected at least 0, got nan"),
    ({"perturbations_per_eval": 0}, ValueError, "perturbations_per_eval: .* got 0"),
    ({"perturbations_per_eval": 1.5}, ValueError, "perturbations_per_eval: .* got 1.5"),
    ({"initial": torch.rand(1, 2, 4, 5, 6)}, ValueError, r"initial: expected \(1, 2, 4, 6, 6\)"),
    ({"initial": (torch.rand(1, 2, 4, 6, 6),) * 2}, ValueError, "initial: expected one per input"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_options_say_why(options, error, message):
    with pytest.raises(error, match=message):
        ExtremalPerturbation3D(TinyNet3D().eval()).attribute(
            torch.rand(1, 2, 4, 6, 6), target=1, **options
        )


def test_a_single_score_has_no_probability():
    with pytest.raises(ValueError, match=r"at least two classes.*activation=None"):
        ExtremalPerturbation3D(box_model).attribute(torch.rand(1, 1, 8, 16, 16))


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="expected finite scores"):
        ExtremalPerturbation3D(lambda x: x.mean((1, 2, 3, 4)) / 0).attribute(
            torch.rand(1, 1, 4, 6, 6), **RAW
        )
