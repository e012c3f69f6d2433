"""What the notebooks show is what they gave, in order; that they run at all, nbmake tests."""

import ast
import json
import re
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

FOLDER = Path(__file__).parents[1] / "tutorials"
PATHS = sorted(FOLDER.glob("*.ipynb"))
A_PLACE = re.compile(r"(?<![\w.])/(?:home|mnt|opt|root|srv|tmp|usr|Users|var|work|workspace)\b")
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef

each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def test_there_are_notebooks():
    assert PATHS


@each
def test_it_asks_one_question(path):
    first = cells(path)[0]
    title = text(first["source"]).splitlines()[0]
    assert first["cell_type"] == "markdown"
    assert re.fullmatch(r"# [^#].*\?", title), title


@each
def test_it_was_run_from_top_to_bottom_without_a_complaint(path):
    code = code_of(path)
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert outputs
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]


@each
def test_it_opens_on_any_machine(path):
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"
    assert path.stat().st_size < 1_500_000
    assert not A_PLACE.search("\n".join(all_text(path)))


@each
def test_it_installs_nothing(path):
    shell = [line for line in source_lines(path) if re.match(r"\s*[!%].*\b(pip|conda)\b", line)]
    assert not shell


@each
def test_what_belongs_in_the_package_is_not_defined_here(path):
    magic_free = [TransformerManager().transform_cell(text(one["source"])) for one in code_of(path)]
    for node in ast.parse("\n".join(magic_free)).body:
        for inner in ast.walk(node):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base) for base in node.bases]
                assert any(base.endswith("Module") for base in bases), node.name
            else:
                assert not isinstance(inner, FUNCTIONS | ast.ClassDef), inner.name


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text())["cells"]


def code_of(path: Path) -> list[dict]:
    return [cell for cell in cells(path) if cell["cell_type"] == "code"]


def text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def source_lines(path: Path) -> list[str]:
    return [line for cell in code_of(path) for line in text(cell["source"]).splitlines()]


def all_text(path: Path) -> list[str]:
    """Sources of all cells, and what code wrote as words; not the pixels of pictures."""
    found = [text(cell["source"]) for cell in cells(path)]
    for cell in code_of(path):
        for output in cell["outputs"]:
            found.append(text(output.get("text", "")))
            found += [
                text(data)
                for kind, data in output.get("data", {}).items()
                if kind.startswith("text/") or kind.endswith(("json", "xml"))
            ]
    return found
