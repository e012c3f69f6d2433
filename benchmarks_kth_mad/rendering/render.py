"""A synthetic KTH: people that differ, in places that differ, written in KTH's own file layout.

It gives what the real set lacks: any number of persons, and masks of the actor and of the limbs
with which he acts; and, where asked for, of the only frames in which he does.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks_kth_mad.data.captions import burn_in, caption_of
from benchmarks_kth_mad.data.kth_index import SEQUENCE_FILE, Video, check_classes
from benchmarks_kth_mad.data.masks import mask_file, save_masks
from benchmarks_kth_mad.data.video import write_video
from benchmarks_kth_mad.rendering.acting import FPS, RenderSettings, render_video
from benchmarks_kth_mad.rendering.rendered_set import split_persons, whole_set

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
        settings: how many persons, sequences, frames, and their size; see `RenderSettings`.
        overwrite: replace a set that was rendered before; never anything else.
        progress: called with videos done and videos in all, after each.

    Returns:
        The folder.

    Raises:
        BenchmarkError: the folder holds something, or an action is unknown.
    """
    root = Path(root)
    actions = check_classes(actions)
    with whole_set(root, SEQUENCE_FILE, _HEADING, overwrite) as partial:
        _render_into(partial, actions, settings, progress)
    return root


def _render_into(
    folder: Path,
    actions: Sequence[str],
    settings: RenderSettings,
    progress: Callable[[int, int], None] | None,
) -> None:
    videos = []
    total = settings.persons * len(actions) * len(settings.scenarios)
    for person, action, scenario in _combinations(actions, settings):
        rendered = render_video(action, person, scenario, settings)
        video = Video(action, person, scenario, rendered.ranges)
        video.path(folder).parent.mkdir(exist_ok=True)
        frames, masks = rendered.frames, dict(rendered.masks)
        if settings.text:
            size = settings.height, settings.width
            caption = caption_of(action, size, [settings.seed, person, scenario])
            frames, masks["text"] = burn_in(frames, caption)
        write_video(video.path(folder), frames, FPS)
        for kind, one in masks.items():
            save_masks(mask_file(folder, kind, video.name), one)
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
