"""Box series: boxes where they are said to be, networks that fit them, a table without holes."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks_kth_mad.boxes.networks import NETWORKS, Sizes
from benchmarks_kth_mad.boxes.series import LAYOUTS, STEPS, draw
from benchmarks_kth_mad.boxes.study import run_cell, saliency
from benchmarks_kth_mad.boxes.table import PAPER as TABLE
from benchmarks_kth_mad.boxes.table import as_markdown
from benchmarks_kth_mad.boxes.training import BoxRecipe, fit
from benchmarks_kth_mad.errors import BenchmarkError

THREE = [(0, 30), (35, 65), (70, 100)]
BOXES = {  # steps and features, as published
    "earlier": [[(0, 30, 10, 90)]],
    "middle": [[(20, 80, 20, 80)]],
    "latter": [[(70, 100, 10, 90)]],
    "3-earlier": [[(0, 40, *features) for features in THREE]],
    "3-middle": [[(25, 65, *features) for features in THREE]],
    "mixed": [
        [(*steps, *features)]
        for steps, features in [
            ((5, 65), (5, 65)),
            ((5, 65), (35, 95)),
            ((5, 65), (20, 80)),
            ((35, 95), (5, 65)),
            ((35, 95), (35, 95)),
            ((35, 95), (20, 80)),
            ((20, 80), (20, 80)),
        ]
    ],
}
SMALL = ["--layouts", "latter", "mixed", "--networks", "lstm", "input-cell", "input-cell-decay"]
SMALL += ["--train-series", 40, "--test-series", 10, "--epochs", 2, "--device", "cpu"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def indicator(boxes) -> torch.Tensor:
    return torch.tensor(
        [
            [any(a <= t < b and low <= f < high for a, b, low, high in boxes) for f in range(100)]
            for t in range(100)
        ]
    )


@pytest.mark.parametrize("name", LAYOUTS)
def test_boxes_lie_where_published(name: str) -> None:
    expected = {tuple(indicator(boxes).flatten().tolist()) for boxes in BOXES[name]}
    masks = LAYOUTS[name].masks()
    assert len(masks) == len(BOXES[name])
    assert {tuple(mask.flatten().tolist()) for mask in masks} == expected
    drawn = draw(LAYOUTS[name], 60, seeded()).reference
    assert {tuple(mask.flatten().tolist()) for mask in drawn} == expected


def test_sizes_are_the_papers() -> None:
    sizes = {name: (layout.n_train, layout.n_test) for name, layout in LAYOUTS.items()}
    assert sizes.pop("mixed") == (8000, 1000)
    assert set(sizes.values()) == {(1000, 300)}


@pytest.mark.parametrize("name", LAYOUTS)
def test_classes_differ_in_the_box_alone(name: str) -> None:
    inputs, labels, reference = draw(LAYOUTS[name], 100, seeded(1))
    assert labels.bincount().tolist() == [50, 50]
    for label, mean in ((0, -1), (1, 1)):
        these, inside = inputs[labels == label], reference[labels == label]
        for values, expected in ((these[inside], mean), (these[~inside], 0)):
            # six standard errors, of a hundred thousand values and more
            assert values.mean().item() == pytest.approx(expected, abs=6 / len(values) ** 0.5)
            assert values.std().item() == pytest.approx(1, abs=0.02)


@given(st.integers(0, 2**31), st.integers(1, 5))
@settings(max_examples=10)
def test_a_seed_draws_the_same_series(seed: int, count: int) -> None:
    first, again = (draw(LAYOUTS["mixed"], count, seeded(seed)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.inputs, draw(LAYOUTS["mixed"], count, seeded(seed + 1)).inputs)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_map_series_to_two_logits(name: str) -> None:
    torch.manual_seed(0)
    sizes = Sizes(features=7, hidden=3, attention_size=4, hops=2)
    network = NETWORKS[name].build(sizes).eval()
    series = torch.randn(5, 11, 7)
    logits = network(series)
    assert logits.shape == (5, 2)
    torch.testing.assert_close(network(series[3:]), logits[3:])  # each by itself
    hidden = network.train().dropout(torch.ones(100, 100)) == 0
    assert 0.08 < hidden.float().mean() < 0.12


def test_self_attention_equals_a_plain_loop() -> None:
    torch.manual_seed(0)
    network = NETWORKS["self-attention"].build(Sizes(5, 3, 4, 2)).eval()
    series = torch.randn(1, 6, 5)
    states = network.layer(series)[0][0]
    first, second = network.score[0].weight, network.score[2].weight
    exponentials = [torch.exp(second @ torch.tanh(first @ state)) for state in states]
    total = sum(exponentials)
    rows = [
        sum(e[hop] / total[hop] * state for e, state in zip(exponentials, states, strict=True))
        for hop in range(2)
    ]
    torch.testing.assert_close(network(series)[0], network.classify(torch.cat(rows)))


def test_saliency_is_the_gradient_of_the_class() -> None:
    torch.manual_seed(0)
    weight = torch.randn(2, 6)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 2))
    network[1].weight.data.copy_(weight)
    series = draw(LAYOUTS["earlier"], 4, seeded())
    series = series._replace(inputs=series.inputs[:, :2, :3])
    expected = weight.abs()[series.labels].view(4, 2, 3)
    torch.testing.assert_close(saliency(network, series), expected)


class Known(torch.nn.Module):
    """Right from the first step on, or never."""

    def __init__(self, sign: int) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(2))
        self.sign = sign

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        score = self.sign * inputs[:, :30, 10:90].mean((1, 2))
        return torch.stack([-score, score], 1) * 1000 + self.bias


@pytest.mark.parametrize(
    ("sign", "extra", "expected"), [(1, 0, 1), (1, 3, 3), (1, 99, 5), (-1, 0, 5)]
)
def test_training_stops_after_an_epoch_without_mistake(
    sign: int, extra: int, expected: int
) -> None:
    series = draw(LAYOUTS["earlier"], 20, seeded())
    seen: list[tuple[int, float]] = []
    recipe = BoxRecipe(epochs=5, extra_steps=extra, batch_size=10)
    found = fit(Known(sign), series, recipe, seeded(), lambda *told: seen.append(told))
    assert found == [max(sign, 0)] * expected
    assert seen == list(enumerate(found, start=1))


def test_training_refuses_to_go_on_from_nan() -> None:
    series = draw(LAYOUTS["earlier"], 20, seeded())
    with pytest.raises(BenchmarkError, match="the loss became nan"):
        fit(Known(math.nan), series, BoxRecipe(), seeded(), lambda *told: None)


def test_a_cell_of_the_table_is_reproducible_and_leaves_the_random_state() -> None:
    recipe, sizes = BoxRecipe(epochs=2), Sizes()
    state = torch.get_rng_state()

    def run(seed: int):
        return run_cell("latter", "input-cell", recipe, sizes, seed, "cpu", n_series=(40, 10))

    first, again, other = run(3), run(3), run(4)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.scores == again.scores
    assert torch.equal(first.mean_map, again.mean_map)
    assert first.scores != other.scores


def test_attention_reaches_the_first_steps_and_a_plain_lstm_does_not() -> None:
    ratios = {}
    for name in ("lstm", "input-cell"):
        torch.manual_seed(0)
        network = NETWORKS[name].build(Sizes()).eval()
        maps = saliency(network, draw(LAYOUTS["earlier"], 8, seeded()))
        ratios[name] = (maps[:, :10].sum() / maps[:, -10:].sum()).item()
    assert ratios["lstm"] < 1e-6
    assert ratios["input-cell"] > 0.1


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, command):
    """A tiny table, and what the command said."""
    folder = tmp_path_factory.mktemp("boxes") / "out"
    return folder, command("boxes", *SMALL, "--out", folder)


def test_the_command_fills_every_cell(small) -> None:
    folder, said = small
    rows = pd.read_csv(folder / "boxes.csv")
    cells = set(zip(rows["layout"], rows["network"], strict=True))
    networks = ("lstm", "input-cell", "input-cell-decay")
    assert cells == {(layout, one) for layout in ("latter", "mixed") for one in networks}
    assert not rows.isna().any(axis=None)
    shares = rows[["weighted_jaccard", "accuracy", "in_box", "in_time", "train_accuracy"]]
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)
    assert (rows["in_box"] <= rows["in_time"] + 1e-9).all()
    assert (rows["epochs"] <= 2).all()
    assert rows.groupby("network")["weight_decay"].first().to_dict() == {
        "lstm": 0,
        "input-cell": 0,
        "input-cell-decay": 0.01,
    }
    table = (folder / "boxes.md").read_text()
    assert table.strip() in said
    for row in rows.itertuples():
        paper = TABLE[row.network][0][list(LAYOUTS).index(row.layout)]
        mark = "*" if row.accuracy <= 0.6 else ""
        assert f" {row.weighted_jaccard:.3f}{mark} ({paper:.3f}) " in table
    assert "||" not in table.replace(" ", "").replace("||Latter", "")  # no cell is empty
    assert (folder / "saliency.png").read_bytes().startswith(b"\x89PNG")
    with np.load(folder / "maps.npz") as maps:
        assert len(maps.files) == len(rows)
        assert all(one.shape == (STEPS, 100) for one in maps.values())


def test_a_table_grows_in_parts_and_a_part_comes_out_the_same(small, command, tmp_path) -> None:
    whole = pd.read_csv(small[0] / "boxes.csv")
    for layout in ("mixed", "latter"):
        command("boxes", *SMALL, "--layouts", layout, "--networks", "lstm", "--out", tmp_path)
    parts = pd.read_csv(tmp_path / "boxes.csv")
    expected = whole[whole["network"] == "lstm"].sort_values("layout").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        parts.sort_values("layout").reset_index(drop=True), expected, check_exact=True
    )


def test_the_random_map_is_that_of_the_closed_form() -> None:
    row = {"layout": "earlier", "network": "lstm", "accuracy": 1.0, "epochs": 1, "most_epochs": 9}
    row |= dict.fromkeys(
        ("weighted_jaccard", "euclidean", "in_box", "in_time", "first_over_last"), 0.5
    )
    table = as_markdown(pd.DataFrame([row]))
    lines = [
        line.split("|")[2].strip() for line in table.splitlines() if line[:12] == "| random map"
    ]
    assert lines == ["0.194", "1.179", "0.300", "0.240"]


def test_the_notes_say_what_is_short_of_the_paper() -> None:
    row = {"layout": "mixed", "accuracy": 0.9, "train_accuracy": 0.875, "most_epochs": 9}
    row |= dict.fromkeys(
        ("weighted_jaccard", "euclidean", "in_box", "in_time", "first_over_last"), 0.5
    )
    done = row | {"network": "input-cell", "epochs": 3}
    cut = row | {"network": "lstm", "epochs": 9, "accuracy": 0.5}
    assert "Stopped by" not in as_markdown(pd.DataFrame([done]))
    table = as_markdown(pd.DataFrame([done, cut]))
    assert "short of the paper's 400: LSTM on Mixed (9, training accuracy 88%)." in table
    assert "0.500* (0.000)" in table
    assert "0.500 (0.104)" in table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layouts", "nowhere"], "invalid choice: 'nowhere'"),
        (["--networks", "transformer"], "invalid choice: 'transformer'"),
        (["--epochs", 0], "epochs: expected at least 1, got 0"),
        (["--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["--batch-size", 0], "batch_size: expected at least 1, got 0"),
        (["--weight-decay", -1], "weight_decay: expected at least 0, got -1"),
        (["--weight-decay", "nan"], "weight_decay: expected at least 0, got nan"),
        (["--learning-rate", 0], "learning_rate: expected more than 0 and at most 1, got 0"),
        (["--learning-rate", "inf"], "learning_rate: expected more than 0 and at most 1, got inf"),
        (["--train-series", 0], "--train-series: expected a whole number from 1"),
        (["--seed", -1], "--seed: expected a whole number from 0"),
    ],
)
def test_bad_options(refused, options, message: str) -> None:
    assert message in refused("boxes", *SMALL, *options)


def test_bad_folders(refused, small, tmp_path) -> None:
    (tmp_path / "file").write_text("here")
    line = refused("boxes", *SMALL, "--out", tmp_path / "file")
    assert "no folder can be made there" in line
    assert "of seed 5, got [0]" in refused("boxes", *SMALL, "--seed", 5, "--out", small[0])
    (tmp_path / "boxes.csv").write_text("words\n")
    assert "can not be read" in refused("boxes", *SMALL, "--out", tmp_path)
