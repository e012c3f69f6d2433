"""``python -m benchmarks_kth_mad``, and what the installed command runs."""

import sys

from benchmarks_kth_mad.endings import end_cleanly
from benchmarks_kth_mad.extras import what_is_missing
from benchmarks_kth_mad.versions import versions


def run() -> int:
    """Run what the command line says; returns the exit code."""
    return end_cleanly(_run)


def _run() -> int:
    if sys.argv[1:] == ["--version"]:  # before torch is imported, which takes seconds
        print(versions())
        return 0
    if missing := what_is_missing():
        print("error:", missing, file=sys.stderr)
        return 2
    from benchmarks_kth_mad.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
