"""Every attribution class has a card, made of its docstring and of what was measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import captum.attr
import pytest
import torch

import captum_video.attr
from benchmarks_kth_mad.cards.classes import (
    METHODS_OF,
    PAGE_OF,
    Described,
    as_markdown,
    attribution_classes,
    described_classes,
)
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import METHODS, Options
from benchmarks_kth_mad.models import build_model

DOCS = Path(__file__).parents[2] / "docs"
CLASSES = [
    name
    for name in captum_video.attr.__all__
    if hasattr(getattr(captum_video.attr, name), "attribute")
]


@pytest.fixture(scope="module")
def cards(
    finished: Any, command: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    few = ["--clips", 2, "--steps", 2, "--random-maps", 1, "--device", "cpu"]
    asked = ["--methods", "gradcam", "sidu", "--checks", "insertion-frame", "energy-actor"]
    command("checks", "--run", finished.folder, *few, *asked, "--out", folder / "checks")
    said = command("cards", "--checks", folder / "checks", "--out", folder / "cards")
    assert f"{len(CLASSES)} cards in {folder / 'cards'}" in said
    return folder / "cards"


def test_every_public_class_has_a_card(cards: Path) -> None:
    assert attribution_classes() == CLASSES
    assert {path.stem for path in cards.iterdir()} == {*CLASSES, "README"}
    table = (cards / "README.md").read_text()
    assert all(f"[{name}]({name}.md)" in table for name in CLASSES)
    assert all(f"[page](../methods/{PAGE_OF[name]}.md)" in table for name in CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_class_has_a_page_that_leads_to_its_card(name: str) -> None:
    page = DOCS / "methods" / f"{PAGE_OF[name]}.md"
    assert f"(../cards/{name}.md)" in page.read_text()
    assert (DOCS / "cards" / f"{name}.md").is_file()
    assert f"({page.name})" in (DOCS / "methods" / "README.md").read_text()


@pytest.mark.parametrize("one", described_classes(), ids=lambda one: one.name)
def test_the_kept_card_says_what_the_docstring_says(one: Described) -> None:
    kept = (DOCS / "cards" / f"{one.name}.md").read_text()
    for text in (one.first, one.formula, one.cost):
        assert text in kept


def test_a_card_tells_what_it_means_costs_and_where_it_wins(cards: Path) -> None:
    text = (cards / "SIDU3D.md").read_text()
    assert text.startswith("# SIDU3D\n\nWhich places a layer's feature maps agree on")
    assert "S(v) = mean_i SD_i U_i M_i(v)" in text
    assert "**Cost.** A pass per clip, and one per channel that keeps something" in text
    assert "## `sidu`: r3d_small on walking, handwaving" in text
    assert "0 backward passes" in text
    assert "| energy-actor" in text
    assert "| insertion-frame" in text
    assert "Open:" in text  # one person decides nothing
    assert "1 backward passes" in (cards / "GradCAM3D.md").read_text()


def test_what_was_not_measured_is_not_guessed(cards: Path) -> None:
    for name in ("RISE3D", "TemporalSaliencyRescaling", "InputCellAttribution"):
        text = (cards / f"{name}.md").read_text()
        assert "Not measured here." in text
        assert "passes," not in text


def test_a_class_without_a_method_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Newcomer(captum.attr.PerturbationAttribution):
        """It says something.

        And how.
        """

    monkeypatch.setattr(captum_video.attr, "Newcomer", Newcomer, raising=False)
    monkeypatch.setattr(captum_video.attr, "__all__", [*captum_video.attr.__all__, "Newcomer"])
    with pytest.raises(BenchmarkError, match=r"Newcomer: no method of the benchmark runs it"):
        described_classes()
    monkeypatch.setitem(METHODS_OF, "Newcomer", ("unknown",))
    with pytest.raises(BenchmarkError, match=r"Newcomer: no method of the benchmark runs it"):
        described_classes()
    monkeypatch.setitem(METHODS_OF, "Newcomer", ("rise",))
    with pytest.raises(BenchmarkError, match=r"Newcomer: no page explains it"):
        described_classes()
    monkeypatch.setitem(PAGE_OF, "Newcomer", "newcomer")
    with pytest.raises(BenchmarkError, match=r"Newcomer: its docstring does not say"):
        described_classes()


@pytest.mark.parametrize("name", CLASSES)
def test_the_methods_of_a_class_run_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ran(Exception):
        pass

    def stop(*_: object, **__: object) -> None:
        raise Ran

    monkeypatch.setattr(getattr(captum_video.attr, name), "attribute", stop)
    clip = torch.rand(1, 1, 8, 24, 24)
    model = build_model("cnn_lstm_small_attention", 2, 1).eval()
    for method in METHODS_OF[name]:
        with pytest.raises(Ran):
            METHODS[method](model, (clip,), torch.tensor([0]), Options(n_samples=50))


def test_marks_of_docstrings_become_markdown() -> None:
    assert as_markdown("a ``b`` of :class:`captum_video.nn.Cell`") == "a `b` of `Cell`"
    assert as_markdown("the `target <https://x.y/z>`_") == "the [target](https://x.y/z)"
    assert as_markdown("as::\n\n    a = b\n      + c") == "as:\n\n```text\na = b\n  + c\n```"


@pytest.mark.parametrize("damage", ["missing", "words"])
def test_folders_that_are_no_checks(
    refused: Callable[..., str], tmp_path: Path, cards: Path, damage: str
) -> None:
    folder = tmp_path / "checks"
    if damage == "words":
        folder.mkdir()
        for path in (cards.parent / "checks").iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / "summary.csv").write_text("words\n")
    line = refused("cards", "--checks", folder, "--out", tmp_path / "out")
    assert f"{folder}" in line
    assert "run checks" in line
