"""The command ``download``: its options, and what it does and says."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks_kth_mad.data.kth_index import ACTIONS
from benchmarks_kth_mad.download.archives import KTH_ARCHIVES, KTH_URL, Archive


def add_download(parser: argparse.ArgumentParser) -> None:
    """What to fetch, from where, and where to."""
    parser.add_argument("set", choices=("kth",), help="which one")
    parser.add_argument("--root", required=True, help="folder of the set")
    parser.add_argument(
        "--actions", nargs="+", choices=ACTIONS, default=list(ACTIONS), help="whose videos to fetch"
    )
    parser.add_argument(
        "--url", default=KTH_URL, help="of the folder on the server, or on a mirror"
    )
    parser.add_argument(
        "--keep-archives", action="store_true", help="leave the transferred zips in --root"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say how much would be transferred, write nothing"
    )


def run_command(options: argparse.Namespace, archives: Sequence[Archive] = KTH_ARCHIVES) -> None:
    """Fetch the archives of the actions asked for, or say what that would take."""
    from benchmarks_kth_mad.download.kth import download_kth

    wanted = [archive for archive in archives if archive.action in options.actions]
    if options.dry_run:
        _tell(Path(options.root), wanted, options.url)
        return
    download_kth(options.root, wanted, options.url, options.keep_archives)
    print(f"{options.root} is complete; KTH's own terms apply, see {KTH_URL}/")


def _tell(root: Path, archives: Sequence[Archive], url: str) -> None:
    from benchmarks_kth_mad.download.disk import free_bytes
    from benchmarks_kth_mad.download.kth import plan_kth

    needed = 0
    for step in plan_kth(root, archives, url):
        missing = step.total - step.held
        needed += missing
        here = f", {step.held:,} more are here" if step.held else ""
        print(f"{step.name}: {step.why or f'{missing:,} bytes to transfer{here}'}")
    free = free_bytes(root)
    print(f"{needed:,} bytes to transfer in all, {free:,} bytes free in {root}")
    if needed > free:
        print("that is too little room")
    elif needed:
        print("the videos come on top; room for them is checked before each archive is unpacked")
