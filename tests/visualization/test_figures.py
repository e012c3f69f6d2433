import io

import pytest
import torch

from captum_video.clips import Layout
from captum_video.visualization import color_limit, filmstrip, overlay


@pytest.fixture
def clip():
    return torch.rand(1, 3, 12, 6, 8, generator=torch.Generator().manual_seed(0))


def images_of(figure):
    return [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]


def test_rows_columns_and_labels(clip):
    figure = filmstrip(clip, {"first": clip, "second": -clip, "third": 2 * clip}, n_frames=4)
    cells, bars = figure.axes[:16], figure.axes[16:]
    assert [axes.get_title() for axes in cells[:4]] == ["frame 0", "4", "7", "11"]
    rows = [axes.get_ylabel() for axes in cells[::4]]
    assert rows == ["clip", "first", "second\n(no evidence)", "third"]
    assert len(bars) == 2


def test_cells_show_the_clip_and_its_overlays(clip):
    map_of = torch.randn(1, 1, 12, 6, 8, generator=torch.Generator().manual_seed(1))
    images = images_of(filmstrip(clip, {"map": map_of}, n_frames=2))
    painted = overlay(clip, map_of)
    for image, expected in zip(
        images, [clip[0, :, 0], clip[0, :, 11], painted[0, :, 0], painted[0, :, 11]], strict=True
    ):
        torch.testing.assert_close(torch.from_numpy(image.data), expected.permute(1, 2, 0))


def test_own_scales_hide_the_unit_of_a_method_and_a_shared_scale_shows_it(clip):
    maps = {"weak": clip, "strong": 4 * clip}
    own = images_of(filmstrip(clip, maps, n_frames=1))
    assert (own[1] == own[2]).all()
    shared = images_of(filmstrip(clip, maps, n_frames=1, scale="shared"))
    assert (shared[1] != shared[2]).any()
    assert (shared[2] == own[2]).all()


def test_shared_scale_has_one_bar_and_no_evidence_none(clip):
    assert len(filmstrip(clip, {"a": clip, "b": clip}, n_frames=2, scale="shared").axes) == 7
    zero = {"a": clip * 0}
    assert len(filmstrip(clip, zero, n_frames=2, scale="shared").axes) == 4
    assert len(filmstrip(clip, {}, n_frames=2).axes) == 2


def test_bar_tells_the_limits(clip):
    attributions = torch.full_like(clip, -0.25)
    bar = filmstrip(clip, {"a": attributions}, n_frames=1, sign="all").axes[-1]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["-0.25", "0", "0.25"]


def test_large_and_small_limits_are_written_in_short(clip):
    for limit, text in ((352.4, "352"), (0.000123, "0.00012"), (43.21, "43"), (2e6, "2e+06")):
        bar = filmstrip(clip, {"a": torch.full_like(clip, limit)}, n_frames=1).axes[-1]
        assert [label.get_text() for label in bar.get_yticklabels()] == ["0", text]


def test_ready_rows_are_shown_as_they_are_below_the_clip(clip):
    red = torch.zeros_like(clip)
    red[:, 0] = 1
    figure = filmstrip(clip, {"map": clip}, rows={"flow": red, "other": 1 - clip}, n_frames=2)
    assert len(figure.axes) == 4 * 2 + 1
    assert [axes.get_ylabel() for axes in figure.axes[:8:2]] == ["clip", "flow", "other", "map"]
    images = images_of(figure)
    for image, expected in zip(
        images[2:5], [red[0, :, 0], red[0, :, 11], 1 - clip[0, :, 0]], strict=True
    ):
        torch.testing.assert_close(torch.from_numpy(image.data), expected.permute(1, 2, 0))
    bar, row = figure.axes[-1].get_position(), figure.axes[6].get_position()
    assert (bar.y0, bar.y1) == pytest.approx((row.y0, row.y1))
    assert len(filmstrip(clip, {}, rows={"flow": red}, n_frames=2).axes) == 4


def test_ready_rows_do_not_follow_the_layout_of_the_clip(clip):
    given = Layout("n t c h w").from_clip(clip)
    figure = filmstrip(given, {}, rows={"same": clip}, layout="n t c h w", n_frames=1)
    first, second = images_of(figure)
    assert (first == second).all()


def test_scale_of_each_frame_shows_where_and_no_longer_when(clip):
    fading = clip * torch.linspace(1, 0.01, 12).view(1, 1, -1, 1, 1)
    fading[:, :, 5] = 0
    figure = filmstrip(clip, {"a": fading}, n_frames=12, scale="frame")
    images = images_of(figure)[12:]
    for t in range(12):
        alone = overlay(clip[:, :, t : t + 1], fading[:, :, t : t + 1])[0, :, 0]
        torch.testing.assert_close(torch.from_numpy(images[t].data), alone.permute(1, 2, 0))
    strength = clip.mean(1, keepdim=True)
    steady = overlay(clip[:, :, 11:], strength[:, :, 11:])[0, :, 0].permute(1, 2, 0)
    torch.testing.assert_close(torch.from_numpy(images[11].data), steady)
    assert (images[5] == images_of(figure)[5]).all()
    bar = figure.axes[-1]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "max"]
    bar = filmstrip(clip, {"a": -fading}, n_frames=1, scale="frame", sign="all").axes[-1]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["-max", "0", "max"]


def test_short_clip_shows_each_frame_once(clip):
    figure = filmstrip(clip[:, :, :3], {}, n_frames=8)
    assert [axes.get_title() for axes in figure.axes] == ["frame 0", "1", "2"]


@pytest.mark.parametrize("pattern", ["n t c h w", Layout("n (t c) h w", c=3)])
def test_layouts_give_the_same_pictures(clip, pattern):
    layout = Layout.of(pattern)
    given = layout.from_clip(clip)
    for ours, theirs in zip(
        images_of(filmstrip(given, {"a": given}, layout=layout, n_frames=2)),
        images_of(filmstrip(clip, {"a": clip}, n_frames=2)),
        strict=True,
    ):
        assert (ours == theirs).all()


def test_names_lie_within_the_figure_and_cells_keep_the_aspect(clip):
    figure = filmstrip(
        clip, {"SpatioTemporalOcclusion, smoothed": clip * 1e-5}, n_frames=3, title="A title"
    )
    figure.draw_without_rendering()
    page = figure.bbox
    texts = [axes.yaxis.label for axes in figure.axes[::3]] + figure.texts
    texts += figure.axes[-1].get_yticklabels()
    for text in texts:
        box = text.get_window_extent()
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
        assert box.y1 <= page.y1
    cell = figure.axes[0].get_window_extent()
    assert cell.width / cell.height == pytest.approx(8 / 6, rel=1e-3)


def test_figure_is_saved_and_leaves_no_pyplot_state(clip):
    import matplotlib.pyplot

    before = matplotlib.pyplot.get_fignums()
    file = io.BytesIO()
    filmstrip(clip[:, :1], {"a": clip[:, :1]}, n_frames=2).savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
    assert matplotlib.pyplot.get_fignums() == before


def test_normalised_clip_needs_denormalize(clip):
    with pytest.raises(ValueError, match="denormalize"):
        filmstrip((clip - 0.5) / 0.2, {})
    images = images_of(filmstrip((clip - 0.5) / 0.2, {}, n_frames=1, denormalize=(0.5, 0.2)))
    torch.testing.assert_close(torch.from_numpy(images[0].data), clip[0, :, 6].permute(1, 2, 0))


def test_bad_values(clip):
    with pytest.raises(ValueError, match=r"one clip, .* got 2 clips"):
        filmstrip(clip.expand(2, -1, -1, -1, -1), {})
    with pytest.raises(ValueError, match=r"n_frames: .* got 0"):
        filmstrip(clip, {}, n_frames=0)
    with pytest.raises(ValueError, match=r"scale: .* got 'row'"):
        filmstrip(clip, {}, scale="row")
    for scale in ("method", "shared", "frame"):
        with pytest.raises(ValueError, match=r"attributions: .*clips' "):
            filmstrip(clip, {"a": clip[:, :, 1:]}, scale=scale)
    with pytest.raises(ValueError, match=r"rows\['flow'\]: .*\(1, 3, 12, 6, 8\), got"):
        filmstrip(clip, {}, rows={"flow": clip[:, :, 1:]})
    with pytest.raises(ValueError, match=r"rows\['flow'\]: .* got 2"):
        filmstrip(clip, {}, rows={"flow": clip[:, :2]})


@pytest.fixture
def pair(clip):
    """Visible in colour; infrared gray, of another size and shape."""
    return clip, torch.rand(1, 1, 12, 4, 9, generator=torch.Generator().manual_seed(3))


def test_two_inputs_have_a_row_each_per_method(pair):
    maps = {"RISE": tuple(one[:, :1] for one in pair), "none": tuple(0 * one for one in pair)}
    figure = filmstrip(pair, maps, n_frames=3, input_names=("visible", "infrared"))
    rows = [axes.get_ylabel() for axes in figure.axes[: 6 * 3 : 3]]
    nothing = ["none\nvisible\n(no evidence)", "none\ninfrared\n(no evidence)"]
    assert rows == ["visible", "infrared", "RISE\nvisible", "RISE\ninfrared", *nothing]
    assert len(figure.axes) == 6 * 3 + 1
    bar, top, bottom = (figure.axes[i].get_position() for i in (-1, 6, 9))
    assert (bar.y0, bar.y1) == pytest.approx((bottom.y0, top.y1))
    images = images_of(figure)
    gray = pair[1][0, :, 0].expand(3, -1, -1).permute(1, 2, 0)
    torch.testing.assert_close(torch.from_numpy(images[3].data), gray)
    figure = filmstrip(pair, maps, n_frames=1)
    assert [axes.get_ylabel() for axes in figure.axes[:2]] == ["input 0", "input 1"]


def test_one_scale_for_all_inputs_of_a_method(pair):
    """The weaker input looks weaker; frame by frame it no longer does."""
    weak = pair[0], pair[1] / 10
    figure = filmstrip(pair, {"map": weak}, n_frames=1)
    limit = color_limit(pair[0])
    expected = overlay(pair[1], weak[1], limit=limit)[0, :, 6].permute(1, 2, 0)
    torch.testing.assert_close(torch.from_numpy(images_of(figure)[3].data), expected)
    strong = filmstrip(pair, {"map": weak, "ten": (pair[0] * 10, pair[1])}, scale="shared")
    assert len(strong.axes) == 6 * 8 + 1
    alone = filmstrip(pair, {"map": weak}, n_frames=1, scale="frame")
    frame = overlay(pair[1][:, :, 6:7], pair[1][:, :, 6:7])[0, :, 0].permute(1, 2, 0)
    torch.testing.assert_close(torch.from_numpy(images_of(alone)[3].data), frame)


def test_a_tuple_of_one_is_drawn_as_one(clip):
    figure = filmstrip((clip,), {"a": (clip,)}, n_frames=2)
    for ours, theirs in zip(
        images_of(figure), images_of(filmstrip(clip, {"a": clip}, n_frames=2)), strict=True
    ):
        assert (ours == theirs).all()
    assert [axes.get_ylabel() for axes in figure.axes[:4:2]] == ["clip", "a"]


@pytest.mark.parametrize("ways", [((0.5, 0.2), (0.1, 2.0)), [(0.5, 0.2), lambda x: x * 2 + 0.1]])
def test_inputs_are_brought_back_to_colours_each_its_own_way(ways, pair):
    normalised = (pair[0] - 0.5) / 0.2, (pair[1] - 0.1) / 2
    images = images_of(filmstrip(normalised, {}, n_frames=1, denormalize=ways))
    for image, one in zip(images, images_of(filmstrip(pair, {}, n_frames=1)), strict=True):
        torch.testing.assert_close(torch.from_numpy(image.data), torch.from_numpy(one.data))
    same = tuple((one - 0.3) / 0.2 for one in pair)
    for image, one in zip(
        images_of(filmstrip(same, {}, n_frames=1, denormalize=(0.3, 0.2))),
        images_of(filmstrip(pair, {}, n_frames=1)),
        strict=True,
    ):
        torch.testing.assert_close(torch.from_numpy(image.data), torch.from_numpy(one.data))


def test_bad_tuples(pair):
    with pytest.raises(ValueError, match=r"as many frames of each input, got \[12, 3\]"):
        filmstrip((pair[0], pair[1][:, :, :3]), {})
    with pytest.raises(ValueError, match=r"attributions\['a'\]: .* per input \(2\), got 1"):
        filmstrip(pair, {"a": pair[0]})
    with pytest.raises(ValueError, match=r"input_names: expected one per input \(2\), got 'IR'"):
        filmstrip(pair, {}, input_names="IR")
    with pytest.raises(ValueError, match="attributions: expected the clips'"):
        filmstrip(pair, {"a": pair[::-1]})
    with pytest.raises(ValueError, match="at least one tensor"):
        filmstrip((), {})
