"""A synthetic KTH: people that differ, in places that differ, written in KTH's own file layout.

It gives what the real set lacks: any number of persons, and the actor's masks.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks_kth_mad.data.acting import FPS, RenderSettings, render_video
from benchmarks_kth_mad.data.kth_index import SEQUENCE_FILE, Video, check_classes
from benchmarks_kth_mad.data.masks import MASK_FOLDER, save_masks
from benchmarks_kth_mad.data.video import write_video
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import make_folder

_SPLIT_TITLES = ("Training:  ", "Validation:", "Test:      ")
_HEADING = "Rendered people and places in the layout of the KTH action set."
DEFAULT_RENDER = RenderSettings()


def render_kth(
    root: str | Path,
    actions: Sequence[str] | None = None,
    settings: RenderSettings = DEFAULT_RENDER,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a synthetic set in the layout of KTH, with masks; all of it or nothing.

    Args:
        root: folder to write; it appears only when the set is complete.
        actions: some of the six; all by default.
        settings: how many persons, sequences, frames, and their size.
        overwrite: replace a set that was rendered before; never anything else.
        progress: called with videos done and videos in all, after each.

    Returns:
        The folder.

    Raises:
        BenchmarkError: the folder holds something, or an action is unknown.
    """
    root = Path(root)
    actions = check_classes(actions)
    _check_free(root, overwrite)
    make_folder(root.parent)
    partial = root.with_name(f".{root.name}.{os.getpid()}.partial")
    try:
        _render_into(partial, actions, settings, progress)
        _swap_in(partial, root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return root


def _check_free(root: Path, overwrite: bool) -> None:
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    if not overwrite:
        raise BenchmarkError(
            f"{root}: exists and is not empty; choose another folder, or --overwrite"
        )
    file = root / SEQUENCE_FILE
    if not file.is_file() or not file.read_bytes().startswith(_HEADING.encode("ascii")):
        raise BenchmarkError(
            f"{root}: holds something that was not rendered, which --overwrite does not touch; "
            f"choose another folder"
        )


def _swap_in(partial: Path, root: Path) -> None:
    """Put the complete folder in place; what was there goes only once the new one stands."""
    old = root.with_name(f".{root.name}.{os.getpid()}.old")
    if root.exists():
        root.rename(old)
    partial.rename(root)
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)


def split_persons(count: int) -> tuple[list[int], list[int], list[int]]:
    """Persons 1..count for training, validation (an eighth) and test (a quarter), at least one each."""
    test = max(1, count // 4)
    validation = max(1, count // 8)
    numbers = list(range(1, count + 1))
    training = count - validation - test
    return numbers[:training], numbers[training : count - test], numbers[count - test :]


def _render_into(
    folder: Path,
    actions: Sequence[str],
    settings: RenderSettings,
    progress: Callable[[int, int], None] | None,
) -> None:
    (folder / MASK_FOLDER).mkdir(parents=True)
    videos = []
    total = settings.persons * len(actions) * len(settings.scenarios)
    for person, action, scenario in _combinations(actions, settings):
        frames, masks, ranges = render_video(action, person, scenario, settings)
        video = Video(action, person, scenario, ranges)
        video.path(folder).parent.mkdir(exist_ok=True)
        write_video(video.path(folder), frames, FPS)
        save_masks(folder / MASK_FOLDER / f"{video.name}.npz", masks)
        videos.append(video)
        if progress is not None:
            progress(len(videos), total)
    text = "\r\n".join(_sequence_lines(videos, settings.persons)) + "\r\n"
    (folder / SEQUENCE_FILE).write_bytes(text.encode("ascii"))


def _combinations(
    actions: Sequence[str], settings: RenderSettings
) -> Iterator[tuple[int, str, int]]:
    for person in range(1, settings.persons + 1):
        for action in sorted(actions):
            for scenario in settings.scenarios:
                yield person, action, scenario


def _sequence_lines(videos: Sequence[Video], persons: int) -> Iterator[str]:
    yield _HEADING
    for title, numbers in zip(_SPLIT_TITLES, split_persons(persons), strict=True):
        yield f"{title} person" + ", ".join(f"{number:02d}" for number in numbers)
    yield ""
    for video in videos:
        yield f"{video.name}\tframes\t" + ", ".join(f"{a}-{b}" for a, b in video.ranges)
