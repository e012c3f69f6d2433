"""The README runs as written, and names nothing that is not there."""

import re
from pathlib import Path

import pytest

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
    helpers = {  # what methods give back
        "Beaten",
        "DropAndIncrease",
        "ExtremalMasks",
        "FlowAgreement",
        "JoinedClips",
        "LayerCandidate",
        "ModalityScore",
        "ParameterRandomization",
        "PrecisionRecall",
        "RISEEstimate",
        "Reliability",
    }
    assert all(f"`{name}`" in TEXT for name in set(classes) - helpers)


def test_links_lead_somewhere():
    for link in re.findall(r"\]\((?!http)([^)]+)\)", TEXT):
        assert (ROOT / link).exists(), link
