"""The page without a browser: its structure, what it embeds, and that nothing gets out of place."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from toy_runs import CLASSES, HELP, ToyRun

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import above_zero
from benchmarks_kth_mad.report import charts
from benchmarks_kth_mad.report.player import FRAME_PIXELS, MAP_BYTES, player_data
from benchmarks_kth_mad.report.words import proper
from captum_video.visualization import color_limit

EVIL = ("<script>alert(1)</script>", "a\"b'&</option>")
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """Elements in order, with their attributes, parents and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[dict] = []
        self.open: list[dict] = []
        self.feed(text)
        assert not self.open, [one["tag"] for one in self.open]

    def handle_starttag(self, tag: str, attrs: list) -> None:
        found = {
            "tag": tag,
            "parents": [one["tag"] for one in self.open],
            "text": "",
            **dict(attrs),
        }
        self.elements.append(found)
        if tag not in VOID:
            self.open.append(found)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        for one in self.open:
            one["text"] += data

    def all(self, tag: str, **wanted: str) -> list[dict]:
        return [
            one
            for one in self.elements
            if one["tag"] == tag and all(one.get(key) == value for key, value in wanted.items())
        ]


@pytest.fixture(scope="module")
def toy() -> ToyRun:
    return ToyRun(names=[*EVIL], failing=("clip07",))


@pytest.fixture(scope="module")
def folder(toy: ToyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write(tmp_path_factory.mktemp("report")).folder


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def decoded(sheet: dict, frames: int) -> np.ndarray:
    """The pictures of a sheet, one by one."""
    kind, content = sheet["src"].split(";base64,")
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert kind in ("data:image/png", "data:image/jpeg")
    h, w = sheet["height"], sheet["width"]
    corners = [(k // sheet["columns"] * h, k % sheet["columns"] * w) for k in range(frames)]
    return np.stack([picture[top : top + h, left : left + w] for top, left in corners])


def test_structure(page: Page) -> None:
    assert [one["lang"] for one in page.all("html")] == ["en"]
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert page.all("title")[0]["parents"] == ["html", "head"]
    levels = [int(one["tag"][1]) for one in page.elements if re.fullmatch("h[1-6]", one["tag"])]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [one["id"] for one in page.elements if "id" in one]
    assert len(ids) == len(set(ids))
    refs = [one[key] for one in page.elements for key in _REFERENCES if key in one]
    refs += [one["href"][1:] for one in page.all("a")]
    assert set(" ".join(refs).split()) <= set(ids)
    assert page.elements[[one["tag"] for one in page.elements].index("a")]["href"] == "#main"
    assert all(one["text"].strip() for one in page.all("caption"))
    assert len(page.all("caption")) == len(page.all("table")) == 4
    assert "runs no scripts" in page.all("noscript")[0]["text"]


_REFERENCES = ("aria-labelledby", "aria-describedby", "for")


def test_every_control_has_a_name(page: Page) -> None:
    controls = [one for one in page.elements if one["tag"] in ("button", "select", "input")]
    assert len(controls) > 20
    named = [one["for"] for one in page.all("label")]
    for one in controls:
        assert one["text"].strip() if one["tag"] == "button" else one["id"] in named, one
    for one in page.elements:
        if one.get("role") in ("img", "region", "group") or "tabindex" in one:
            assert one.get("aria-label") or one["tag"] == "main", one
    heads = [one for one in page.all("th") if one.get("scope") == "col"]
    assert len(heads) == len([one for one in page.all("button") if "th" in one["parents"]])


def test_nothing_is_loaded_and_nothing_else_may_run(text: str, page: Page) -> None:
    for one in page.elements:
        for key in ("src", "href", "action", "data", "srcset", "style", "onclick", "onload"):
            assert re.match(r"#|data:", one.get(key, "#")), one
    bare = re.sub(r"(base64,|sha256-)[^\"']*", "", text)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch\(|XMLHttp|WebSocket", bare)
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert len(page.all("script")) == 2
    assert len(page.all("style")) == 1


def test_names_from_files_stay_text(text: str, page: Page) -> None:
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; (walking)" in text
    options = [one["text"].strip() for one in page.all("option") if "value" in one]
    assert options[0] == f"{EVIL[0]} (walking)"
    data = json.loads(page.all("script", id="player-data")[0]["text"])
    assert data["clips"][0]["name"] == EVIL[0]
    assert "RuntimeError: <b>no</b> memory" in [one["text"] for one in page.all("td")]
    assert not page.all("b")


def test_clips_are_spread_over_classes(page: Page, toy: ToyRun, tmp_path: Path) -> None:
    data = json.loads(page.all("script", id="player-data")[0]["text"])
    assert [one["label"] for one in data["clips"]] == ["walking", "boxing"] * 2
    none = Page(toy.write(tmp_path, n_html_clips=0).page.read_text())
    assert not none.all("canvas")
    assert len(none.all("table")) == 4


@pytest.mark.parametrize("channels", [(1,), (3, 1)])
def test_embedded_frames_and_maps_are_those_of_the_run(channels: tuple[int, ...]) -> None:
    toy = ToyRun(n_clips=3, channels=channels)
    told = toy.explained
    methods = list(HELP)
    data = json.loads(json.dumps(player_data(told, toy.rows, [1, 2], methods, CLASSES)))
    for clip, index in zip(data["clips"], [1, 2], strict=True):
        assert clip["name"] == told.names[index]
        assert clip["explained"] == CLASSES[int(told.targets[index])]
        titles = [one["title"] for one in clip["inputs"]]
        assert titles == ([""] if len(channels) == 1 else ["visible", "infrared"])
        for sheet, source in zip(clip["inputs"], told.clips, strict=True):
            found = decoded(sheet, toy.frames).reshape(toy.frames, *toy.size, -1) / 255
            expected = source[index].movedim(0, -1).numpy()
            assert found.shape == expected.shape
            assert np.abs(found - expected).mean() < 0.06  # noise is the worst of all for JPEG
        for one, method in zip(clip["methods"], methods, strict=True):
            evidence = [
                above_zero(method, maps[index : index + 1]).clamp(min=0)
                for maps in told.maps[method]
            ]
            limit = max(color_limit(each, percentile=99).item() for each in evidence)
            for sheet, each in zip(one["maps"], evidence, strict=True):
                expected = (each[0, 0] / limit).clamp(0, 1).numpy() * 255
                assert np.abs(decoded(sheet, toy.frames) - expected).max() <= 0.51
            shares = sum(each[0, 0].sum((1, 2)) for each in evidence)
            assert one["shares"] == pytest.approx((shares / shares.sum()).tolist(), abs=1e-5)
            assert one["when"] == f"Evidence peaks in frame {int(shares.argmax()) + 1}"
            rows = toy.rows[(toy.rows["clip"] == clip["name"]) & (toy.rows["method"] == method)]
            assert one["areas"] == pytest.approx(
                dict(zip(rows["metric"], rows["area"], strict=True)), abs=1e-4
            )
    assert data["palettes"]["gray"]["colors"][-6:] == "ffffff"


def test_maps_that_say_nothing_are_told() -> None:
    toy = ToyRun(n_clips=3)
    shape = toy.explained.clips[0].shape
    broken = torch.full(shape, float("nan"))
    toy.explained.maps.update(
        {"occlusion": (torch.zeros(shape),), "tsr": (torch.ones(shape),), "gradient": (broken,)}
    )
    methods = ["occlusion", "tsr", "gradient"]
    (clip,) = player_data(toy.explained, toy.rows, [0], methods, CLASSES)["clips"]
    assert [one["when"] for one in clip["methods"]] == [
        "No evidence",
        "Evidence in all frames alike",
        "The map failed",
    ]
    assert all(one["areas"] == {} for one in clip["methods"])
    assert decoded(clip["methods"][0]["maps"][0], toy.frames).max() == 0


def test_large_clips_are_made_smaller() -> None:
    """Four clips of twelve methods stay below 6 MB, even of noise, which no PNG makes smaller."""
    toy = ToyRun(n_clips=1, persons=1, channels=(3,), frames=32, size=(224, 224))
    told = toy.explained
    noise = (255 * torch.rand(1, 1, 32, 224, 224),)
    told.maps.clear()
    told.maps.update({f"method{i}": noise for i in range(12)})
    data = player_data(told, toy.rows, [0], list(told.maps), CLASSES)
    (clip,) = data["clips"]
    kept = sum(32 * one["maps"][0]["width"] * one["maps"][0]["height"] for one in clip["methods"])
    assert 0.7 * MAP_BYTES < kept <= MAP_BYTES
    assert 32 * clip["inputs"][0]["width"] * clip["inputs"][0]["height"] <= FRAME_PIXELS
    assert 4 * len(json.dumps(clip)) < 6e6
    small = decoded(clip["methods"][0]["maps"][0], 32)
    assert abs(small.mean() - 127.5) < 3  # areas are averaged


def path_points(path: str) -> np.ndarray:
    points = np.array([pair.split() for pair in path.strip("MZ").split("L")], float)
    x = (points[:, 0] - charts.x_of(0)) / (charts.x_of(1) - charts.x_of(0))
    return np.stack([x, (points[:, 1] - charts.y_of(0)) / (charts.y_of(1) - charts.y_of(0))], 1)


def test_curves_are_means_over_persons_within_their_band(page: Page, toy: ToyRun) -> None:
    names = list(HELP)
    for metric, methods in toy.curves.items():
        chart = charts.chart_of(metric, methods, toy.rows, names)
        assert [line.method for line in chart.lines] == names
        for line in chart.lines:
            curve = charts.measured_only(methods[line.method])
            whose = toy.rows[(toy.rows["metric"] == metric) & (toy.rows["method"] == line.method)]
            whose = whose.dropna(subset="area")["person"].to_numpy()
            persons = [curve.scores[whose == one].mean(0) for one in pd.unique(whose)]
            points = path_points(line.path)
            mean = torch.stack(persons).mean(0)
            np.testing.assert_allclose(points[:, 0], curve.fractions, atol=1e-4)
            np.testing.assert_allclose(points[:, 1], mean, atol=1e-4)
            band = path_points(line.band)
            assert (band[:5, 1] >= points[:, 1] - 1e-4).all()
            assert (band[5:][::-1, 1] <= points[:, 1] + 1e-4).all()
            assert line.path in [one.get("d") for one in page.all("path")]
    groups = [one["data-method"] for one in page.all("g") if "data-method" in one]
    assert sorted(groups) == sorted([*names, *names])


def test_curves_of_other_clips_are_refused(toy: ToyRun) -> None:
    rows = toy.rows[toy.rows["clip"] != "clip09"]
    with pytest.raises(BenchmarkError, match="insertion of rise: expected the curves of 22 clips"):
        charts.chart_of("insertion", toy.curves["insertion"], rows, ["rise"])


def test_tables_and_files_hold_the_same_numbers(page: Page, folder: Path, toy: ToyRun) -> None:
    means = pd.read_csv(folder / "report_summary.csv")
    compared = pd.read_csv(folder / "report_comparisons.csv")
    shown = [one["data-value"] for one in page.all("td") if "data-value" in one]
    numbers = np.array([float(one) for one in shown])
    expected = means[["mean area", "low", "beats random"]].to_numpy().ravel()
    against = compared[["difference", "low", "p", "p holm"]].to_numpy().ravel()
    np.testing.assert_allclose(numbers, [*expected, *against], rtol=1e-6)
    report = (folder / "report.md").read_text()
    for row in means.itertuples():
        assert f"{row[6]:.3f}" in report
    for row in compared.itertuples():
        assert f"{row.difference:+.3f}" in report
        assert row.verdict in report
    heads = [one["text"] for one in page.all("th") if one.get("scope") == "row"]
    assert [one.split(" 23 clips")[0] for one in heads[:8]] == [*map(proper, means["method"])]
    assert "- `clip07`, rise, insertion: `RuntimeError: <b>no</b> memory`" in report
    assert "1 of 192 areas could not be measured" in page.all("main")[0]["text"]


def test_one_person_has_no_interval(tmp_path: Path) -> None:
    run = ToyRun(persons=1, n_clips=3).write(tmp_path)
    page = Page(run.page.read_text())
    assert len([one for one in page.all("span") if one["text"] == "one person"]) == 8
    assert pd.read_csv(run.summary)["low"].isna().all()
    assert pd.read_csv(run.comparisons)["p"].isna().all()
    assert "over 3 clips of 1 person" in page.all("caption")[0]["text"]
    assert "nan" not in page.all("main")[0]["text"].lower()
    assert "nan" not in run.report.read_text().lower()


def test_failed_clips_do_not_spoil_the_pictures(tmp_path: Path) -> None:
    toy = ToyRun(n_clips=4, persons=2, failing=("clip00",))
    assert (toy.write(tmp_path, 1, n_pictures=0).pictures / "insertion.png").is_file()


def test_the_command_writes_the_page(finished) -> None:
    assert f"page      {finished.folder / 'report.html'}" in finished.said["report"]
    page = Page((finished.folder / "report.html").read_text())
    data = json.loads(page.all("script", id="player-data")[0]["text"])
    assert [one["label"] for one in data["clips"]] == ["walking", "handwaving"]
    assert len(data["clips"][0]["methods"]) == 4
    assert "walking, handwaving" in page.all("title")[0]["text"]
