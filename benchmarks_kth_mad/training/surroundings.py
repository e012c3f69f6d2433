"""What training changes around it, and how it is put back."""

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from benchmarks_kth_mad.errors import BenchmarkError


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seed torch, ask cuDNN for deterministic kernels, and put both back."""
    with (
        torch.random.fork_rng(),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
    ):
        torch.manual_seed(seed)
        yield


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's advice, for as long as it runs."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", module="torch.utils._pytree")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C through: Lightning makes an exit of it and goes on ignoring the signal."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        if signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def peers() -> Iterator[None]:
    """Turn the loss of another process into a clear line: it has told its own reason.

    Only where several train together does anything inside speak to another process.
    """
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, torch.distributed.DistError) or "gloo" in str(error).lower()
        if not lost:
            raise
        raise BenchmarkError(
            "training: another process of this training has ended, so this one ends too"
        ) from error
