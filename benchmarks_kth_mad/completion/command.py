"""The command ``completion``: which shell, and the script that it prints."""

import argparse

from benchmarks_kth_mad.versions import SCRIPT

SHELLS = ("bash", "zsh", "tcsh")
_FOLDERS = {"root", "run", "out", "clean", "span_run", "planted"}
_FILES = {"checkpoint", "config"}


def add_completion(parser: argparse.ArgumentParser, completed: argparse.ArgumentParser) -> None:
    """For which shell, and what it is to complete."""
    parser.add_argument("shell", choices=SHELLS, help="that is to complete")
    parser.set_defaults(completed=completed)


def run_command(options: argparse.Namespace) -> None:
    """Print a script that the shell reads: commands, options, choices, files and folders."""
    import shtab

    parser = options.completed
    for one in _all_of(parser):
        one.prog = one.prog.replace(parser.prog, SCRIPT)
    for one in _all_of(parser):
        for action in one._actions:
            if action.choices is None and action.dest in _FOLDERS | _FILES:
                kind = shtab.DIRECTORY if action.dest in _FOLDERS else shtab.FILE
                action.complete = kind  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=options.shell))


def _all_of(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """A parser and those of its commands."""
    commands = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    return [parser, *(one for group in commands for one in group.choices.values())]
