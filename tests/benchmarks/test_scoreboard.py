"""Goals are judged by what tables say, and a folder of tables is of one machine."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.scoreboard.goals import GOALS, MISSED, OPEN, REACHED, goals_table
from benchmarks_kth_mad.scoreboard.results import PAGE, Kept, keep_table, kept_tables, page_of
from benchmarks_kth_mad.speed.methods import OURS, THEIRS
from benchmarks_kth_mad.speed.subject import BATCHED, SINGLE

KEPT = Path(__file__).parents[2] / "benchmarks_kth_mad" / "results"
MACHINE = {"runs on": "cpu", "device": "an abacus", "threads": 1}


def methods_table(**ratios: float) -> pd.DataFrame:
    """Ratios of works: those in lower case are others', Grad-CAM's is to one clip."""
    rows = [
        {
            "work": work,
            "by": OURS if work[0].isupper() else THEIRS,
            "floor": SINGLE if "Grad" in work else BATCHED,
            "passes": 1 if "Grad" in work else 16,
            "wall / floor": ratio,
            "CPU / floor": ratio,
            "low": ratio,
            "high": ratio,
        }
        for work, ratio in ratios.items()
    ]
    return pd.DataFrame(rows)


def masks_table(*fewer: float, score: str = "logit") -> pd.DataFrame:
    """One or two networks, and how many times fewer masks regression needs on each.

    Coverage's error is that of a mean: 50 over its masks.
    """
    return pd.DataFrame(
        [
            {
                "network": network,
                "score": score,
                "masks": masks,
                "estimator": estimator,
                "pooled": 50 / masks / gain,
                "median": 50 / masks / gain,
            }
            for network, times in zip(("one", "two"), fewer, strict=False)
            for masks in (100, 400, 1600)
            for estimator, gain in (("coverage", 1), ("regression", times))
        ]
    )


def rescaling_table(exact: float, near: float, correlation: float) -> pd.DataFrame:
    rows = [("time step", 0.0, exact, 1.0), ("whole map", 0.01, near, correlation)]
    return pd.DataFrame(
        [
            {
                "work": f"TSR, {part}",
                "tolerance": tolerance,
                "loop": loop,
                "times faster (CPU)": times / worse,
                "correlation": agreement,
            }
            for part, tolerance, times, agreement in rows
            for loop, worse in (("frame by frame", 1), ("frames in a batch", 2))
        ]
    )


def cell_table(attended: float, at_100: float, at_1000: float, ms_at_1000: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            ("attended inputs", 100, 1.0, attended),
            ("forward + backward", 100, 10.0, at_100),
            ("forward + backward", 1000, ms_at_1000, at_1000),
        ],
        columns=["work", "frames", "ms", "loop / ours"],
    )


def memory_table(*added: float) -> pd.DataFrame:
    """RISE with 500 and 4,000 masks, and chunks of 10 MiB."""
    return pd.DataFrame(
        {
            "work": "RISE3D",
            "perturbations": [500, 4000],
            "added MiB": added,
            "chunk MiB": 10.0,
            "added / chunk": [one / 10 for one in added],
        }
    )


def verdicts(tables: dict[str, pd.DataFrame], device: str = "cpu") -> dict[str, str]:
    found = goals_table(tables, device)
    assert len(found) == len(GOALS)
    return dict(zip(found["what"], found["verdict"], strict=True))


def test_without_tables_nothing_is_reached_and_nothing_missed():
    assert set(verdicts({}).values()) == {OPEN}


@pytest.mark.parametrize(("ratio", "expected"), [(1.02, REACHED), (1.04, MISSED)])
def test_the_worst_of_ours_decides_and_others_do_not(ratio, expected):
    table = methods_table(RISE3D=0.99, Insertion=ratio, GradCAM3D=1.2, occlusion_of_others=1.5)
    found = goals_table({"methods": table}, "cpu").set_index("what")
    near = found.loc["perturbation methods and metrics, float32"]
    assert near["verdict"] == expected
    assert "Insertion" in near["measured"]
    assert "others" not in near["measured"]
    assert found.loc["GradCAM3D", "verdict"] == MISSED


def test_a_gpu_is_not_judged_by_a_cpu():
    table = methods_table(RISE3D=0.99)
    gpu = "perturbation methods and metrics on a GPU, bfloat16"
    assert verdicts({"methods-bfloat16": table}, "cpu")[gpu] == OPEN
    assert verdicts({"methods-bfloat16": table}, "cuda")[gpu] == REACHED
    assert verdicts({"methods": table}, "cuda")["perturbation methods and metrics, float32"] == OPEN


@pytest.mark.parametrize(
    ("added", "expected"),
    [((12, 13), REACHED), ((12, 25), MISSED), ((21, 21), MISSED), ((2, 18), MISSED)],
)
def test_memory_must_be_flat_and_small(added, expected):
    memory = "extra memory of RISE, occlusion, insertion and deletion"
    assert verdicts({"memory": memory_table(*added)})[memory] == expected


def test_fewer_masks_are_asked_of_both_networks_and_of_each_score():
    assert verdicts({"masks": masks_table(5.5, 9)})["RISE3D on logits"] == REACHED
    assert verdicts({"masks": masks_table(4.5, 9)})["RISE3D on logits"] == MISSED
    both = pd.concat([masks_table(6, 6), masks_table(1.5, 3, score="softmax")])
    assert verdicts({"masks": both})["RISE3D on probabilities"] == MISSED
    assert verdicts({"masks": masks_table(6)})["RISE3D on logits"] == MISSED


@pytest.mark.parametrize(("one_by_one", "expected"), [(31, REACHED), (29, MISSED)])
def test_hidden_frames_are_judged_against_the_plain_loop(one_by_one, expected):
    works = [f"30 whole frames, against {loop}" for loop in ("batches", "frame by frame")]
    rows = [
        *zip(works, (25, one_by_one), strict=True),
        ("480 windows of 1 frame, against batches", 9),
    ]
    table = pd.DataFrame(rows, columns=["work", "times faster (CPU)"])
    found = goals_table({"frames": table}, "cpu").set_index("what")
    judged = found.loc["occlusion of frames of a CNN-LSTM"]
    assert judged["verdict"] == expected
    assert judged["measured"] == f"25.0 x (batches), {one_by_one}.0 x (frame by frame)"


def test_rescaling_is_judged_against_the_plain_loop():
    exact = "Temporal Saliency Rescaling, time step, exact"
    whole = "Temporal Saliency Rescaling, whole map, on a CPU"
    found = verdicts({"rescaling": rescaling_table(4.5, 25, 0.999)})
    assert (found[exact], found[whole]) == (REACHED, REACHED)
    found = verdicts({"rescaling": rescaling_table(3.9, 25, 0.98)})
    assert (found[exact], found[whole]) == (MISSED, MISSED)


def test_the_cell_must_gain_and_be_linear():
    found = verdicts({"cell": cell_table(11, 2.5, 6, 105)})
    ours = {
        what: verdict for what, verdict in found.items() if " T" in what and "Saliency" not in what
    }
    assert ours.pop("forward and backward of it at T = 1000, on a GPU") == OPEN
    assert set(ours.values()) == {REACHED}
    assert verdicts({"cell": cell_table(11, 2.5, 6, 200)})["its time over T"] == MISSED


def test_a_folder_shows_what_is_kept_in_it(tmp_path):
    table = methods_table(RISE3D=1.01, GradCAM3D=1.05, occlusion_of_others=1.4)
    keep_table(tmp_path, "methods", Kept(table, "of everything", "python -m it"), MACHINE)
    keep_table(tmp_path, "memory", Kept(memory_table(12, 13), "of memory", "again"), MACHINE)
    shown = (tmp_path / PAGE).read_text()
    assert shown == page_of(tmp_path)
    assert "an abacus" in shown
    assert "python -m it" in shown
    assert "![methods](methods.png)" in shown
    assert shown.count(REACHED) == 3
    keep_table(tmp_path, "masks", Kept(masks_table(6, 6), "of masks", "more"), MACHINE)
    assert (tmp_path / "masks.png").stat().st_size > 10_000
    kept = kept_tables(tmp_path)
    pd.testing.assert_frame_equal(kept["methods"].table, table, rtol=1e-5)
    keep_table(tmp_path, "memory", Kept(memory_table(12, 25), "of memory", "again"), MACHINE)
    assert (tmp_path / PAGE).read_text().count(REACHED) == 3


def test_tables_of_two_machines_are_not_mixed(tmp_path):
    kept = Kept(memory_table(12, 13), "of memory", "again")
    keep_table(tmp_path, "memory", kept, MACHINE)
    with pytest.raises(BenchmarkError, match=r"slide rule.*elsewhere"):
        keep_table(tmp_path, "memory", kept, MACHINE | {"device": "a slide rule"})


def test_a_table_that_was_spoilt_is_named(tmp_path):
    keep_table(tmp_path, "memory", Kept(memory_table(12, 13), "", ""), MACHINE)
    (tmp_path / "memory.csv").unlink()
    with pytest.raises(BenchmarkError, match=r"memory\.csv"):
        page_of(tmp_path)


@pytest.mark.parametrize("folder", sorted(path.parent for path in KEPT.glob("*/manifest.json")))
def test_pages_in_the_package_show_the_tables_beside_them(folder):
    assert (folder / PAGE).read_text() == page_of(folder)
