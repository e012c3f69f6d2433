import sys

import pytest
import torch

from captum_video.visualization import overlay, save_gif, save_mp4, side_by_side

SAVERS = [(save_gif, "clip.gif"), (save_mp4, "clip.mp4")]


@pytest.fixture
def movie():
    """A square that moves over a smooth background: (3, 6, 24, 32)."""
    rows, columns = torch.linspace(0, 0.5, 24).view(24, 1), torch.linspace(0, 0.5, 32).view(1, 32)
    frames = (rows + columns).expand(3, 6, 24, 32).clone()
    for t in range(6):
        frames[0, t, 8:16, 4 * t : 4 * t + 8] = 1.0
        frames[1:, t, 8:16, 4 * t : 4 * t + 8] = 0.1
    return frames


def read_gif(path):
    """Frames (T, H, W, 3) in [0, 1], and the duration of each in milliseconds."""
    import numpy as np
    from PIL import Image

    frames, durations = [], []
    with Image.open(path) as file:
        for i in range(file.n_frames):
            file.seek(i)
            frames.append(torch.from_numpy(np.asarray(file.convert("RGB")).copy()))
            durations.append(file.info["duration"])
    return torch.stack(frames).float() / 255, durations


def read_mp4(path):
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        rate = container.streams.video[0].average_rate
    return torch.stack([torch.from_numpy(frame) for frame in frames]).float() / 255, rate


@pytest.mark.parametrize("scale", [1, 3])
def test_gif_decodes_to_the_same_frames(tmp_path, movie, scale):
    save_gif(tmp_path / "clip.gif", movie, fps=10, scale=scale)
    frames, durations = read_gif(tmp_path / "clip.gif")
    assert frames.shape == (6, 24 * scale, 32 * scale, 3)
    assert durations == [100] * 6
    error = (frames[:, ::scale, ::scale] - movie.permute(1, 2, 3, 0)).abs()
    assert error.max() < 0.05


@pytest.mark.parametrize("scale", [1, 2])
def test_mp4_decodes_to_the_same_frames(tmp_path, movie, scale):
    save_mp4(tmp_path / "clip.mp4", movie[None], fps=12.5, scale=scale)
    frames, rate = read_mp4(tmp_path / "clip.mp4")
    assert frames.shape == (6, 24 * scale, 32 * scale, 3)
    assert rate == 12.5
    assert (frames[:, ::scale, ::scale] - movie.permute(1, 2, 3, 0)).abs().mean() < 0.03


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (8, 5), (7, 7)])
def test_mp4_pads_odd_sides(tmp_path, size):
    save_mp4(tmp_path / "clip.mp4", torch.full((3, 4, *size), 0.5))
    frames, _ = read_mp4(tmp_path / "clip.mp4")
    assert frames.shape == (4, size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    assert (frames - 0.5).abs().max() < 0.03


def test_mp4_without_h264_falls_back_loudly(tmp_path, movie, monkeypatch):
    av = pytest.importorskip("av")
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    with pytest.warns(UserWarning, match=r"built without H\.264"):
        save_mp4(tmp_path / "clip.mp4", movie)
    assert len(read_mp4(tmp_path / "clip.mp4")[0]) == 6


def test_gif_keeps_the_duration_of_frames_that_hundredths_do_not_divide(tmp_path, movie):
    save_gif(tmp_path / "clip.gif", movie, fps=30)
    _, durations = read_gif(tmp_path / "clip.gif")
    assert sum(durations) == 200
    assert set(durations) == {30, 40}


def test_gif_of_a_still_keeps_its_duration(tmp_path):
    save_gif(tmp_path / "clip.gif", torch.full((3, 5, 4, 4), 0.5), fps=10)
    frames, durations = read_gif(tmp_path / "clip.gif")
    assert sum(durations) == 500
    assert (frames - 0.5).abs().max() < 0.01


def test_gif_keeps_rare_colours(tmp_path):
    """Evidence is a small part of a clip; the frequent colours must not take the whole palette."""
    generator = torch.Generator().manual_seed(0)
    frames = 0.2 + 0.6 * torch.rand(3, 4, 64, 64, generator=generator)
    rare = torch.tensor([1.0, 0.9, 0.0])
    frames[:, :, 30:34, 30:34] = rare.view(3, 1, 1, 1)
    save_gif(tmp_path / "clip.gif", frames)
    decoded, _ = read_gif(tmp_path / "clip.gif")
    assert (decoded[:, 30:34, 30:34] - rare).abs().max() < 0.1


@pytest.mark.parametrize(("save", "name"), SAVERS)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, movie, monkeypatch, save, name):
    save(tmp_path / name, movie)
    before = (tmp_path / name).read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save(tmp_path / name, 1 - movie)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize(("save", "name"), SAVERS)
def test_an_existing_file_is_replaced(tmp_path, movie, save, name):
    (tmp_path / name).write_text("old")
    save(str(tmp_path / name), movie)
    assert (tmp_path / name).stat().st_size > 100
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("save", "name"), SAVERS)
def test_bad_values(tmp_path, movie, save, name):
    path = tmp_path / name
    with pytest.raises(ValueError, match=r"frames: .* got shape \(2, 3, 6, 24, 32\)"):
        save(path, movie.expand(2, -1, -1, -1, -1))
    with pytest.raises(ValueError, match=r"frames: .*\[0, 1\]"):
        save(path, movie * 255)
    with pytest.raises(ValueError, match=r"frames: .*torch.uint8"):
        save(path, movie.byte())
    with pytest.raises(ValueError, match=r"frames: .*nan"):
        save(path, movie * torch.nan)
    with pytest.raises(ValueError, match=r"scale: .* got 1.5"):
        save(path, movie, scale=1.5)
    with pytest.raises(ValueError, match=r"fps: .* got 0"):
        save(path, movie, fps=0)
    with pytest.raises(FileNotFoundError, match=r"folder .*nowhere does not exist"):
        save(tmp_path / "nowhere" / name, movie)
    assert not list(tmp_path.iterdir())


def test_gif_refuses_rates_that_browsers_slow(tmp_path, movie):
    with pytest.raises(ValueError, match=r"fps: expected at most 50 .* got 60"):
        save_gif(tmp_path / "clip.gif", movie, fps=60)


def test_mp4_without_pyav_tells_the_cure(tmp_path, movie, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"pip install captum-video\[video\]"):
        save_mp4(tmp_path / "clip.mp4", movie)


def test_side_by_side_places_overlays_under_their_names(movie):
    joined = side_by_side({"left": movie, "right": 1 - movie[None]}, scale=2, gap=6)
    label_rows = joined.shape[2] - 48
    assert joined.shape == (3, 6, label_rows + 48, 2 * 64 + 6)
    pictures = joined[:, :, label_rows:]
    big = movie.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(pictures[..., :64], big, atol=0.002, rtol=0)
    torch.testing.assert_close(pictures[..., 70:], 1 - big, atol=0.002, rtol=0)
    assert (pictures[..., 64:70] == 1).all()
    for part in (joined[:, :, :label_rows, :64], joined[:, :, :label_rows, 70:]):
        assert part.min() < 0.5


def test_side_by_side_shrinks_names_that_are_too_long(movie):
    strip = side_by_side({"SIDU3D layer4": movie}, scale=3)[:, 0, :-72]
    assert (strip[:, :, [0, -1]] == 1).all()
    assert strip.min() < 0.5


def test_side_by_side_of_overlays_can_be_saved(tmp_path):
    clips = torch.rand(1, 1, 4, 9, 9)
    panels = {"clip": overlay(clips, clips * 0), "map": overlay(clips, clips)}
    save_gif(tmp_path / "clip.gif", side_by_side(panels, scale=4))
    assert len(read_gif(tmp_path / "clip.gif")[0]) == 4


def test_side_by_side_refuses_nothing_and_differing_shapes(movie):
    with pytest.raises(ValueError, match="overlays: expected at least one"):
        side_by_side({})
    with pytest.raises(ValueError, match=r"'b': \(3, 5, 24, 32\)"):
        side_by_side({"a": movie, "b": movie[:, :5]})
