import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import clips, layouts
from toy_models import Linear3D, TinyNet3D, TwoStreams

from captum_video import Curve, baselines
from captum_video.metrics import Deletion, Insertion, deletion, insertion

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
units = st.sampled_from(["voxel", "cell", "frame"])


def total(x):
    return x.sum((1, 2, 3, 4))


def unit_numbers(extent, unit, cell):
    """Number of the unit of every voxel, in order of frame, row and column: (T, H, W)."""
    block = {"voxel": (1, 1, 1), "cell": cell, "frame": (1, *extent[1:])}[unit]
    t, h, w = (torch.arange(n) // b for n, b in zip(extent, block, strict=True))
    rows, columns = int(h.max()) + 1, int(w.max()) + 1
    return (t[:, None, None] * rows + h[:, None]) * columns + w


@given(st.data(), clips(n_clips=(1, 2), channels=(1, 2)), units, st.integers(1, 12), st.booleans())
@settings(max_examples=40)
def test_equals_a_slow_loop(data, clip, unit, steps, inserts):
    source = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    # Few distinct values, so that there are ties.
    maps = torch.randint(-2, 3, clip.shape, generator=source).float()
    baseline = torch.rand(clip.shape, generator=source)
    weights = torch.randn(clip.shape[1:], generator=source)
    cell = (2, 3, 2)

    def model(x):
        return (x * weights).sum((1, 2, 3, 4)).tanh()

    metric = (Insertion if inserts else Deletion)(
        model, unit=unit, n_steps=steps, baselines=baseline, activation=None, cell_shape=cell
    )
    curve = metric.evaluate(
        clip, maps, perturbations_per_eval=data.draw(st.sampled_from([1, 4, "auto"]))
    )
    for n in range(len(clip)):
        numbers = unit_numbers(clip.shape[2:], unit, cell)
        n_units = int(numbers.max()) + 1
        summed = maps[n].double().sum(0)
        importance = [summed[numbers == u].mean().item() for u in range(n_units)]
        fractions, scores = oracles.prefix_curve(
            lambda x: model(x[None])[0],
            clip[n],
            baseline[n],
            numbers,
            importance,
            min(steps, n_units),
            inserts,
        )
        torch.testing.assert_close(curve.fractions, torch.tensor(fractions))
        torch.testing.assert_close(curve.scores[n], torch.tensor(scores), **CLOSE)


@given(clips(), units, st.integers(1, 30))
@settings(max_examples=30)
def test_end_points_and_the_mirror(clip, unit, steps):
    maps = torch.randn(clip.shape, generator=torch.Generator().manual_seed(1))
    options = {
        "unit": unit,
        "n_steps": steps,
        "baselines": baselines.constant,
        "activation": None,
        "cell_shape": (2, 2, 2),
    }
    best_in = Insertion(total, **options).evaluate(clip, maps)
    worst_out = Deletion(total, order="least", **options).evaluate(clip, maps)
    torch.testing.assert_close(best_in.scores[:, 0], total(baselines.constant(clip)), **CLOSE)
    torch.testing.assert_close(best_in.scores[:, -1], total(clip), **CLOSE)
    torch.testing.assert_close(worst_out.scores, best_in.scores.flip(1), **CLOSE)
    torch.testing.assert_close(worst_out.fractions, 1 - best_in.fractions.flip(0))
    best_out = Deletion(total, **options).evaluate(clip, maps)
    worst_in = Insertion(total, order="least", **options).evaluate(clip, maps)
    torch.testing.assert_close(best_out.scores, worst_in.scores.flip(1), **CLOSE)
    assert best_in.fractions[0] == 0
    assert best_in.fractions[-1] == 1


def test_linear_model_closed_form():
    """Per voxel in one step each, the curve is the running sum of the sorted parts."""
    clip, weights = torch.rand(2, 1, 3, 4, 5), torch.randn(1, 1, 3, 4, 5)
    model, parts = Linear3D(weights), (clip * weights)[:, 0].flatten(1)
    options = {"n_steps": 60, "activation": None, "baselines": 0}
    curve = Insertion(model, **options).evaluate(clip, clip * weights, target=0)
    zero = torch.zeros(2, 1)
    rising = torch.cat([zero, parts.sort(1, descending=True).values.cumsum(1)], 1)
    torch.testing.assert_close(curve.scores, rising, **CLOSE)
    torch.testing.assert_close(curve.fractions, torch.arange(61) / 60)
    torch.testing.assert_close(curve.area, (rising[:, 1:] + rising[:, :-1]).mean(1) / 2, **CLOSE)
    falling = Deletion(model, **options).evaluate(clip, clip * weights, target=0)
    torch.testing.assert_close(falling.scores, rising[:, -1:] - rising, **CLOSE)
    random = Insertion(model, **options).evaluate(clip, torch.rand_like(clip), target=0)
    assert (curve.area > random.area).all()


def test_a_perfect_map_of_a_threshold_model():
    """One frame decides: the score jumps when it comes in, and the area says when."""
    clip = torch.ones(1, 1, 5, 2, 2)
    maps = torch.zeros_like(clip)
    maps[:, :, 3] = 1

    def model(x):
        return (x[:, 0, 3].mean((1, 2)) > 0.5).float()

    inserted = Insertion(model, unit="frame", baselines=0, activation=None).evaluate(clip, maps)
    deleted = Deletion(model, unit="frame", activation=None).evaluate(clip, maps)
    torch.testing.assert_close(inserted.area, torch.tensor([0.9]))
    torch.testing.assert_close(deleted.area, torch.tensor([0.1]))


def test_ties_go_in_the_order_of_inputs_frames_rows_and_columns():
    clip = torch.tensor([1.0, 10.0, 100.0, 1000.0]).reshape(1, 1, 2, 1, 2)
    flat = torch.zeros_like(clip)
    curve = insertion(total, clip, flat, 0, activation=None)
    assert curve.scores.tolist() == [[0, 1, 11, 111, 1111]]
    curve = insertion(total, clip, flat, 0, activation=None, order="least")
    assert curve.scores.tolist() == [[0, 1000, 1100, 1110, 1111]]
    both = insertion(
        lambda a, b: total(a) + total(b), (clip, 2 * clip), (flat, flat), 0, activation=None
    )
    assert both.scores[0, 4:6].tolist() == [1111, 1113]


def test_several_inputs_share_one_ranking():
    model, inputs = TwoStreams().eval(), (torch.rand(2, 2, 3, 4, 4), torch.rand(2, 1, 3, 6, 6))
    maps = tuple(torch.randn_like(x) for x in inputs)
    curve = deletion(model, inputs, maps, target=0, n_steps=7)
    torch.testing.assert_close(curve.scores[:, 0], model(*inputs).softmax(1)[:, 0], **CLOSE)
    zeros = tuple(torch.zeros_like(x) for x in inputs)
    torch.testing.assert_close(curve.scores[:, -1], model(*zeros).softmax(1)[:, 0], **CLOSE)
    assert curve.scores.shape == (2, 8)


@given(units, st.integers(1, 12), st.booleans(), st.integers(0, 99))
@settings(max_examples=20)
def test_inputs_together_are_the_channels_of_one(unit, steps, inserts, seed):
    """The same unit of both inputs at once: as if they were stacked, and their maps summed."""
    source = torch.Generator().manual_seed(seed)
    both, baseline = torch.rand(2, 2, 3, 3, 5, 4, generator=source)
    maps = torch.randint(-2, 3, both.shape, generator=source).float()
    weights = torch.randn(both.shape[1:], generator=source)

    def model(x):
        return (x * weights).sum((1, 2, 3, 4)).tanh()

    options = {"unit": unit, "n_steps": steps, "cell_shape": (2, 3, 2), "activation": None}
    metric = Insertion if inserts else Deletion

    def split(x):
        return x[:, :2], x[:, 2:]

    found = metric(
        lambda a, b: model(torch.cat([a, b], 1)),
        baselines=split(baseline),
        inputs_together=True,
        **options,
    ).evaluate(split(both), split(maps))
    expected = metric(model, baselines=baseline, **options).evaluate(both, maps)
    torch.testing.assert_close(found.fractions, expected.fractions)
    torch.testing.assert_close(found.scores, expected.scores, **CLOSE)


def test_together_or_one_by_one():
    """One by one, a map can say that only one input counts; together it can not."""
    inputs = torch.ones(1, 1, 2, 1, 1), torch.ones(1, 1, 2, 1, 1)
    maps = tuple(torch.tensor(m).reshape(1, 1, 2, 1, 1) for m in ([1.0, 2.0], [5.0, 0.0]))
    options = {"baselines": 0, "activation": None, "unit": "frame"}

    def model(a, b):
        return a[:, 0, :, 0, 0] @ torch.tensor([1.0, 10]) + b[:, 0, :, 0, 0] @ torch.tensor(
            [100.0, 1000]
        )

    alone = insertion(model, inputs, maps, **options)
    assert alone.scores.tolist() == [[0, 100, 110, 111, 1111]]
    together = insertion(model, inputs, maps, inputs_together=True, **options)
    assert together.scores.tolist() == [[0, 101, 1111]]
    assert together.fractions.tolist() == [0, 0.5, 1]
    one = insertion(lambda a: model(a, 0 * a), inputs[0], maps[0], inputs_together=True, **options)
    assert one.scores.tolist() == [[0, 10, 11]]


def test_inputs_of_different_extents_have_no_unit_in_common():
    inputs = torch.rand(1, 2, 3, 4, 4), torch.rand(1, 1, 2, 4, 4)
    with pytest.raises(ValueError, match=r"one extent, got \['\(2, 4, 4\)', '\(3, 4, 4\)'\]; inp"):
        insertion(TwoStreams(), inputs, inputs, target=0, inputs_together=True)
    assert insertion(TwoStreams(), inputs, inputs, target=0, n_steps=3).scores.shape == (1, 4)


@given(st.data(), clips(channels=(3, 3)))
@settings(max_examples=20)
def test_layouts_and_chunks_do_not_matter(data, clip):
    layout = data.draw(layouts(3))
    maps = torch.randn(clip.shape, generator=torch.Generator().manual_seed(2))

    def relaid(x):
        return total(layout.to_clip(x, t=clip.shape[2]) ** 2)

    one = deletion(lambda x: total(x**2), clip, maps, activation=None, n_steps=9)
    other = (
        deletion(
            relaid,
            layout.from_clip(clip),
            layout.from_clip(maps),
            activation=None,
            n_steps=9,
            layout=layout,
            perturbations_per_eval=2,
        )
        if "(n c)" not in layout.pattern
        else one
    )
    torch.testing.assert_close(one.scores, other.scores, **CLOSE)


def test_clips_do_not_see_each_other():
    model, clip = TinyNet3D().eval(), torch.rand(3, 2, 4, 6, 6)
    maps, target = torch.randn(3, 1, 4, 6, 6), [0, 1, 2]
    metric = Insertion(model, unit="cell", cell_shape=(2, 2, 2), n_steps=6)
    together = metric.evaluate(clip, maps, target)
    for n in (2, 0, 1):
        alone = metric.evaluate(clip[n : n + 1], maps[n : n + 1], target[n])
        torch.testing.assert_close(together.scores[n : n + 1], alone.scores, **CLOSE)


def test_steps_are_at_most_units():
    clip = torch.rand(1, 1, 4, 8, 8)
    assert len(insertion(total, clip, clip, activation=None, unit="frame").fractions) == 5
    assert len(insertion(total, clip, clip, activation=None, n_steps=10).fractions) == 11


def test_curve_area_is_the_mean_of_a_line():
    curve = Curve(torch.linspace(0, 1, 11), torch.linspace(0, 1, 11).expand(2, -1))
    torch.testing.assert_close(curve.area, torch.tensor([0.5, 0.5]))


def test_direction_is_declared():
    assert Insertion.higher_is_better
    assert not Deletion.higher_is_better


@pytest.mark.parametrize(
    ("options", "maps", "error", "message"),
    [
        (
            {"unit": "pixel"},
            None,
            ValueError,
            "unit: expected 'voxel', 'cell', 'frame' or 'segment', got 'pixel'",
        ),
        ({"order": "best"}, None, ValueError, "order: expected 'most' or 'least', got 'best'"),
        ({"n_steps": 0}, None, ValueError, "n_steps: expected at least 1, got 0"),
        ({"activation": "sigmoid"}, None, ValueError, "expected 'softmax' or None, got 'sigmoid'"),
        ({"cell_shape": (0, 1, 1)}, None, ValueError, "cell_shape: expected sizes of at least 1"),
        ({"baselines": "blur"}, None, TypeError, "expected None, a number, a tensor or a function"),
        ({}, torch.rand(1, 2, 4, 6, 5), ValueError, r"attributions: expected \(1, 2, 4, 6, 6\)"),
        ({}, torch.full((1, 2, 4, 6, 6), torch.nan), ValueError, "attributions: expected finite"),
        ({}, (torch.rand(1, 2, 4, 6, 6),) * 2, ValueError, r"one per input \(1\), got 2"),
        ({"target": 5}, None, ValueError, "target 5: expected 0 <= target < 3"),
        ({"target": None}, None, ValueError, "one per clip"),
    ],
)
@pytest.mark.parametrize("metric", [Insertion, Deletion])
def test_bad_input_says_why(metric, options, maps, error, message):
    clip = torch.rand(1, 2, 4, 6, 6)
    options = {"target": 0} | options
    target = options.pop("target")
    with pytest.raises(error, match=message):
        metric(TinyNet3D(), **options).evaluate(clip, clip if maps is None else maps, target)
