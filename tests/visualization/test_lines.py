import io

import pytest
import torch

from captum_video.curves import Curve
from captum_video.visualization import plot_curves, temporal_profile

FRACTIONS = torch.tensor([0.0, 0.5, 1.0])


def curve_of(*scores):
    return Curve(FRACTIONS, torch.tensor(scores))


def band_of(axes):
    """Lower and upper edge of the only band, at each fraction."""
    (band,) = axes.collections
    points = torch.from_numpy(band.get_paths()[0].vertices)
    at = [points[points[:, 0] == x, 1] for x in FRACTIONS]
    return torch.stack([y.min() for y in at]), torch.stack([y.max() for y in at])


def test_line_is_the_mean_and_the_legend_tells_the_area():
    figure = plot_curves({"ours": curve_of([0.0, 1.0, 1.0], [0.0, 0.0, 1.0])}, title="Insertion")
    (axes,) = figure.axes
    assert axes.lines[0].get_ydata().tolist() == [0, 0.5, 1]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ours  0.500"]
    assert axes.get_title(loc="left") == "Insertion"


def test_quantile_band_holds_the_middle_of_the_clips():
    scores = torch.arange(101.0).view(-1, 1).expand(-1, 3)
    (axes,) = plot_curves({"a": Curve(FRACTIONS, scores)}).axes
    low, high = band_of(axes)
    assert low.tolist() == [25] * 3
    assert high.tolist() == [75] * 3
    (axes,) = plot_curves({"a": Curve(FRACTIONS, scores)}, level=0.9).axes
    torch.testing.assert_close(band_of(axes)[0], torch.full((3,), 5.0, dtype=torch.float64))


def test_bootstrap_band_agrees_with_the_normal_interval():
    scores = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    (axes,) = plot_curves({"a": Curve(FRACTIONS, scores)}, band="bootstrap").axes
    low, high = band_of(axes)
    half = 1.96 * scores.std(0).double() / 20
    torch.testing.assert_close(low, scores.mean(0).double() - half, atol=0.02, rtol=0)
    torch.testing.assert_close(high, scores.mean(0).double() + half, atol=0.02, rtol=0)


def test_bootstrap_is_the_same_each_time_and_leaves_the_global_generator():
    scores = torch.rand(10, 3)
    state = torch.get_rng_state()
    first, second = (
        band_of(plot_curves({"a": Curve(FRACTIONS, scores)}, band="bootstrap").axes[0])
        for _ in range(2)
    )
    assert torch.equal(first[0], second[0])
    assert torch.equal(torch.get_rng_state(), state)
    other = plot_curves(
        {"a": Curve(FRACTIONS, scores)},
        band="bootstrap",
        generator=torch.Generator().manual_seed(5),
    )
    assert not torch.equal(band_of(other.axes[0])[0], first[0])


def test_one_clip_or_no_band_wanted_has_none():
    assert not plot_curves({"a": curve_of([0.0, 0.5, 1.0])}).axes[0].collections
    two = curve_of([0.0, 0.5, 1.0], [0.0, 0.6, 1.0])
    assert not plot_curves({"a": two}, band=None).axes[0].collections


def test_many_methods_all_look_different():
    figure = plot_curves({f"method {i}": curve_of([0.0, i / 20, 1.0]) for i in range(15)})
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 15


def test_curves_of_differing_fractions_and_raw_scores():
    finer = Curve(torch.linspace(0, 1, 11), torch.randn(2, 11) - 5)
    figure = plot_curves({"a": curve_of([0.0, 0.5, 1.0]), "b": finer})
    assert figure.axes[0].get_ylim()[0] < -1


def test_drawing_on_given_axes():
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    part = figure.subfigures(1, 2)[0]
    axes = part.add_subplot()
    assert plot_curves({"a": curve_of([0.0, 0.5, 1.0])}, ax=axes) is figure
    assert temporal_profile({"a": torch.rand(1, 1, 3, 2, 2)}, ax=axes) is figure


def test_legend_stands_beside_the_data_within_the_figure():
    figure = plot_curves({"SpatioTemporalOcclusion": curve_of([0.0, 0.5, 1.0])})
    figure.savefig(io.BytesIO(), format="png")
    (axes,) = figure.axes
    legend = axes.get_legend().get_window_extent()
    assert legend.x0 > axes.bbox.x1
    assert legend.x1 <= figure.bbox.x1


def test_profile_is_each_frames_share():
    attributions = torch.zeros(2, 3, 4, 2, 2)
    attributions[0, :, 1] = 3.0
    attributions[0, :, 2] = 1.0
    attributions[0, :, 3] = -9.0
    (axes,) = temporal_profile({"a": attributions[:1]}, title="When").axes
    assert axes.lines[0].get_ydata().tolist() == [0, 0.75, 0.25, 0]
    # The second clip has no evidence and counts as zero.
    (axes,) = temporal_profile({"a": attributions}).axes
    assert axes.lines[0].get_ydata().tolist() == [0, 0.375, 0.125, 0]
    swapped = attributions.transpose(1, 2)
    (axes,) = temporal_profile({"a": swapped}, layout="n t c h w").axes
    assert axes.lines[0].get_ydata().tolist() == [0, 0.375, 0.125, 0]


def test_bad_values():
    curve = curve_of([0.0, 0.5, 1.0])
    with pytest.raises(ValueError, match="curves: expected at least one"):
        plot_curves({})
    with pytest.raises(ValueError, match=r"band: .* got 'std'"):
        plot_curves({"a": curve}, band="std")
    with pytest.raises(ValueError, match=r"level: .* got 95"):
        plot_curves({"a": curve}, level=95)
    with pytest.raises(ValueError, match=r"frames, got \[3, 4\]"):
        temporal_profile({"a": torch.rand(1, 1, 3, 2, 2), "b": torch.rand(1, 1, 4, 2, 2)})
