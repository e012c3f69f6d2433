"""A run's manifest comes back as it was written, and says what its accuracy is worth."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.runs import PACKAGES, Manifest, Run, Source, require

SOURCE = Source("somewhere", ("walking", "boxing"), "sequence", skip_missing=True)
MANIFEST = Manifest(SOURCE, "r3d_small", 3, 0.75, 8, (4, 7))


def test_round_trip(tmp_path: Path) -> None:
    run = Run(tmp_path / "new" / "run")
    run.save_manifest(MANIFEST)
    loaded = run.load_manifest()
    assert replace(loaded, versions={}) == MANIFEST
    assert set(loaded.versions) == {*PACKAGES, "python"}
    assert [path.name for path in run.folder.iterdir()] == ["run.json"]


def test_claim() -> None:
    assert MANIFEST.claim == (
        "Accuracy on 8 test clips: 75.0% (chance 50.0%). Persons not seen in training: 2."
    )
    alone = replace(MANIFEST, unseen_persons=()).claim
    assert alone.endswith("this accuracy proves nothing about other people.")
    assert "\n" not in alone


@pytest.mark.parametrize(
    "content",
    ["", "words", "{}", "[]", '{"source": {}}', '{"source": {"root": "a", "classes": 1}}', "\x00"],
)
def test_another_file(tmp_path: Path, content: str) -> None:
    run = Run(tmp_path)
    run.manifest.write_text(content)
    with pytest.raises(BenchmarkError, match=r"run\.json: not the manifest of a run; run train"):
        run.load_manifest()


def test_a_field_more_is_another_file(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save_manifest(MANIFEST)
    run.manifest.write_text(json.dumps(json.loads(run.manifest.read_text()) | {"more": 1}))
    with pytest.raises(BenchmarkError, match="not the manifest of a run"):
        run.load_manifest()


def test_what_is_not_there_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"run\.json: no such file; run train first"):
        Run(tmp_path).load_manifest()
    with pytest.raises(BenchmarkError, match=r"rows\.csv: no such file; run evaluate first"):
        require(tmp_path / "rows.csv", "evaluate")


def test_drop_takes_what_is_there(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.rows.write_text("old")
    run.motion.write_text("kept")
    run.evaluation.mkdir()
    (run.evaluation / "part").write_text("old")
    run.drop(run.rows, run.report, run.evaluation)
    assert list(tmp_path.iterdir()) == [run.motion]
