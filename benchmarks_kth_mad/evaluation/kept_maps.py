"""The maps that a run keeps, found again clip by clip."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks_kth_mad.choice import different
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.conditions import Conditions
from benchmarks_kth_mad.evaluation.explained import Explained
from benchmarks_kth_mad.evaluation.journal import Journal
from benchmarks_kth_mad.files import plain_name
from benchmarks_kth_mad.methods import Clips
from benchmarks_kth_mad.runs import Run

COMMAND = "attribute"
CLIP, MAP = "clip", "map"


class KeptMaps:
    """The maps of a run, read one clip at a time.

    Attributes:
        names: of all clips that were asked for, in order.
        methods: that were asked for, in order.
        conditions: under which the maps were made.

    Raises:
        BenchmarkError: no maps, or files that can not be read; also from the methods.
    """

    def __init__(self, run: Run) -> None:
        self.folder = run.attributions
        self.conditions = Conditions(run.attributions, COMMAND).load()
        self._journal = Journal(run.attributions, COMMAND)
        self.names = [plain_name(name) for name in self._of_conditions("clips")]
        self.methods: list[str] = self._of_conditions("methods")

    def error(self, name: str, method: str | None = None) -> str | None:
        """Why a clip has no map of a method, or of some method."""
        maps = [(MAP, name, one) for one in self.methods if method in (None, one)]
        for key in ((CLIP, name), *maps):
            if not self._journal.done(key):
                return (
                    self._journal.without_arrays(key).error
                    if key in self._journal
                    else "not explained"
                )
        return None

    def methods_of(self, name: str) -> list[str]:
        """The methods that explained a clip."""
        return [method for method in self.methods if self._journal.done((MAP, name, method))]

    def facts(self, name: str) -> dict[str, Any]:
        """Label, person and, unless the clip failed, predicted class."""
        return self._read(lambda: dict(self._journal.without_arrays((CLIP, name)).facts))

    def explained(self, name: str) -> Explained:
        """A clip that did not fail, with its maps."""

        def read() -> Explained:
            entry = self._journal[CLIP, name]
            keys = {method: (MAP, name, method) for method in self.methods_of(name)}
            return Explained(
                [name],
                [str(entry.facts["person"])],
                tuple(_as_clip(array) for array in entry.arrays.values()),
                torch.tensor([int(entry.facts["label"])]),
                torch.tensor([int(entry.facts["target"])]),
                {
                    method: tuple(
                        torch.from_numpy(array)[None]
                        for array in self._journal[key].arrays.values()
                    )
                    for method, key in keys.items()
                },
            )

        return self._read(read)

    def _of_conditions(self, part: str) -> list[str]:
        def read() -> list[str]:
            names = self.conditions[part]
            if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
                raise ValueError("not names")
            return names

        return self._read(read)

    def _read(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise BenchmarkError(
                f"{self.folder}: not maps that can be read; run {COMMAND} again with --fresh"
            ) from error


def load_explained(run: Run, n_clips: int | None = None) -> Explained:
    """The clips of a run with the maps of every method, those that failed left out.

    Args:
        run: whose maps they are.
        n_clips: so many, of classes that differ as far as possible; all by default, which must fit
            into memory.

    Raises:
        BenchmarkError: no maps, or none that can be read.
    """
    kept = KeptMaps(run)
    names = [name for name in kept.names if kept.error(name) is None]
    if not names:
        raise BenchmarkError(
            f"{run.attributions}: has no clip that every method explained; run attribute again with "
            f"--fresh"
        )
    if n_clips is not None:
        labels = [kept.facts(name)["label"] for name in names]
        names = [names[place] for place in sorted(different(labels, n_clips))]
    return joined_clips([kept.explained(name) for name in names], kept.methods)


def joined_clips(parts: Sequence[Explained], methods: Sequence[str]) -> Explained:
    """Clips that were explained one by one, as one batch."""

    def stacked(every: Sequence[Clips]) -> Clips:
        return tuple(torch.cat(one) for one in zip(*every, strict=True))

    return Explained(
        [name for part in parts for name in part.names],
        [person for part in parts for person in part.persons],
        stacked([part.clips for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.targets for part in parts]),
        {method: stacked([part.maps[method] for part in parts]) for method in methods},
    )


def _as_clip(array: np.ndarray) -> Tensor:
    clip = torch.from_numpy(array)[None]
    return clip.float().div_(255) if clip.dtype == torch.uint8 else clip
