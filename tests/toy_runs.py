"""A finished run that took no network: clips, maps, areas and curves that a test can foresee."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks_kth_mad.evaluation import Explained
from benchmarks_kth_mad.report import (
    comparisons,
    draw,
    mean_areas,
    write_page,
    write_report,
    write_tables,
)
from benchmarks_kth_mad.runs import Manifest, Run, Source
from captum_video import Curve

CLASSES = ("walking", "boxing")
HELP = {"rise": 0.3, "gradcam": 0.15, "superpixel_occlusion": 0.14, "random": 0.0}
"""How much better a method's areas are than those of the random map."""


@dataclass
class ToyRun:
    """Clips of persons by turns, maps that grow over time, areas by `HELP` and a little noise."""

    persons: int = 12
    n_clips: int = 24
    channels: tuple[int, ...] = (1,)
    frames: int = 6
    size: tuple[int, int] = (20, 28)
    names: list[str] = field(default_factory=list)
    failing: tuple[str, ...] = ()
    """Clips of which ``rise`` failed in insertion."""

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        names = [*self.names, *(f"clip{i:02d}" for i in range(len(self.names), self.n_clips))]
        clips = tuple(
            torch.rand(self.n_clips, c, self.frames, *self.size, generator=generator)
            for c in self.channels
        )
        rising = torch.arange(1.0, self.frames + 1).view(-1, 1, 1)
        maps = {
            name: tuple(
                torch.rand(self.n_clips, 1, *clip.shape[2:], generator=generator) * rising
                for clip in clips
            )
            for name in HELP
        }
        labels = torch.arange(self.n_clips) * len(CLASSES) // self.n_clips
        targets = labels.clone()
        targets[-1] = 0
        persons = [f"person{i % self.persons:02d}" for i in range(self.n_clips)]
        self.explained = Explained(names, persons, clips, labels, targets, maps)
        self.curves = self._curves()
        self.rows = self._rows()
        self.manifest = Manifest(
            Source("a folder", CLASSES), "r3d_small", 3, 0.75, 24, (1, 2), {"torch": "9.9"}
        )

    def _curves(self) -> dict[str, dict[str, Curve]]:
        draws = np.random.default_rng(0)
        shares = torch.linspace(0, 1, 5)
        easy = draws.normal(0, 0.02, self.n_clips)
        curves: dict[str, dict[str, Curve]] = {"insertion": {}, "deletion": {}}
        for sign, methods in zip((1, -1), curves.values(), strict=True):
            for name, gain in HELP.items():
                middle = 0.5 + sign * gain + easy + draws.normal(0, 0.01, self.n_clips)
                scores = torch.full((self.n_clips, 5), 0.5)
                scores[:, 1:4] = torch.from_numpy(middle).float()[:, None]
                methods[name] = Curve(shares, scores)
        for clip in self.failing:
            curves["insertion"]["rise"].scores[self.explained.names.index(clip)] = float("nan")
        return curves

    def _rows(self) -> pd.DataFrame:
        told = self.explained
        return pd.DataFrame(
            {
                "metric": metric,
                "method": method,
                "clip": name,
                "person": person,
                "label": CLASSES[int(label)],
                "explained": CLASSES[int(target)],
                "baseline": "blur",
                "unit": "voxel",
                "area": area,
                "error": "" if area == area else "RuntimeError: <b>no</b> memory",
            }
            for metric, methods in self.curves.items()
            for method, curve in methods.items()
            for name, person, label, target, area in zip(
                told.names,
                told.persons,
                told.labels,
                told.targets,
                curve.area.tolist(),
                strict=True,
            )
        )

    def write(self, folder: Path, n_html_clips: int = 4, n_pictures: int | None = None) -> Run:
        """Report of it."""
        run = Run(folder)
        means, compared = mean_areas(self.rows), comparisons(self.rows)
        names = []
        if n_pictures is not None:
            names = draw(run, self.explained, self.curves, CLASSES, "voxel", n_pictures)
        write_tables(run, means, compared)
        write_report(run, self.manifest, self.rows, means, compared, names)
        write_page(
            run,
            self.manifest,
            self.explained,
            self.rows,
            self.curves,
            means,
            compared,
            n_html_clips,
        )
        return run
