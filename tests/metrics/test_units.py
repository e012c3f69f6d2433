"""Insertion and deletion by segments of frames, and by regions that labels name."""

import itertools

import oracles_tubes
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import clips
from toy_models import Linear3D, TinyNet3D, TwoStreams, frame_wise, undeclared

from captum_video import Curve, Layout
from captum_video.clips import extent_of
from captum_video.metrics import Deletion, Insertion, deletion, insertion
from captum_video.regions import segments

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def total(x):
    return x.sum((1, 2, 3, 4))


def labels_for(clip, seed, n_labels=(3, 6)):
    """(N, 1, T, H, W); clips differ in their number of labels."""
    source = torch.Generator().manual_seed(seed)
    counts = [n_labels[n % len(n_labels)] for n in range(len(clip))]
    shape = 1, *clip.shape[2:]
    return torch.stack([7 * torch.randint(k, shape, generator=source) - 3 for k in counts])


@given(
    st.data(), clips(n_clips=(1, 3), channels=(1, 2)), st.integers(1, 12), st.booleans(),
    st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40)
def test_regions_equal_a_slow_loop(data, clip, steps, inserts, seed):
    source = torch.Generator().manual_seed(seed)
    maps = torch.randint(-2, 3, clip.shape, generator=source).float()
    baseline, weights = torch.rand(clip.shape, generator=source), torch.randn(clip.shape[1:])
    labels = labels_for(clip, seed)

    def model(x):
        return (x * weights).sum((1, 2, 3, 4)).tanh()

    metric = (Insertion if inserts else Deletion)(
        model, n_steps=steps, baselines=baseline, activation=None
    )
    curve = metric.evaluate(
        clip,
        maps,
        feature_mask=labels,
        perturbations_per_eval=data.draw(st.sampled_from([1, 4, "auto"])),
    )
    n_steps = curve.scores.shape[1] - 1
    assert n_steps == min(steps, max(len(one.unique()) for one in labels))
    for n in range(len(clip)):
        fractions, scores = oracles_tubes.region_curve(
            lambda x: model(x[None])[0],
            clip[n],
            baseline[n],
            labels[n, 0],
            maps[n].sum(0),
            n_steps,
            inserts,
        )
        torch.testing.assert_close(curve.fractions[n], torch.tensor(fractions))
        torch.testing.assert_close(curve.scores[n], torch.tensor(scores), **CLOSE)


@given(clips(), st.integers(1, 9), st.sampled_from(["segment", "regions"]), st.integers(1, 4))
@settings(max_examples=30)
def test_insertion_is_deletion_by_the_reversed_ranking(clip, steps, unit, length):
    maps = torch.randn(clip.shape, generator=torch.Generator().manual_seed(1))
    options = {"n_steps": steps, "baselines": 0.5, "activation": None}
    options |= {"unit": "segment", "segment_length": length} if unit == "segment" else {}
    labels = labels_for(clip, steps) if unit == "regions" else None

    def curve(metric, order):
        return metric(total, order=order, **options).evaluate(clip, maps, feature_mask=labels)

    for order, reverse in (("most", "least"), ("least", "most")):
        inserted, deleted = curve(Insertion, order), curve(Deletion, reverse)
        torch.testing.assert_close(deleted.scores, inserted.scores.flip(1), **CLOSE)
        torch.testing.assert_close(deleted.fractions, 1 - inserted.fractions.flip(-1))
        torch.testing.assert_close(inserted.scores[:, -1], total(clip), **CLOSE)
        assert (inserted.fractions[..., 0] == 0).all()
        assert (inserted.fractions[..., -1] == 1).all()
        assert (inserted.fractions.diff() >= 0).all()


def test_regions_of_a_linear_model_in_closed_form():
    """Regions of 1, 2 and 5 voxels: each comes in at the share that it covers."""
    clip = torch.tensor([4.0, 1, 1, 3, 3, 3, 3, 3]).reshape(1, 1, 2, 2, 2)
    labels = torch.tensor([9, 5, 5, 2, 2, 2, 2, 2]).reshape(2, 2, 2)
    curve = insertion(total, clip, clip, 0, activation=None, feature_mask=labels)
    assert curve.scores.tolist() == [[0, 4, 19, 21]]
    assert curve.fractions.tolist() == [[0, 1 / 8, 6 / 8, 1]]
    expected = 4 / 2 / 8 + (4 + 19) / 2 * 5 / 8 + (19 + 21) / 2 * 2 / 8
    assert curve.area.tolist() == pytest.approx([expected])
    gone = deletion(total, clip, clip, 0, activation=None, feature_mask=labels)
    assert gone.scores.tolist() == [[21, 17, 2, 0]]
    assert gone.fractions.tolist() == [[0, 1 / 8, 6 / 8, 1]]


@pytest.mark.parametrize("seed", range(3))
def test_no_map_beats_the_one_that_names_the_summands(seed):
    """By shares of voxels; by shares of regions a large one would be worth too much."""
    source = torch.Generator().manual_seed(seed)
    weights, clip = torch.randn(1, 1, 2, 3, 4, generator=source), torch.rand(1, 1, 2, 3, 4)
    labels = torch.randint(5, (2, 3, 4), generator=source)
    model = Linear3D(weights)

    def area(maps):
        return insertion(model, clip, maps, 0, target=0, activation=None, feature_mask=labels).area

    best, names = area(weights * clip), labels.unique().tolist()
    others = []
    for order in itertools.permutations(range(len(names))):
        maps = torch.zeros_like(clip)
        for name, rank in zip(names, order, strict=True):
            maps[0, 0][labels == name] = float(rank)
        others.append(area(maps))
    torch.testing.assert_close(max(others), best, **CLOSE)
    assert min(others) < best


def test_regions_of_one_voxel_or_frame_are_that_unit():
    clip, model = torch.rand(2, 2, 4, 3, 3), TinyNet3D().eval()
    maps = torch.randn(2, 1, 4, 3, 3)
    frames = torch.arange(4).reshape(4, 1, 1).expand(4, 3, 3)
    for unit, labels in (("voxel", torch.arange(36).reshape(4, 3, 3)), ("frame", frames)):
        plain = Insertion(model, unit=unit, n_steps=7).evaluate(clip, maps, target=1)
        found = Insertion(model, n_steps=7).evaluate(clip, maps, target=1, feature_mask=labels)
        torch.testing.assert_close(found.scores, plain.scores, **CLOSE)
        torch.testing.assert_close(found.fractions, plain.fractions.expand(2, -1))
        torch.testing.assert_close(found.area, plain.area)


@given(clips(), st.integers(1, 7), st.integers(1, 9))
@settings(max_examples=20)
def test_segments_are_regions_of_frames(clip, length, steps):
    """Where all segments are of one length; of a shorter last one the fractions differ."""
    maps = torch.randint(-2, 3, clip.shape, generator=torch.Generator().manual_seed(1)).float()
    labels = segments(extent_of(clip), length)
    options = {"n_steps": steps, "baselines": 0.5, "activation": None}
    found = insertion(total, clip, maps, unit="segment", segment_length=length, **options)
    regions = insertion(total, clip, maps, feature_mask=labels, **options)
    torch.testing.assert_close(found.scores, regions.scores, **CLOSE)
    count = -(-clip.shape[2] // length)
    assert found.scores.shape[1] == 1 + min(steps, count)
    if clip.shape[2] % length == 0:
        torch.testing.assert_close(found.fractions.expand_as(regions.fractions), regions.fractions)


def test_the_curve_of_a_clip_does_not_depend_on_the_others():
    """Beside a clip of more regions it repeats points; its area stays."""
    clip, model = torch.rand(2, 2, 3, 5, 4), TinyNet3D().eval()
    maps, labels = torch.randn(2, 1, 3, 5, 4), labels_for(torch.rand(2, 1, 3, 5, 4), 3, (3, 8))
    for steps in (2, 5, 100):
        metric = Insertion(model, n_steps=steps)
        both = metric.evaluate(clip, maps, [0, 2], feature_mask=labels)
        for n, target in ((0, 0), (1, 2)):
            one = slice(n, n + 1)
            alone = metric.evaluate(clip[one], maps[one], target, feature_mask=labels[one])
            torch.testing.assert_close(both.area[one], alone.area, **CLOSE)
            points = {round(x, 6) for x in both.fractions[n].tolist()}
            if steps != 5:
                assert points == {round(x, 6) for x in alone.fractions[0].tolist()}


def test_several_inputs_by_regions():
    inputs = torch.rand(2, 1, 2, 3, 3), torch.rand(2, 1, 2, 3, 3)
    labels = labels_for(inputs[0], 4)

    def model(a, b):
        return total(a) + 10 * total(b)

    options = {"baselines": 0, "activation": None}
    together = insertion(
        model, inputs, inputs, inputs_together=True, feature_mask=labels, **options
    )
    summed = insertion(
        lambda x: total(x[:, :1]) + 10 * total(x[:, 1:]),
        torch.cat(inputs, 1),
        torch.cat(inputs, 1),
        feature_mask=labels,
        **options,
    )
    torch.testing.assert_close(together.scores, summed.scores, **CLOSE)
    torch.testing.assert_close(together.fractions, summed.fractions)
    alone = insertion(model, inputs, inputs, feature_mask=(labels, labels + 1), **options)
    n_units = [2 * len(one.unique()) for one in labels]
    assert alone.scores.shape == (2, 1 + max(n_units))
    with pytest.raises(ValueError, match=r"feature_mask: regions of all inputs .* got different"):
        insertion(
            model,
            inputs,
            inputs,
            inputs_together=True,
            feature_mask=(labels, labels + 1),
            **options,
        )
    pair = torch.rand(1, 2, 3, 4, 4), torch.rand(1, 1, 2, 5, 5)
    own = tuple(labels_for(one, 5) for one in pair)
    curve = deletion(TwoStreams(), pair, pair, target=0, feature_mask=own)
    assert curve.fractions[0, -1] == 1


def test_frame_wise_networks_and_layouts():
    model, layout = frame_wise().eval(), Layout("n t c h w")
    clip, maps = torch.rand(2, 2, 6, 5, 4), torch.randn(2, 2, 6, 5, 4)
    for options, labels in (
        ({"unit": "segment", "segment_length": 2}, None),
        ({}, labels_for(clip, 1)),
        ({}, (torch.arange(6) // 4).reshape(6, 1, 1).expand(6, 5, 4)),
    ):
        expected = Insertion(undeclared(model), **options).evaluate(
            clip, maps, 1, feature_mask=labels
        )
        found = Insertion(model, **options).evaluate(clip, maps, 1, feature_mask=labels)
        torch.testing.assert_close(found.scores, expected.scores, **CLOSE)
        relaid = Insertion(lambda x: model(layout.to_clip(x)), layout=layout, **options)
        found = relaid.evaluate(
            layout.from_clip(clip), layout.from_clip(maps), 1, feature_mask=labels
        )
        torch.testing.assert_close(found.scores, expected.scores, **CLOSE)


def test_a_segment_leaves_the_encoder_alone():
    """A hidden or whole segment needs no frame encoded again, nor do labels of whole frames."""
    clip, counts = torch.rand(1, 2, 6, 5, 4), []
    for options, labels in (
        ({"unit": "frame"}, None),
        ({"unit": "segment", "segment_length": 2}, None),
        ({}, segments(extent_of(clip), 2)),
    ):
        model = frame_wise().eval()
        Insertion(model, **options).evaluate(clip, clip, 1, feature_mask=labels)
        counts.append(model.encoder.frames)
    assert counts[1] == counts[2] == counts[0] <= 2 * 6 + 1


def test_aligned_curves_are_read_between_their_points():
    fractions = torch.tensor([[0, 0.1, 0.1, 1], [0, 0.5, 0.9, 1]])
    scores = torch.tensor([[0, 1.0, 1.0, 2.8], [0, 5.0, 5.0, 7.0]])
    found = Curve(fractions, scores).aligned()
    torch.testing.assert_close(found.fractions, torch.tensor([0, 1 / 3, 2 / 3, 1]))
    expected = torch.tensor(
        [[0, 1 + 2 * (1 / 3 - 0.1), 1 + 2 * (2 / 3 - 0.1), 2.8], [0, 10 / 3, 5, 7]]
    )
    torch.testing.assert_close(found.scores, expected)
    shared = Curve(torch.linspace(0, 1, 4), scores)
    assert shared.aligned() is shared


@pytest.mark.parametrize(
    ("options", "labels", "error", "message"),
    [
        ({"unit": "frame"}, torch.zeros(4, 6, 6).long(), ValueError, "no unit, got 'frame'"),
        (
            {"segment_length": 0},
            None,
            ValueError,
            "segment_length: expected at least 1 frame, got 0",
        ),
        ({}, torch.zeros(4, 6, 6), TypeError, "feature_mask: expected whole numbers"),
        ({}, torch.zeros(3, 6, 6).long(), ValueError, r"feature_mask: expected \(4, 6, 6\)"),
    ],
)
@pytest.mark.parametrize("metric", [Insertion, Deletion])
def test_bad_units_say_why(metric, options, labels, error, message):
    clip = torch.rand(1, 2, 4, 6, 6)
    with pytest.raises(error, match=message):
        metric(TinyNet3D(), **options).evaluate(clip, clip, 0, feature_mask=labels)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_regions_on_a_gpu():
    model, clip = TinyNet3D().eval(), torch.rand(2, 2, 4, 7, 6)
    maps, labels = torch.randn_like(clip), labels_for(clip, 1)
    expected = Insertion(model).evaluate(clip, maps, 1, feature_mask=labels)
    found = Insertion(model.cuda()).evaluate(clip.cuda(), maps.cuda(), 1, feature_mask=labels)
    assert found.scores.device.type == "cuda"
    torch.testing.assert_close(found.fractions.cpu(), expected.fractions)
    torch.testing.assert_close(found.scores.cpu(), expected.scores, atol=1e-3, rtol=1e-2)
