"""Video: overlays as moving pictures, in GIF and MP4 files or side by side."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

# GIF counts in 1/100 s, and browsers slow a frame of less than 2 of them to 10.
_GIF_MAX_FPS = 50
_MP4_CODECS = ("libx264", "libopenh264", "mpeg4")
_PALETTE_SAMPLES = 100_000
_LABEL_SIZE = 14


def save_gif(path: str | Path, frames: Tensor, fps: float = 10, *, scale: int = 1) -> None:
    """Write frames as a GIF that loops for ever.

    All frames share one palette of 256 colours, so that still parts do not flicker. Frames equal
    to the one before are stored once and shown longer.

    Args:
        path: the file; its folder must exist. It appears complete or not at all.
        frames: one overlay, (3, T, H, W) or (1, 3, T, H, W), in [0, 1].
        fps: frames per second, at most 50. GIF knows hundredths of a second only; single frames
            are rounded, the duration of the whole is not.
        scale: pixels of the file along each side of a pixel of the frames.

    Raises:
        ValueError: frames of another shape or range, or an option out of range.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_gif(f"{folder}/clip.gif", torch.rand(3, 8, 32, 32), fps=10, scale=2)
    """
    from PIL import Image

    if not 0 < fps <= _GIF_MAX_FPS:
        raise ValueError(
            f"fps: expected at most {_GIF_MAX_FPS} frames per second in a GIF, got {fps}; "
            f"keep fewer frames, or write an MP4"
        )
    palette = _shared_palette(_pixels_of(frames, 1))
    first, *rest = (
        # Dithering would crawl from frame to frame.
        Image.fromarray(frame.numpy()).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in _pixels_of(frames, scale)
    )
    ends = [round(100 * i / fps) for i in range(len(rest) + 2)]
    durations = [10 * (end - start) for start, end in pairwise(ends)]
    with written_whole(path) as draft:
        first.save(
            draft,
            format="GIF",
            save_all=True,
            append_images=rest,
            duration=durations,
            loop=0,
        )


def save_mp4(path: str | Path, frames: Tensor, fps: float = 10, *, scale: int = 1) -> None:
    """Write frames as an MP4 that browsers and slides play.

    The codec is H.264; MPEG-4 Part 2, which browsers do not know, only where PyAV was
    built without it. The encoding needs even sides: an odd one gains one row or column, a copy of its last.

    Args:
        path: the file; its folder must exist. It appears complete or not at all.
        frames: one overlay, (3, T, H, W) or (1, 3, T, H, W), in [0, 1].
        fps: frames per second.
        scale: pixels of the file along each side of a pixel of the frames.

    Raises:
        ImportError: PyAV is not installed.
        ValueError: frames of another shape or range, or an option out of range.

    Example:
        >>> import torch
        >>> save_mp4("clip.mp4", torch.rand(3, 8, 32, 32), fps=10, scale=4)  # doctest: +SKIP
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "save_mp4 needs PyAV: pip install captum-video[video]; save_gif works without"
        ) from error

    if not fps > 0:
        raise ValueError(f"fps: expected a number above 0, got {fps}")
    pixels = _even(_pixels_of(frames, scale))
    codec = next(one for one in _MP4_CODECS if one in av.codecs_available)
    if codec == "mpeg4":
        warnings.warn(
            "save_mp4: PyAV was built without H.264; this MPEG-4 Part 2 file plays in few browsers",
            stacklevel=2,
        )
    with written_whole(path) as draft, av.open(str(draft), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = pixels.shape[1:3]
        stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            stream.options = {"crf": "16"}
        for frame in pixels:
            image = av.VideoFrame.from_ndarray(frame.numpy(), format="rgb24")
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))


def side_by_side(overlays: Mapping[str, Tensor], *, scale: int = 1, gap: int = 4) -> Tensor:
    """Join overlays of one clip into one movie, each under its name.

    Args:
        overlays: name to overlay, (3, T, H, W) or (1, 3, T, H, W) in [0, 1], all of one shape.
        scale: pixels of the movie along each side of a pixel of the overlays; enlarge here rather
            than on saving, so that the names stay sharp.
        gap: white columns between neighbours, in pixels of the movie.

    Returns:
        (3, T, H', W') in [0, 1] on the CPU, ready for :func:`save_gif` and :func:`save_mp4`.

    Raises:
        ValueError: nothing to join, or overlays of differing shapes.

    Example:
        >>> import torch
        >>> clip = torch.rand(3, 8, 32, 32)
        >>> side_by_side({"before": clip, "after": clip}, scale=2).shape
        torch.Size([3, 8, 84, 132])
    """
    panels = [_pixels_of(one, scale) for one in overlays.values()]
    if len({panel.shape for panel in panels}) != 1:
        raise ValueError(
            f"overlays: expected at least one, all of one shape, got "
            f"{ {name: tuple(one.shape) for name, one in overlays.items()} }"
        )
    n_frames, _, width, _ = panels[0].shape
    labelled = [
        torch.cat([_label(name, width).expand(n_frames, -1, -1, -1), panel], dim=1)
        for name, panel in zip(overlays, panels, strict=True)
    ]
    white = torch.full_like(labelled[0][:, :, :1], 255).expand(-1, -1, gap, -1)
    parts = [part for panel in labelled for part in (white, panel)][1:]
    return torch.cat(parts, dim=2).permute(3, 0, 1, 2).float() / 255


def _pixels_of(frames: Tensor, scale: int) -> Tensor:
    """Check one overlay and enlarge it: bytes (T, H, W, 3) on the CPU."""
    if frames.ndim == 5 and len(frames) == 1:
        frames = frames[0]
    if frames.ndim != 4 or frames.shape[0] != 3 or not frames.numel():
        raise ValueError(
            f"frames: expected one overlay, (3, T, H, W) or (1, 3, T, H, W), got shape "
            f"{tuple(frames.shape)}"
        )
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise ValueError(f"scale: expected a whole number of at least 1, got {scale!r}")
    low, high = frames.min().item(), frames.max().item()
    if not (frames.is_floating_point() and low >= 0 and high <= 1):
        raise ValueError(
            f"frames: expected floating-point colours in [0, 1] as overlay() gives them, got "
            f"{frames.dtype} from {low:.3g} to {high:.3g}"
        )
    pixels = (frames.detach().float().cpu() * 255).round().byte().permute(1, 2, 3, 0)
    return pixels.repeat_interleave(scale, 1).repeat_interleave(scale, 2).contiguous()


def _even(pixels: Tensor) -> Tensor:
    """Repeat the last row and column (T, H, W, 3) where their count is odd."""
    _, height, width, _ = pixels.shape
    rows = torch.arange(height + height % 2).clamp(max=height - 1)
    columns = torch.arange(width + width % 2).clamp(max=width - 1)
    return pixels[:, rows][:, :, columns]


def _shared_palette(pixels: Tensor) -> "Image.Image":
    """Choose 256 colours for frames (T, H, W, 3) from a sample of their pixels.

    Coverage before frequency: the brightest evidence is a small part of a movie, and the colours
    that are frequent there would leave none for it.
    """
    from PIL import Image

    colors = pixels.flatten(0, 2)
    # Drawn at random: a stride that divides the width would see some columns only.
    drawn = torch.randperm(len(colors), generator=torch.Generator().manual_seed(0))
    sheet = Image.fromarray(colors[drawn[:_PALETTE_SAMPLES], None].numpy())
    return sheet.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1)


def _label(name: str, width: int) -> Tensor:
    """Write a name in black on white: bytes (1, rows, width, 3); smaller where it is too long."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    strip = Image.new("RGB", (width, _LABEL_SIZE + 6), "white")
    draw = ImageDraw.Draw(strip)
    size = _LABEL_SIZE
    while size > 6 and draw.textlength(name, ImageFont.load_default(size)) > width - 2:
        size -= 1
    centre = (width / 2, strip.height / 2)
    draw.text(centre, name, "black", ImageFont.load_default(size), anchor="mm")
    return torch.from_numpy(np.asarray(strip).copy())[None]


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Lend a draft beside ``path``, which takes its place only if nothing went wrong.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist")
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
