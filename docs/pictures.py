"""Draws docs/pictures, one picture a method: ``python docs/pictures.py [--maps FOLDER] [METHOD ...]``."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from captum.attr import InputXGradient
from torch import Tensor
from torch.nn.functional import interpolate

from captum_video import examples
from captum_video.attr import (
    RISE3D,
    SIDU3D,
    ExtremalPerturbation3D,
    GradCAM3D,
    SpatioTemporalOcclusion,
    TemporalSaliencyRescaling,
)
from captum_video.baselines import channel_mean
from captum_video.nn import FrameWise
from captum_video.reading import read_clip
from captum_video.visualization import filmstrip, overlay, save_gif, side_by_side

PICTURES = Path(__file__).parent / "pictures"
CAB = 468
SHOWN = [0, 2, 5, 7]  # the frames that a filmstrip of 4 shows
FOLDED = "(n t) c h w"


def street(size: int = 224) -> Tensor:
    """Two seconds of the street: a man, then a taxi."""
    return read_clip(examples.street_video(), 8, start=1.25, frame_rate=4, size=size)


def gradcam(network: FrameWise) -> Tensor:
    """The last layer with a map, 7 x 17 places a frame."""
    method = GradCAM3D(network, "encoder.1.features", activation_layout=FOLDED)
    return method.attribute(street(), target=CAB)


def occlusion(network: FrameWise) -> Tensor:
    """Windows of one frame, half over each other from top to bottom."""
    method = SpatioTemporalOcclusion(network)
    window, strides = (1, 64, 64), (1, 32, 64)
    return method.attribute(street(), window, strides, baselines=channel_mean, target=CAB)


def rise(network: FrameWise) -> Tensor:
    """Few masks, as each needs all eight frames anew; less its mean, or all of it would be bright."""
    options = {"n_samples": 112, "grid_shape": (4, 3, 7)}
    maps = RISE3D(network).attribute(street(), channel_mean, target=CAB, **options)
    return maps - maps.mean()


def sidu(network: FrameWise) -> Tensor:
    """A layer before the last, of 96 maps with 14 x 33 places a frame."""
    method = SIDU3D(network, "encoder.1.features.13", activation_layout=FOLDED)
    return method.attribute(street(), channel_mean, target=CAB)


def extremal(network: FrameWise) -> Tensor:
    """Of four frames, as every iteration needs them forward and backward."""
    clip, areas = street()[:, :, SHOWN], (0.05, 0.15)
    method = ExtremalPerturbation3D(network)
    return method.attribute(clip, areas, channel_mean, target=CAB, grid_shape=(4, 5, 10))


def rescaling(network: FrameWise) -> Tensor:
    """Of input times gradient, at half the size."""
    method = TemporalSaliencyRescaling(InputXGradient(network))
    return method.attribute(street(112), (16, 16), channel_mean, target=CAB)


METHODS = {
    "gradcam3d": ("Grad-CAM", gradcam),
    "spatio-temporal-occlusion": ("occlusion", occlusion),
    "rise3d": ("RISE", rise),
    "sidu3d": ("SIDU", sidu),
    "extremal-perturbation3d": ("extremal", extremal),
    "temporal-saliency-rescaling": ("rescaling", rescaling),
}


def draw(chosen: list[str], folder: Path) -> None:
    """Make the maps that are not kept in the folder, and draw."""
    network, made = examples.mobilenet(), {}
    PICTURES.mkdir(exist_ok=True)
    for page, (name, method) in METHODS.items():
        kept = folder / f"{page}.pt"
        if page in chosen and not kept.exists():
            torch.save(method(network)[:, :1].clone(), kept)
        if kept.exists():
            made[page] = _as_large_as_the_street(torch.load(kept))
        if page in chosen:
            maps = made[page]
            clip = street() if maps.shape[2] == 8 else street()[:, :, SHOWN]
            figure = filmstrip(clip, {name: maps}, n_frames=len(SHOWN))
            figure.savefig(PICTURES / f"{page}.png", dpi=140)
    if made.keys() == METHODS.keys():
        _draw_all(made)


def _draw_all(made: dict[str, Tensor]) -> None:
    """The sheet of all methods, and the movie of three."""
    clip = street()
    sheet = {METHODS[page][0]: _of_shown_frames(maps) for page, maps in made.items()}
    figure = filmstrip(clip[:, :, SHOWN], sheet, n_frames=len(SHOWN))
    figure.savefig(PICTURES / "methods.png", dpi=90)
    panels = {"clip": clip}
    for page in ("gradcam3d", "spatio-temporal-occlusion", "rise3d"):
        panels[METHODS[page][0]] = overlay(clip, made[page])
    small = [(name, _smaller(panel)) for name, panel in panels.items()]
    rows = [side_by_side(dict(row)) for row in (small[:2], small[2:])]
    save_gif(PICTURES / "methods.gif", torch.cat(rows, dim=-2), fps=3)


def _smaller(panel: Tensor) -> Tensor:
    """Colours of 170 x 400 pixels; interpolation overshoots by a rounding."""
    frames = panel[0].transpose(0, 1)
    small = interpolate(frames, (170, 400), mode="bilinear", antialias=True)
    return small.transpose(0, 1).clamp(0, 1)


def _as_large_as_the_street(maps: Tensor) -> Tensor:
    """Tiles of a smaller clip keep their sharp edges."""
    _, _, _, height, width = street().shape
    return interpolate(maps, (maps.shape[2], height, width), mode="nearest")


def _of_shown_frames(maps: Tensor) -> Tensor:
    return maps if maps.shape[2] == len(SHOWN) else maps[:, :, SHOWN]


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", default=list(METHODS), metavar="METHOD")
    parser.add_argument("--maps", help="a folder that keeps maps: what is there is not made again")
    options = parser.parse_args()
    if unknown := set(options.methods) - METHODS.keys():
        parser.error(f"METHOD: expected some of {', '.join(METHODS)}, got {', '.join(unknown)}")
    if options.maps:
        Path(options.maps).mkdir(exist_ok=True)
        draw(options.methods, Path(options.maps))
    else:
        with TemporaryDirectory() as folder:
            draw(options.methods, Path(folder))


if __name__ == "__main__":
    main()
