"""The pictures of a run: a filmstrip and a movie per clip, and the curves."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks_kth_mad.choice import different
from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.files import plain_name, whole_file
from benchmarks_kth_mad.methods import above_zero
from benchmarks_kth_mad.report.charts import measured_only
from benchmarks_kth_mad.report.words import axis_of
from benchmarks_kth_mad.runs import Run
from captum_video import Curve
from captum_video.visualization import (
    filmstrip,
    overlay,
    plot_curves,
    save_gif,
    save_mp4,
    side_by_side,
)

FRAMES_PER_SECOND = 10
SPECTRA = ("visible", "infrared")


def draw(
    run: Run,
    explained: Explained,
    curves: dict[str, dict[str, Curve]],
    classes: Sequence[str],
    unit: str = "voxel",
    n_clips: int = 2,
) -> list[str]:
    """Draw the curves and the first clips of different classes.

    Returns:
        Names of the files, in the folder of pictures.
    """
    names = []
    for metric, methods in curves.items():
        figure = plot_curves(
            {
                name: one
                for name, curve in methods.items()
                if len((one := measured_only(curve)).scores)
            },
            band="bootstrap",
            title=metric.capitalize(),
            x_label=axis_of(metric, unit),
            y_label="probability of the predicted class",
        )
        names.append(save_figure(run.pictures, f"{metric}.png", figure))
    for index in different(explained.targets.tolist(), n_clips):
        said, true = (classes[int(one[index])] for one in (explained.targets, explained.labels))
        title = f"{explained.names[index]}: {said}" + (
            "" if said == true else f" (in truth {true})"
        )
        for number in range(len(explained.clips)):
            names += _draw_clip(run, explained, index, number, title)
    return names


def _draw_clip(run: Run, explained: Explained, index: int, number: int, title: str) -> list[str]:
    """Filmstrip and movies of one of the model's inputs."""
    spectrum = f"_{SPECTRA[number]}" if len(explained.clips) > 1 else ""
    stem = f"{plain_name(explained.names[index])}{spectrum}"
    clips, every = explained.of_input(number)
    clip = clips[index : index + 1]
    maps = {
        name: above_zero(name, one[index : index + 1]).expand_as(clip)
        for name, one in every.items()
    }
    movie = side_by_side(
        {"clip": clip[0].expand(3, -1, -1, -1)}
        | {name: overlay(clip, one)[0] for name, one in maps.items()},
        scale=3,
    )
    save_gif(run.pictures / f"{stem}.gif", movie, FRAMES_PER_SECOND)
    save_mp4(run.pictures / f"{stem}.mp4", movie, FRAMES_PER_SECOND)
    picture = save_figure(run.pictures, f"{stem}.png", filmstrip(clip, maps, title=title))
    return [picture, f"{stem}.gif", f"{stem}.mp4"]


def save_figure(folder: Path, name: str, figure: Figure, dpi: int = 150) -> str:
    """Write a figure into a folder, whole or not at all; its name."""
    with whole_file(folder / name) as path:
        figure.savefig(path, dpi=dpi, format="png")
    return name
