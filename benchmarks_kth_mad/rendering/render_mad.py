"""A synthetic multispectral set, in the layout of the real one: infrared and visible of each scene.

It gives what the real set lacks: the actor's masks, and the knowledge of which spectrum shows him.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2

from benchmarks_kth_mad.data.mad_index import CLASS_FILE, LIST_FOLDER, list_path, picture_name
from benchmarks_kth_mad.data.masks import mask_file, save_masks
from benchmarks_kth_mad.data.video import Frames
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.rendering.exertions import MAD_ACTIONS
from benchmarks_kth_mad.rendering.rendered_set import split_persons, whole_set
from benchmarks_kth_mad.rendering.thermal import MADSettings, condition_of, render_scene

SCENE_FILE = "scenes.csv"
_README = "README.txt"
_HEADING = "Rendered people and places in the layout of the multispectral action set."
_ABOUT = """
file_lists  IR_train.txt and the like: folder, number of frames, label
classes.txt one name per line; its place, from 0, is the label
IR, TV      the same scenes in infrared (gray) and visible (RGB), pixel on pixel; frames from 0
masks       where the actor is, in both spectra
scenes.csv  scene, person, action, and condition: by day; at night, when infrared shows more; or on
            a hot day, when the visible does
"""
DEFAULT_MAD = MADSettings()
# what takes least room: the noise of infrared has no repetitions to look for
_COLOR_FILES = [cv2.IMWRITE_PNG_COMPRESSION, 6]
_GRAY_FILES = [
    *_COLOR_FILES,
    cv2.IMWRITE_PNG_STRATEGY,
    cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
]


class _Job(NamedTuple):
    """One scene to render."""

    person: int
    action: str
    sequence: int

    @property
    def name(self) -> str:
        """Such as ``person03_walking_s1``."""
        return f"person{self.person:02d}_{self.action}_s{self.sequence}"


def render_mad(
    root: str | Path,
    actions: Sequence[str] | None = None,
    settings: MADSettings = DEFAULT_MAD,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a synthetic set in the layout of the multispectral set; all of it or nothing.

    Args:
        root: folder to write; it appears only when the set is complete.
        actions: some of the eight; all by default. Their order makes the labels.
        settings: how many persons, scenes and frames, and their size.
        overwrite: replace a set that was rendered before; never anything else.
        progress: called with scenes done and scenes in all, after each.

    Returns:
        The folder.

    Raises:
        BenchmarkError: the folder holds something, or an action is unknown.

    Cost:
        The default set, 192 scenes: 58 MB in 13,000 files, and about a minute on one core.
    """
    root = Path(root)
    actions = check_actions(actions)
    with whole_set(root, _README, _HEADING, overwrite) as partial:
        _render_into(partial, actions, settings, progress)
    return root


def check_actions(actions: Sequence[str] | None) -> tuple[str, ...]:
    """The actions asked for in the order given, or all eight.

    Raises:
        BenchmarkError: an unknown action, one named twice, or none.
    """
    if actions is None:
        return MAD_ACTIONS
    for action in actions:
        if action not in MAD_ACTIONS:
            raise BenchmarkError(
                f"action {action!r}: expected one of {', '.join(MAD_ACTIONS)} (--layout mad)"
            )
    if len(set(actions)) != len(actions) or not actions:
        raise BenchmarkError(f"actions: expected different ones, got {list(actions)}")
    return tuple(actions)


def _render_into(
    folder: Path,
    actions: Sequence[str],
    settings: MADSettings,
    progress: Callable[[int, int], None] | None,
) -> None:
    (folder / LIST_FOLDER).mkdir()
    jobs = list(_jobs(actions, settings))
    for count, job in enumerate(jobs, start=1):
        scene = render_scene(job.action, job.person, job.sequence, settings)
        _write_pictures(folder / "TV" / job.name, scene.visible[..., ::-1], _COLOR_FILES)
        _write_pictures(folder / "IR" / job.name, scene.infrared, _GRAY_FILES)
        save_masks(mask_file(folder, "actor", job.name), scene.masks)
        if progress is not None:
            progress(count, len(jobs))
    _write_lists(folder, jobs, actions, settings)
    (folder / CLASS_FILE).write_text("".join(f"{action}\n" for action in actions))
    (folder / _README).write_text(f"{_HEADING}\n{_ABOUT}")
    with (folder / SCENE_FILE).open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["scene", "person", "action", "condition"])
        for job in jobs:
            condition = condition_of(job.action, job.person, job.sequence)
            rows.writerow([job.name, job.person, job.action, condition])


def _jobs(actions: Sequence[str], settings: MADSettings) -> Iterator[_Job]:
    for person in range(1, settings.persons + 1):
        for action in actions:
            for sequence in range(1, settings.sequences + 1):
                yield _Job(person, action, sequence)


def _write_lists(
    folder: Path, jobs: Sequence[_Job], actions: Sequence[str], settings: MADSettings
) -> None:
    """Lists of the two splits that the set has; who would validate trains."""
    training, validation, test = split_persons(settings.persons)
    for split, persons in (("train", training + validation), ("test", test)):
        for spectrum in ("IR", "TV"):
            rows = (
                f"{spectrum}/{job.name} {settings.frames} {actions.index(job.action)}\n"
                for job in jobs
                if job.person in persons
            )
            list_path(folder, spectrum, split).write_text("".join(rows))


def _write_pictures(folder: Path, frames: Frames, options: Sequence[int]) -> None:
    """Write frames, blue first as OpenCV counts, as PNG."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        path = folder / picture_name(number)
        path.write_bytes(cv2.imencode(".png", frame, options)[1].tobytes())
