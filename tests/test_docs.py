"""The documentation describes every public name, its links lead somewhere, its first code runs."""

import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "api").glob("*.rst"))
TEXTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks_kth_mad").rglob("README.md"),
        *(ROOT / "tutorials").glob("*.ipynb"),
    ]
)


def public_names(module) -> set[str]:
    """What ``__all__`` says, or else what is defined there without an underscore."""
    if hasattr(module, "__all__"):
        return {name for name in module.__all__ if not name.startswith("_")}
    return {
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    }


def test_every_module_has_a_page():
    described = {re.search(r"automodule:: (\S+)", page.read_text())[1] for page in PAGES}
    package = ROOT / "captum_video"
    files = {file.stem for file in package.glob("*.py")} | {
        file.parent.name for file in package.glob("*/__init__.py")
    }
    inner = {"clips", "curves", "modes", "perturb"}  # what of them is public stands one floor up
    inner |= {"app"}  # a command, described in docs/first-picture.md
    public = {name for name in files - inner if not name.startswith("_")}
    assert described == {"captum_video"} | {f"captum_video.{name}" for name in public}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_lists_what_its_module_makes_public(page):
    text = page.read_text()
    listed = re.findall(r"^   (\w+)$", text, flags=re.MULTILINE)
    module = importlib.import_module(re.search(r"automodule:: (\S+)", text)[1])
    assert sorted(listed) == sorted(public_names(module))


def prose_of(page: Path) -> str:
    if page.suffix != ".ipynb":
        return page.read_text()
    cells = json.loads(page.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", prose_of(page), flags=re.DOTALL)
    for link in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)[^)]*\)", text):
        assert (page.parent / link).exists(), link


def test_the_first_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "index.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 1
    exec(blocks[0], {})
    assert (tmp_path / "filmstrip.png").stat().st_size > 10_000
