"""The README runs as written, and names nothing that is not there."""

import re
from itertools import takewhile
from pathlib import Path

import pytest
from test_project_files import given_back

import captum_video.attr
import captum_video.metrics

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def test_the_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert (tmp_path / "filmstrip.png").stat().st_size > 10_000
    assert names["maps"].shape == names["when"].shape == names["clip"].shape
    assert names["times"].shape == (1, 8)
    assert names["curve"].scores.shape == (1, 11)


@pytest.mark.parametrize("module", [captum_video.attr, captum_video.metrics])
def test_every_public_class_is_in_the_table(module):
    classes = [name for name in module.__all__ if name[0].isupper()]
    assert all(f"`{name}`" in TEXT for name in set(classes) - given_back(module))


def rows_under(heading: str, text: str = TEXT) -> list[list[str]]:
    """The rows of the first table after a heading, without its head."""
    lines = text[text.index(heading) :].splitlines()
    table = [line for line in lines if line.startswith("|")]
    first = lines.index(table[0])
    table = list(takewhile(lambda line: line.startswith("|"), lines[first:]))
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table[2:]]


def test_wins_are_those_of_the_cards():
    cards = {
        (row[2], row[3].split(" on ")[0]): [f"{row[4]}, {row[5]}", *row[7:]]
        for row in rows_under("# Methods", (ROOT / "docs/cards/README.md").read_text())
    }
    rows = rows_under("## Is a map right?")
    assert rows
    for method, network, *figures in rows:
        assert figures == cards[method, network]


def test_costs_are_those_of_the_results():
    page = (ROOT / "benchmarks_kth_mad/results/cpu/README.md").read_text()
    results = rows_under("# Speed", page)
    rows = rows_under("## What it costs")
    assert rows
    for what, measured, verdict in rows:
        subject = what.split(",")[0]
        found = [r for r in results if subject in r[0] and measured in r[2] and r[3] == verdict]
        assert len(found) == 1, what
