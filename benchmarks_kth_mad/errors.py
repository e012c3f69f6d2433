"""What the command line prints in one line."""

from reprlib import Repr


class BenchmarkError(Exception):
    """Bad data, a bad option or a bad file; the message names it, and the cure. Exit code 2."""


class ClipsFailed(Exception):
    """The work is done, but for some clips, which are left out; the message names them. Exit code 3."""


class _Brief(Repr):
    """A foreign file's values may be endless, or nested so that writing them out never ends."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxstring = self.maxother = 100
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 4

    def repr_int(self, x: int, level: int) -> str:
        """Python writes no integers out that have thousands of digits."""
        if abs(x) < 10**20:
            return repr(x)
        return f"an integer of {x.bit_length()} bits"


def shown(value: object) -> str:
    """A value as a message shows it: on one line, and cut where it is long."""
    return _Brief().repr(value)


def on_one_line(text: str) -> str:
    """A message without line ends, and without what steers a terminal; names in files may hold any."""
    return "".join(one if one.isprintable() else " " for one in text)
