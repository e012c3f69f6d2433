"""What the benchmark needs beside captum_video's own requirements; quick, for it imports none of it."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

BENCHMARKS = {
    "av": "av",
    "jinja2": "jinja2",
    "lightning": "lightning",
    "opencv-python-headless": "cv2",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
    "scipy": "scipy",
    "shtab": "shtab",
    "tabulate": "tabulate",
    "torchmetrics": "torchmetrics",
}
"""The distributions of setup.cfg's extra ``benchmarks``, and the module that each brings."""


def what_is_missing(find: Callable[[str], Any] = find_spec) -> str | None:
    """What to say where the extra is not installed, or not all of it.

    Args:
        find: tells of a module's name where it lies, None where it does not; imports nothing.

    Returns:
        One line that names what is missing and the cure; None where nothing is.

    Example:
        >>> what_is_missing(lambda module: None if module == "av" else module)
        "the extra 'benchmarks' is not installed (no av): pip install 'captum-video[benchmarks]'"
    """
    missing = [name for name, module in BENCHMARKS.items() if find(module) is None]
    if not missing:
        return None
    return (
        f"the extra 'benchmarks' is not installed (no {', '.join(missing)}): "
        f"pip install 'captum-video[benchmarks]'"
    )
