"""The commands on real KTH footage. There is one person: the path is proved, accuracy is not."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

REAL = Path(os.environ.get("CAPTUM_VIDEO_REAL_DATA", Path(__file__).parents[2] / "../shared/data"))
NOTHING = "this accuracy proves nothing about other people"
DATA = ["--root", REAL / "kth", "--classes", "walking", "running"]
ONE_PERSON = ["--split-by", "sequence", "--skip-missing"]
PICTURED = [f"person01_{action}_d1_s3" for action in ("walking", "running")]

pytestmark = pytest.mark.skipif(
    not (REAL / "kth").is_dir(), reason=f"no KTH at {REAL / 'kth'} (set CAPTUM_VIDEO_REAL_DATA)"
)


def check(folder: Path, said: str) -> None:
    """The run is complete, and says what it proves."""
    assert NOTHING in said
    assert NOTHING in (folder / "report.md").read_text()
    rows = pd.read_csv(folder / "rows.csv")
    assert set(rows["method"]) == {"gradcam", "occlusion", "rise", "random"}
    assert set(rows["clip"]) == set(PICTURED)
    assert rows["area"].between(0, 1).all()
    for name in PICTURED:
        for kind in ("png", "gif", "mp4"):
            assert (folder / "pictures" / f"{name}.{kind}").stat().st_size > 1000


def test_demo(command: Callable[..., str], steps, tmp_path: Path) -> None:
    small = [*steps["train"][3:], *steps["attribute"], *steps["evaluate"]]
    check(tmp_path, command("demo", *DATA, *ONE_PERSON, "--run", tmp_path, *small))


def test_each_command_by_itself(command: Callable[..., str], steps, tmp_path: Path) -> None:
    run = ["--run", tmp_path]
    assert NOTHING in command("train", *DATA, *ONE_PERSON, *run, *steps["train"][3:])
    said = command("predict", *DATA, *ONE_PERSON, *run, "--split", "all")
    assert "of 8 clips of split all" in said
    assert NOTHING in said
    command("attribute", *DATA, *ONE_PERSON, *run, *steps["attribute"])
    command("evaluate", *run, *steps["evaluate"])
    check(tmp_path, command("report", *run))


def test_what_one_person_needs_is_said(refused: Callable[..., str], steps, tmp_path: Path) -> None:
    options = [*DATA, *steps["train"][3:], "--run", tmp_path / "run"]
    line = refused("train", *options, "--skip-missing")
    assert "split train has no videos" in line
    assert "use --split-by sequence" in line
    line = refused("train", *options, "--split-by", "sequence")
    assert "no such video" in line
    assert "--skip-missing" in line
    assert not (tmp_path / "run").exists()
