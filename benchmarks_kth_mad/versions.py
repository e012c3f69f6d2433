"""What this program is called, and which versions it runs on; quick, for it imports none of them."""

from importlib.metadata import PackageNotFoundError, version

SCRIPT = "captum-video-benchmark"
"""The command that installing the package brings; the same as ``python -m benchmarks_kth_mad``."""
_TOLD = ("captum-video", "torch", "captum")


def versions() -> str:
    """Versions of the package and of what decides its numbers, in one line.

    ``absent`` stands where a package is not installed, but lies on the path.
    """
    return ", ".join(f"{name} {_version(name)}" for name in _TOLD)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
