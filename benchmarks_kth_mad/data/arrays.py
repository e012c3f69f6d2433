"""NumPy's files of arrays (``.npz``), read only after a look at what they claim to hold."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from numpy.lib import format as npy

from benchmarks_kth_mad.data.limits import MOST_BYTES, check_bytes

_PLAIN = (ZIP_STORED, ZIP_DEFLATED)  # as NumPy packs; others may ask for memory before they unpack


def read_arrays(path: Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Read arrays of numbers; no object in the file is made.

    Args:
        path: what ``np.savez`` or ``np.savez_compressed`` wrote.
        names: of the arrays; all by default.

    Returns:
        The arrays by name.

    Raises:
        BenchmarkError: they would take more bytes than `data.limits` allows, by their headers:
            nothing else was read.
        Exception: whatever else a damaged or foreign file gives: zip, key and value errors.
    """
    if path.stat().st_size > MOST_BYTES:
        check_bytes(path, path.stat().st_size)
    with ZipFile(path) as file:
        if names is None:
            names = [name.removesuffix(".npy") for name in file.namelist()]
        check_bytes(path, sum(_declared_bytes(file, name) for name in names))
        return {name: _read(file, name) for name in names}


def _declared_bytes(file: ZipFile, name: str) -> int:
    """What an array says it takes, from the first bytes of its file."""
    member = file.getinfo(f"{name}.npy")
    if member.compress_type not in _PLAIN:
        raise ValueError(f"{name}: packed otherwise than NumPy does")
    with file.open(member) as stream:
        # later versions are for names of fields, and their headers may be as long as they like
        if npy.read_magic(stream) != (1, 0):
            raise ValueError(f"{name}: not an array of numbers")
        shape, _, dtype = npy.read_array_header_1_0(stream)
        size = prod(shape) * dtype.itemsize
        check_bytes(f"{file.filename}, {name}", size)
        if min(shape, default=1) < 0 or member.file_size != stream.tell() + size:
            raise ValueError(f"{name}: not as much as it claims")
    return size


def _read(file: ZipFile, name: str) -> np.ndarray:
    with file.open(f"{name}.npy") as stream:
        return npy.read_array(stream, allow_pickle=False)
