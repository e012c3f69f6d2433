"""The page on metrics runs as written, names every metric, and gives its direction."""

import re
from pathlib import Path

import pytest
import torch

from captum_video.metrics import HIGHER_IS_BETTER

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


def test_directions_are_those_of_the_table():
    found = {}
    for names, direction in re.findall(r"^\| (`[^|]+`) \|[^|]+\| (yes|no) \|", TEXT, re.MULTILINE):
        found |= dict.fromkeys(re.findall(r"`([^`]+)`", names), direction == "yes")
    assert found == dict(HIGHER_IS_BETTER)


def test_the_examples_run():
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL):
        exec(block, names)
    assert names["beaten"].share.tolist() == [1, 1]
    assert names["hit"].tolist() == [1, 1]
    assert names["share"].tolist() == pytest.approx([1, 1])
    torch.testing.assert_close(names["unexplained"], torch.zeros(2), atol=1e-6, rtol=0)
    assert (names["moved"] < 0.1).all()
