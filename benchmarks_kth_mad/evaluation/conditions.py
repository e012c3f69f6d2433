"""What results depend on, kept beside them: results of other conditions are never added to them."""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.data.kth import KTH
from benchmarks_kth_mad.data.mad import MAD
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.files import make_folder, read_text, whole_file
from benchmarks_kth_mad.runs import PACKAGES

MANIFEST = "manifest.json"
_BESIDES = ("av", "kornia", "opencv-python-headless", "scikit-image")
_BLOCK = 1 << 20
_SHOWN = 60


class Conditions:
    """The manifest of a folder of results.

    Args:
        folder: whose results they are.
        command: that makes them, for messages.
    """

    def __init__(self, folder: Path, command: str) -> None:
        self.path = folder / MANIFEST
        self._command = command

    def agree_or_keep(self, conditions: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        """Write the manifest of a new folder, or compare with the one that is there.

        Args:
            conditions: all that results depend on, as JSON can hold it.
            made: what else is worth knowing later, such as the command.

        Raises:
            BenchmarkError: the results there were made under other conditions, with what differs.
        """
        asked = json.loads(json.dumps(conditions))
        if self.path.is_file():
            differing = differences(self.load(), asked)
            if differing:
                raise BenchmarkError(
                    f"{self.path.parent}: has results of other conditions: {'; '.join(differing)}; ask "
                    f"for the same to go on with them, or use --fresh to remove them and start over"
                )
            return
        make_folder(self.path.parent)
        with whole_file(self.path) as path:
            path.write_text(json.dumps({"conditions": asked, "made": dict(made)}, indent=2) + "\n")

    def load(self) -> dict[str, Any]:
        """The conditions of the results that are there.

        Raises:
            BenchmarkError: no manifest, or one that can not be read.
        """
        if not self.path.is_file():
            raise BenchmarkError(f"{self.path}: no such file; run {self._command} first")
        try:
            conditions = json.loads(read_text(self.path))["conditions"]
            if not isinstance(conditions, dict):
                raise ValueError("not by name")
            return conditions
        except (BenchmarkError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BenchmarkError(
                f"{self.path}: not a manifest that can be read; run {self._command} again with --fresh"
            ) from error


def differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """What two sets of conditions do not share, in words; of names within names, those alone."""
    found = []
    for name in dict.fromkeys((*there, *asked)):
        old, new = there.get(name), asked.get(name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += [f"{name} {text}" for text in differences(old, new)]
        else:
            found.append(f"{name} {_short(old)} there, {_short(new)} asked for")
    return found


def software() -> dict[str, str]:
    """Versions on which results depend: of what computes, decodes, blurs and divides."""
    found = {name: version(name) for name in PACKAGES}
    for name in _BESIDES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # or another build of it, under another name
            found[name] = "absent"
    return found


def made_by(device: str, processes: int) -> dict[str, Any]:
    """The command line, the machine and the language, for whoever asks later."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": name,
        "processes": processes,
        "threads": torch.get_num_threads(),
    }


def checksum(paths: Iterable[Path], root: Path) -> str:
    """SHA-256 over the contents of files and their names under ``root``, each file once, sorted.

    Raises:
        BenchmarkError: a file that can not be read.
    """
    whole = hashlib.sha256()
    for path in progress_bar(sorted(set(paths)), desc="checksums", unit="file"):
        whole.update(os.path.relpath(path, root).encode() + b"\0" + file_digest(path))
    return whole.hexdigest()


def data_checksum(dataset: KTH | MAD, chosen: Iterable[int]) -> str:
    """Checksum of all files that some clips of a set are read from."""
    return checksum((path for index in chosen for path in dataset.files(index)), dataset.root)


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file, and of nothing where there is none: its clip will say so."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        digest.update(b"unreadable")
    return digest.digest()


def _short(value: object) -> str:
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
