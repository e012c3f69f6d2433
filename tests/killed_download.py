"""Downloads that are killed: run by the tests of ``download`` in a process of its own.

``once`` downloads, and can write no file larger than it is told. ``everywhere`` kills a download at its
first step in the file system, another one at the second, and so on, lets the next call finish each, and
tells after which of them a file of the set was not whole, or the finished folder differs from one that
was never killed.
"""

import json
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

from benchmarks_kth_mad.download.archives import Archive
from benchmarks_kth_mad.download.kth import download_kth

STEPS = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree")


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def public(root: Path) -> dict[str, bytes]:
    """Files that others may read: each is whole from the moment it is there."""
    found = contents(root) if root.is_dir() else {}
    return {name: data for name, data in found.items() if not name.startswith(".download/")}


def in_child(root: Path, url: str, archive: Archive, keep: bool, last_step: int | None) -> int:
    """Download in a process that kills itself before a step; the signal that ended it."""
    child = os.fork()
    if child == 0:
        steps = 0

        def count(event: str, arguments: tuple) -> None:
            nonlocal steps
            if event in STEPS and str(root) in str(arguments[0]):
                if steps == last_step:
                    os.kill(os.getpid(), signal.SIGKILL)
                steps += 1

        if last_step is not None:
            sys.addaudithook(count)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        try:
            download_kth(root, [archive], url, keep)
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def everywhere(root: Path, url: str, archive: Archive, keep: bool) -> dict:
    """How many places there were to be killed at, and which of them left something else behind."""
    undisturbed = root / "undisturbed"
    assert in_child(undisturbed, url, archive, keep, None) == 0
    expected, differing, step = contents(undisturbed), [], 0
    while True:
        here = root / "killed"
        shutil.rmtree(here, ignore_errors=True)
        ended = in_child(here, url, archive, keep, step)
        if ended == 0:
            return {"steps": step, "differing": differing, "files": sorted(expected)}
        assert ended == signal.SIGKILL
        halves = [name for name, data in public(here).items() if expected.get(name) != data]
        if in_child(here, url, archive, keep, None) != 0 or contents(here) != expected or halves:
            differing.append(step)
        step += 1


if __name__ == "__main__":
    how, place, base, action, sha1, keeps, largest = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), resource.RLIM_INFINITY))
    wanted = Archive(action, sha1)
    if how == "everywhere":
        print(json.dumps(everywhere(Path(place), base, wanted, keeps == "keep")))
    else:
        download_kth(place, [wanted], base, keeps == "keep")
