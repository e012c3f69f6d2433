"""What the command line prints in one line."""


class BenchmarkError(Exception):
    """Bad data, a bad option or a bad file; the message names it, and the cure. Exit code 2."""


class ClipsFailed(Exception):
    """The work is done, but for some clips, which are left out; the message names them. Exit code 3."""
