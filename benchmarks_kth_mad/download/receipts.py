"""What was fetched, and the sums by which a later call knows that it is there and right."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.download.disk import holds
from benchmarks_kth_mad.files import whole_file


@dataclass(frozen=True)
class Receipt:
    """SHA-1 of a file that was fetched; of an archive also each video's size and CRC-32 sum."""

    sha1: str
    videos: dict[str, list[int]] = field(default_factory=dict)

    def right_in(self, folder: Path) -> bool:
        """Whether every video is in the folder as it was unpacked."""
        bar = progress_bar(self.videos.items(), unit="video", desc=f"checking {folder.name}")
        return all(holds(folder / name, *sums) for name, sums in bar)


def read_receipt(path: Path) -> Receipt | None:
    """Read a receipt; where there is none that can be read, nothing counts as fetched."""
    try:
        receipt = Receipt(**json.loads(path.read_text(encoding="utf-8")))
        sums = [tuple(map(int, pair)) for pair in receipt.videos.values()]
    except (
        FileNotFoundError,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):
        return None
    return receipt if all(len(pair) == 2 for pair in sums) else None


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Write a receipt, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps({"sha1": receipt.sha1, "videos": receipt.videos}, indent=1))
