"""``python -m captum_video``, and what the installed command runs."""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from captum_video.app.errors import AppError, on_one_line
from captum_video.app.options import build_parser

FAULT, INTERRUPTED, PIPE_CLOSED = 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0; 2 where a file, an option or the network is at fault; as a shell has it, 130
        after Ctrl-C and 141 where the reader of the output has left.
    """
    options = build_parser().parse_args(arguments)
    try:
        # torch takes seconds; --help does not wait for it
        from captum_video.app.command import explain

        with _warnings_on_one_line():
            explain(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("captum_video: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # what is still to be written has no reader, and must not be tried again on the way out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except (AppError, ImportError, OSError) as error:
        if options.traceback:
            raise
        print(f"captum_video: {on_one_line(error)}", file=sys.stderr)
        return FAULT
    return 0


@contextmanager
def _warnings_on_one_line() -> Iterator[None]:
    """Show the package's warnings as errors are shown, and no others."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"captum_video: warning: {on_one_line(message)}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module="captum_video")
        warnings.showwarning = show
        yield


if __name__ == "__main__":
    sys.exit(main())
