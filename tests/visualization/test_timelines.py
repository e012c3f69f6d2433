import io

import pytest
import torch

from captum_video.clips import Layout
from captum_video.visualization import feature_heatmap, time_strip


@pytest.fixture
def clip():
    return torch.rand(1, 3, 12, 6, 8, generator=torch.Generator().manual_seed(0))


def shown(axes):
    """Values of an image, one per field, whatever its number of pixels."""
    (image,) = axes.get_images()
    left, right, bottom, top = image.get_extent()
    array = torch.from_numpy(image.get_array().data)
    fields = round(bottom - top), round(right - left)
    steps = [size // count for size, count in zip(array.shape, fields, strict=True)]
    small = array[:: steps[0], :: steps[1]]
    assert torch.equal(small.repeat_interleave(steps[0], 0).repeat_interleave(steps[1], 1), array)
    return small


def ticks_of(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_frames_stand_above_their_stretch_of_the_strip(clip):
    figure = time_strip(clip, {"first": torch.rand(12)}, n_frames=4)
    frames, strip = figure.axes[:4], figure.axes[4]
    assert [axes.get_title() for axes in frames] == ["frame 1", "4", "7", "10"]
    for axes, number in zip(frames, (1, 4, 7, 10), strict=True):
        image = torch.from_numpy(axes.get_images()[0].get_array().data)
        assert torch.equal(image, clip[0, :, number].permute(1, 2, 0))
        box, line = axes.get_position(), strip.get_position()
        center = ((box.x0 + box.x1) / 2 - line.x0) / line.width * 12
        assert number <= center <= number + 1


def test_strips_show_the_numbers_and_bars_their_unit(clip):
    values = torch.arange(12.0)
    figure = time_strip(clip, {"a": values, "b": -values, "c": 300 * values}, n_frames=2)
    strips, bars = figure.axes[2:5], figure.axes[5:]
    names = [axes.get_ylabel() for axes in strips]
    assert names == ["a", "b\n(no evidence)", "c"]
    for axes, expected in zip(strips, (values, -values, 300 * values), strict=True):
        torch.testing.assert_close(shown(axes), expected[None])
    assert [ticks_of(axes) for axes in bars] == [["0", "11"], ["0", "3300"]]
    assert [axes.get_images()[0].get_clim() for axes in strips] == [(0, 11), (0, 1), (0, 3300)]


def test_shared_scale_has_one_bar_and_all_signs_one_about_zero(clip):
    values = torch.linspace(-2, 1, 12)
    strips = {"a": values, "b": 2 * values}
    figure = time_strip(clip, strips, n_frames=2, shared_scale=True, sign="all")
    assert len(figure.axes) == 2 + 2 + 1
    assert [axes.get_images()[0].get_clim() for axes in figure.axes[2:4]] == [(-4, 4)] * 2
    assert ticks_of(figure.axes[-1]) == ["-4", "0", "4"]
    nothing = {"a": values * 0}
    assert len(time_strip(clip, nothing, n_frames=2, shared_scale=True).axes) == 3


def test_layouts_normalised_clips_and_short_clips(clip):
    layout = Layout("n t c h w")
    expected = time_strip(clip, {"a": torch.ones(12)}, n_frames=3)
    figure = time_strip(
        layout.from_clip((clip - 0.5) / 0.2),
        {"a": torch.ones(12)},
        layout=layout,
        n_frames=3,
        denormalize=(0.5, 0.2),
    )
    for ours, theirs in zip(figure.axes[:3], expected.axes[:3], strict=True):
        a, b = (torch.from_numpy(x.get_images()[0].get_array().data) for x in (ours, theirs))
        torch.testing.assert_close(a, b)
    short = time_strip(clip[:, :, :2], {"a": torch.ones(2)}, n_frames=8)
    assert [axes.get_title() for axes in short.axes[:2]] == ["frame 0", "1"]


def test_everything_lies_within_the_figure_and_texts_apart(clip):
    contributions = {"Temporal Saliency Rescaling": torch.rand(12) * 1e-5, "none": torch.zeros(12)}
    figure = time_strip(clip, contributions, n_frames=3, sign="all", title="A title")
    figure.draw_without_rendering()
    page, strips = figure.bbox, figure.axes[3:5]
    names = [axes.yaxis.label.get_window_extent() for axes in strips]
    texts = [text.get_window_extent() for text in figure.texts]
    numbers = [text.get_window_extent() for text in figure.axes[-1].get_yticklabels()]
    titles = [axes.title.get_window_extent() for axes in figure.axes[:3]]
    for box in [*names, *texts, *numbers, *titles]:
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
        assert page.y0 <= box.y0
        assert box.y1 <= page.y1
    for group in (names, numbers, [*texts, *titles]):
        for i, box in enumerate(group):
            assert not any(box.overlaps(other) for other in group[i + 1 :])
    cell = figure.axes[0].get_window_extent()
    assert cell.width / cell.height == pytest.approx(8 / 6, rel=0.06)


def test_heatmap_has_features_down_and_time_across():
    values = torch.rand(5, 30)
    figure = feature_heatmap(values, value_label="|gradient|", title="LSTM")
    axes, bar = figure.axes
    torch.testing.assert_close(shown(axes), values.T)
    assert axes.get_images()[0].get_extent() == [-0.5, 4.5, 29.5, -0.5]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (frames)", "feature (index)")
    assert bar.get_ylabel() == "|gradient|"
    assert axes.get_title(loc="left") == "LSTM"
    assert axes.get_images()[0].get_clim() == (0, pytest.approx(values.max()))


def test_heatmap_limit_is_the_color_limit_and_signs_are_symmetric():
    values = torch.zeros(10, 100)
    values[0, :] = torch.arange(1.0, 101)
    values[0, -1] = 1e6
    assert feature_heatmap(values).axes[0].get_images()[0].get_clim() == (0, 1e6)
    values = torch.arange(1.0, 1001).view(10, 100)
    assert feature_heatmap(values).axes[0].get_images()[0].get_clim() == (0, 995)
    signed = feature_heatmap(-values, sign="all").axes[0]
    assert signed.get_images()[0].get_clim() == (-995, 995)


def test_heatmap_without_evidence_says_so():
    bar = feature_heatmap(-torch.ones(3, 4)).axes[1]
    assert bar.get_ylabel() == "attribution: no evidence"
    assert ticks_of(bar) == ["0"]


def drawn(figure):
    """Gray levels (rows, columns) within the axes of a figure as it is saved."""
    file = io.BytesIO()
    figure.savefig(file, format="raw", dpi=100)
    width, height = (round(100 * inches) for inches in figure.get_size_inches())
    pixels = torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)
    picture = pixels.view(height, width, 4)[..., 0].float() / 255
    box = figure.axes[0].get_window_extent()
    x0, x1, y0, y1 = (round(edge) for edge in (box.x0, box.x1, height - box.y1, height - box.y0))
    return picture[y0:y1, x0:x1]


def test_heatmap_of_many_features_has_a_line_for_each():
    values = torch.zeros(30, 300)
    values[:, 123] = 1
    picture = drawn(feature_heatmap(values, cmap="gray"))
    column = picture[2:-2, picture.shape[1] // 2]
    assert len(picture) > 250
    place = (column.argmax().item() + 2.5) / len(picture)
    assert place == pytest.approx(123.5 / 300, abs=0.006)
    assert column.max() > 0.5
    assert (column > 0.1).sum() <= 4


def test_heatmap_of_many_features_does_not_blend_frames():
    values = torch.zeros(30, 300)
    values[10] = 1
    picture = drawn(feature_heatmap(values, cmap="gray"))
    row = picture[len(picture) // 2, 2:-2]
    assert (row > 0.9).sum() == pytest.approx(picture.shape[1] / 30, abs=2)
    assert ((row > 0.05) & (row < 0.95)).sum() <= 4


def test_heatmap_on_given_axes_and_no_pyplot_state():
    import matplotlib.pyplot
    from matplotlib.figure import Figure

    before = matplotlib.pyplot.get_fignums()
    figure = Figure(layout="constrained")
    axes = figure.subfigures(1, 2)[0].add_subplot()
    assert feature_heatmap(torch.rand(3, 4).requires_grad_(), ax=axes) is figure
    assert matplotlib.pyplot.get_fignums() == before


def test_bad_values(clip):
    with pytest.raises(ValueError, match="contributions: expected at least one"):
        time_strip(clip, {})
    with pytest.raises(ValueError, match=r"contributions\['a'\]: .* 12 frames, got shape \(11,\)"):
        time_strip(clip, {"a": torch.ones(11)})
    with pytest.raises(ValueError, match=r"contributions\['a'\]: .* got shape \(1, 12\)"):
        time_strip(clip, {"a": torch.ones(1, 12)})
    with pytest.raises(ValueError, match=r"contributions\['a'\]: .*NaN"):
        time_strip(clip, {"a": torch.full((12,), torch.nan)})
    with pytest.raises(TypeError, match=r"contributions\['a'\]: .*got list"):
        time_strip(clip, {"a": [1.0] * 12})
    with pytest.raises(ValueError, match=r"one clip, .* got 2 clips"):
        time_strip(clip.expand(2, -1, -1, -1, -1), {"a": torch.ones(12)})
    with pytest.raises(ValueError, match=r"n_frames: .* got 0"):
        time_strip(clip, {"a": torch.ones(12)}, n_frames=0)
    with pytest.raises(ValueError, match=r"sign: .* got 'negative'"):
        time_strip(clip, {"a": torch.ones(12)}, sign="negative")
    with pytest.raises(ValueError, match=r"attributions: expected \(T, F\), got shape \(1, 3, 4\)"):
        feature_heatmap(torch.rand(1, 3, 4))
    with pytest.raises(ValueError, match=r"attributions: .*NaN"):
        feature_heatmap(torch.full((3, 4), torch.nan))
    with pytest.raises(TypeError, match=r"attributions: .*got list"):
        feature_heatmap([[1.0]])
