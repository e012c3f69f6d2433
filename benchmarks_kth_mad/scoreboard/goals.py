"""What is to be reached, and what was: one row per goal, read off measured tables."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pandas as pd

from benchmarks_kth_mad.speed.convergence import masks_needed
from benchmarks_kth_mad.speed.methods import OURS
from benchmarks_kth_mad.speed.subject import BACKWARD, BATCHED, SINGLE

REACHED, MISSED, OPEN = "reached", "missed", "not measured"
PLAIN_LOOP = "frame by frame"
"""How study B's network, which the goals are of, encodes a clip; told beside it is one batch of all."""
Judge = Callable[[pd.DataFrame], tuple[str, bool]]


class Goal(NamedTuple):
    """A figure to reach.

    Attributes:
        what: it is of.
        reach: in words.
        device: ``"cpu"`` or ``"cuda"``; None for any.
        table: name of the table that tells.
        judge: from that table to the figure in words, and whether it is reached.
    """

    what: str
    reach: str
    device: str | None
    table: str
    judge: Judge


def goals_table(tables: Mapping[str, pd.DataFrame], device: str) -> pd.DataFrame:
    """Judge all goals by the tables of one machine.

    Args:
        tables: by name, as `benchmarks_kth_mad.scoreboard.tables` makes them.
        device: that they were measured on.

    Returns:
        One row per goal: what, reach, measured, verdict (reached, missed or not measured: there is no
        table of it, or it is of another device).
    """
    rows = []
    for goal in GOALS:
        measured, verdict = "", OPEN
        if goal.table in tables and goal.device in (None, device):
            measured, reached = goal.judge(tables[goal.table])
            verdict = REACHED if reached else MISSED
        rows.append(
            {"what": goal.what, "reach": goal.reach, "measured": measured, "verdict": verdict}
        )
    return pd.DataFrame(rows)


def _nearness(column: str, most: float, *floors: str) -> Judge:
    """The worst of our works that run the network several times."""

    def judge(table: pd.DataFrame) -> tuple[str, bool]:
        ours = table[(table["by"] == OURS) & (table["passes"] > 1) & table["floor"].isin(floors)]
        worst = ours.loc[ours[column].idxmax()]
        missed = ours[ours[column] > most]
        told = "; ".join(f"{row.work} {row[column]:.3f}" for _, row in missed.iterrows())
        best = f"{ours[column].min():.3f} to {worst[column]:.3f} ({worst.work}), {len(ours)} works"
        return (f"{best}; above: {told}" if told else best), missed.empty

    return judge


def _ratio(table: pd.DataFrame, work: str, column: str) -> float:
    return float(table.loc[table["work"] == work, column].iloc[0])


def _looking(table: pd.DataFrame) -> tuple[str, bool]:
    ratio = _ratio(table[table["floor"] == SINGLE], "GradCAM3D", "CPU / floor")
    return f"{ratio:.3f}", ratio <= 1.1


def _looking_memory(table: pd.DataFrame) -> tuple[str, bool]:
    ratio = _ratio(table, "GradCAM3D", "added / forward")
    return f"{ratio:.3f}", ratio <= 1.15


def _memory(table: pd.DataFrame) -> tuple[str, bool]:
    """Within two chunks, and hardly more for more perturbations."""
    chunks = table["added / chunk"].max()
    told, flat = [], True
    for work, rows in table.groupby("work", sort=False):
        fewest, most = (
            rows.loc[rows["perturbations"].agg(which)] for which in ("idxmin", "idxmax")
        )
        growth = (most["added MiB"] - fewest["added MiB"]) / most["chunk MiB"]
        flat &= bool(growth <= 0.5)
        told.append(f"{work} {fewest['added MiB']:.1f} to {most['added MiB']:.1f} MiB")
    return f"at most {chunks:.2f} chunks; {', '.join(told)}", flat and chunks <= 2


def _fewer_masks(score: str, least: float) -> Judge:
    """By errors pooled over clips, in the middle of the counts: at the ends one curve is short."""

    def judge(table: pd.DataFrame) -> tuple[str, bool]:
        told, pooled = [], []
        for name, rows in table[table["score"] == score].groupby("network", sort=False):
            gains = masks_needed(rows).filter(like="ratio").median()
            pooled.append(gains["ratio, pooled"])
            told.append(
                f"{pooled[-1]:.1f} x ({name}; of a median clip {gains['ratio, median']:.1f} x)"
            )
        return f"fewer: {', '.join(told)}", len(pooled) > 1 and min(pooled) >= least

    return judge


def _hidden_frames(table: pd.DataFrame) -> tuple[str, bool]:
    rows = table[table["work"].str.contains("whole frames")]
    rows = rows.assign(loop=rows["work"].str.partition("against ")[2])
    clock = _clock(table)
    plain = rows[rows["loop"] == PLAIN_LOOP][clock]
    return _by_loop(rows, clock), bool((plain >= 30).all())


def _rescaling(work: str, tolerance_is_zero: bool, least: float) -> Judge:
    def judge(table: pd.DataFrame) -> tuple[str, bool]:
        exact = table["tolerance"] == 0
        rows = table[table["work"].str.endswith(work) & (exact if tolerance_is_zero else ~exact)]
        clock = _clock(table)
        told = f"{_by_loop(rows, clock)}; correlation {rows['correlation'].min():.4f}"
        plain = rows[rows["loop"] == PLAIN_LOOP][clock]
        return told, bool((plain >= least).all() and (rows["correlation"] >= 0.99).all())

    return judge


def _cell(work: str, frames: int, least: float) -> Judge:
    def judge(table: pd.DataFrame) -> tuple[str, bool]:
        row = table[(table["work"] == work) & (table["frames"] == frames)].iloc[0]
        return f"{row['loop / ours']:.1f} x", row["loop / ours"] >= least

    return judge


def _linear(table: pd.DataFrame) -> tuple[str, bool]:
    rows = table[table["work"] == "forward + backward"].set_index("frames")["ms"]
    per_step = rows / rows.index
    told = ", ".join(f"{ms:.2f} at {frames}" for frames, ms in per_step.items())
    return f"ms per step: {told}", bool(per_step.iloc[-1] <= 1.25 * per_step.min())


def _imports(table: pd.DataFrame) -> tuple[str, bool]:
    row = table[table["import"] == "captum_video"].iloc[0]
    return f"{row['CPU s above captum']:.3f} s", row["CPU s above captum"] <= 0.1


def _clock(table: pd.DataFrame) -> str:
    """CPU time where it was taken."""
    return next(
        name for name in ("times faster (CPU)", "times faster (wall)") if name in table.columns
    )


def _by_loop(rows: pd.DataFrame, clock: str) -> str:
    return ", ".join(f"{row[clock]:.1f} x ({row['loop']})" for _, row in rows.iterrows())


_NEAR = "perturbation methods and metrics"
GOALS = (
    Goal(
        f"{_NEAR}, float32",
        "<= 1.03 x the floor (CPU time)",
        "cpu",
        "methods",
        _nearness("CPU / floor", 1.03, BATCHED, BACKWARD),
    ),
    Goal(
        f"{_NEAR} on a GPU, bfloat16",
        "<= 1.05 x the plain batched forward",
        "cuda",
        "methods-bfloat16",
        _nearness("wall / floor", 1.05, BATCHED, BACKWARD),
    ),
    Goal(
        "extra memory of RISE, occlusion, insertion and deletion",
        "independent of their number; <= 2 chunks of clips",
        None,
        "memory",
        _memory,
    ),
    Goal("GradCAM3D", "<= 1.1 x one forward pass", "cpu", "methods", _looking),
    Goal(
        "memory of GradCAM3D", "<= 1.15 x a forward pass", None, "gradcam-memory", _looking_memory
    ),
    Goal(
        "RISE3D on logits",
        "error of coverage with <= 1/5 of its masks, on two networks",
        None,
        "masks",
        _fewer_masks("logit", 5),
    ),
    Goal(
        "RISE3D on probabilities",
        "error of coverage with <= 1/2 of its masks, on two networks",
        None,
        "masks",
        _fewer_masks("softmax", 2),
    ),
    Goal(
        "occlusion of frames of a CNN-LSTM",
        ">= 30 x Captum's (frame by frame)",
        None,
        "frames",
        _hidden_frames,
    ),
    Goal(
        "Temporal Saliency Rescaling, time step, exact",
        ">= 4 x the plain loop (frame by frame)",
        None,
        "rescaling",
        _rescaling("time step", True, 4),
    ),
    Goal(
        "Temporal Saliency Rescaling, whole map, on a CPU",
        ">= 20 x the plain loop (frame by frame), correlation >= .99",
        "cpu",
        "rescaling",
        _rescaling("whole map", False, 20),
    ),
    Goal(
        "Temporal Saliency Rescaling, whole map, on a GPU",
        ">= 50 x the plain loop (frame by frame), correlation >= .99",
        "cuda",
        "rescaling",
        _rescaling("whole map", False, 50),
    ),
    Goal(
        "attended inputs of the LSTM at T = 100",
        ">= 10 x the step-by-step loop",
        None,
        "cell",
        _cell("attended inputs", 100, 10),
    ),
    *(
        Goal(
            f"forward and backward of it at T = {frames}, {where}",
            f">= {least} x the step-by-step loop",
            device,
            "cell",
            _cell("forward + backward", frames, least),
        )
        for frames, least, device, where in (
            (100, 2, "cpu", "on a CPU"),
            (1000, 5, "cpu", "on a CPU"),
            (1000, 10, "cuda", "on a GPU"),
        )
    ),
    Goal("its time over T", "linear", None, "cell", _linear),
    Goal("import captum_video", "<= 0.1 s above import captum", None, "imports", _imports),
)
