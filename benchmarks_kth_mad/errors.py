"""What a user can mend: the command line prints it in one line and leaves with exit code 2."""


class BenchmarkError(Exception):
    """Bad data, a bad option or a bad file; the message names it, and the cure."""
