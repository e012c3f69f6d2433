"""What a machine can do at most, and what a pass asks of it: so clips per second become a share."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks_kth_mad.speed.clock import seconds_of
from captum_video import __version__
from captum_video.modes import evaluation_mode

PACKAGES = ("torch", "torchvision", "captum")
SIZES = {"cpu": (1024, 2048), "cuda": (8192, 16384)}


def device_facts(device: str = "cpu") -> dict[str, Any]:
    """What figures depend on that are measured here: device, versions, threads, precision.

    Args:
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        By name, fit for JSON. The precision is that of float32 matrix products and, on CUDA, whether
        convolutions in float32 are computed as TF32.
    """
    precision = f"float32 matrix products: {torch.get_float32_matmul_precision()}"
    if device == "cuda":
        tf32 = torch.backends.cudnn.allow_tf32
        precision += f", convolutions: {'TF32' if tf32 else 'float32'}"
    return {
        "device": _device_name(device),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "captum_video": __version__,
        "threads": torch.get_num_threads(),
        "precision": precision,
    }


def matrix_peak(
    device: str,
    dtype: torch.dtype = torch.float32,
    sizes: Sequence[int] | None = None,
    rounds: int = 7,
) -> float:
    """Measure how fast matrices are multiplied, at whichever size that is fastest.

    In float32 on CUDA they are multiplied as TF32 where PyTorch computes convolutions so (its default),
    or a network would come out above the peak.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        dtype: of the matrices.
        sizes: rows of square matrices; None for some that are large on such a device.
        rounds: of each size, after one that warms up.

    Returns:
        Floating-point operations per second on the wall, an addition and a multiplication counted as
        two: of each size the median, of these the best.
    """
    found = torch.get_float32_matmul_precision()
    if device == "cuda" and torch.backends.cudnn.allow_tf32:
        torch.set_float32_matmul_precision("high")
    try:
        return max(_products_rate(device, dtype, size, rounds) for size in sizes or SIZES[device])
    finally:
        torch.set_float32_matmul_precision(found)


def _products_rate(device: str, dtype: torch.dtype, size: int, rounds: int) -> float:
    left, right = (torch.rand(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)

    def multiply() -> None:
        torch.mm(left, right, out=out)

    seconds = [seconds_of(multiply, device).wall for _ in range(rounds + 1)]
    return 2 * size**3 / median(seconds[1:])


def forward_flops(model: nn.Module, clips: tuple[Tensor, ...]) -> int:
    """Count the floating-point operations of a forward pass in eval mode, exactly.

    Convolutions, matrix products and attention are counted, an addition and a multiplication as two;
    what is done element by element is not, nor is a recurrent layer that runs as one kernel.

    Args:
        model: takes the clips.
        clips: a batch (N, C, T, H, W) per input.
    """
    with evaluation_mode(model), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*clips)
    return counter.get_total_flops()


def _device_name(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
