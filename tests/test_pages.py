"""The pages of the methods and the guides run as written."""

import inspect
import re
from pathlib import Path

import pytest

import captum_video.attr

DOCS = Path(__file__).parents[1] / "docs"
METHOD_PAGES = sorted((DOCS / "methods").glob("*.md"))
GUIDES = [DOCS / f"{name}.md" for name in ("first-picture", "which-method", "which-layer")]
PAGES = [*METHOD_PAGES, *GUIDES]
WITH_EXAMPLES = [page for page in PAGES if "```python" in page.read_text()]


def name_of(page: Path) -> str:
    return page.stem


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name_of)
def test_the_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL):
        exec(compile(block, page.name, "exec"), names)
    explained = [names[one] for one in ("sequences", "scene", "clip", "few") if one in names]
    shapes = [shapes_of(one) for one in explained]
    for made in {"maps", "where", "when", "apart"} & names.keys():
        assert shapes_of(names[made]) in shapes
        assert all(one.isfinite().all() for one in as_tuple(names[made]))


def as_tuple(tensors):
    return tensors if isinstance(tensors, tuple) else (tensors,)


def shapes_of(tensors):
    return [tuple(one.shape) for one in as_tuple(tensors)]


def test_every_method_page_has_an_example():
    pages = {page for page in METHOD_PAGES if page.stem != "README"}
    assert pages <= set(WITH_EXAMPLES)
    assert {DOCS / "which-method.md", DOCS / "which-layer.md"} <= set(WITH_EXAMPLES)


@pytest.mark.parametrize("page", METHOD_PAGES, ids=name_of)
def test_method_pages_are_short(page):
    assert len(page.read_text().splitlines()) <= 130


@pytest.mark.parametrize("page", METHOD_PAGES, ids=name_of)
def test_options_in_tables_exist(page):
    """What the table of options names is an argument of the class."""
    if page.stem == "README":
        return
    table = page.read_text().partition("## Options that matter")[2].partition("##")[0]
    cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    title = page.read_text().splitlines()[0].removeprefix("# ")
    assert named
    assert set(named) <= arguments_of(getattr(captum_video.attr, title))


def arguments_of(method: type) -> set[str]:
    functions = (method.__init__, method.attribute)
    return {name for one in functions for name in inspect.signature(one).parameters}
