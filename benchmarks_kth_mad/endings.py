"""How the program ends early: Ctrl-C, SIGTERM, a reader that leaves. Nothing heavy is imported."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
PIPE_CLOSED = 128 + signal.SIGPIPE


class Terminated(SystemExit):
    """SIGTERM came; what is open is closed on the way out, as after Ctrl-C."""


def end_cleanly(work: Callable[[], int]) -> int:
    """Run the program; where it is stopped, say so in one line.

    Args:
        work: returns the exit code.

    Returns:
        Its exit code, or as a shell has it: 128 and the number of the signal.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = work()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _stopped("interrupted", INTERRUPTED)
    except Terminated:
        return _stopped("terminated", TERMINATED)
    except BrokenPipeError:
        # what is still to be written has no reader, and must not be tried again on the way out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + number)


def _stopped(how: str, code: int) -> int:
    # who pressed Ctrl-C once may press it again while the rest is closed
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    rank = os.environ.get("RANK", os.environ.get("SLURM_PROCID"))
    if rank is None or (rank == "0" and code == INTERRUPTED):  # a launcher tells of its SIGTERM
        print(how, file=sys.stderr)
    return code
