"""What the command says in one line."""


class AppError(Exception):
    """A file, an option or a network is at fault; the message names it, and the cure. Exit code 2."""


def on_one_line(text: object) -> str:
    """A message without line ends and runs of blanks, and without what steers a terminal."""
    words = " ".join(str(text).split())
    return "".join(one if one.isprintable() else "?" for one in words)


def what_was_raised(error: BaseException) -> str:
    """An exception as its type and the first line that it says."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__
