"""What stands beside the code is true: CONTRIBUTING, CITATION and CHANGELOG."""

import datetime
import re
from pathlib import Path

import pytest
import test_contracts
import test_layering
import yaml

import captum_video.attr
import captum_video.metrics
from benchmarks_kth_mad import methods
from benchmarks_kth_mad.cards import classes
from benchmarks_kth_mad.evaluation import measuring
from benchmarks_kth_mad.planning import passes
from captum_video import __version__

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
NAMES_A_FILE = re.compile(r"[\w./-]+(?:/|\.(?:py|md|txt|cfg|cff))")
TABLES = {
    "tests/test_contracts.py": (test_contracts, ["METHODS", "METRICS"]),
    "benchmarks_kth_mad/methods/__init__.py": (
        methods,
        ["METHODS", "DRAWN", "NO_NATURAL_ZERO", "NEEDS"],
    ),
    "benchmarks_kth_mad/methods/options.py": (methods.options, ["Method"]),
    "benchmarks_kth_mad/planning/passes.py": (passes, ["COSTS"]),
    "benchmarks_kth_mad/cards/classes.py": (classes, ["METHODS_OF", "PAGE_OF"]),
    "benchmarks_kth_mad/evaluation/measuring.py": (measuring, ["METRICS"]),
}


def quoted(text: str) -> list[str]:
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


def test_contributing_names_files_that_exist():
    named = [one for one in quoted(CONTRIBUTING) if NAMES_A_FILE.fullmatch(one)]
    assert len(named) > 20
    for one in named:
        places = [ROOT / one, ROOT / "benchmarks_kth_mad" / "methods" / one]
        assert "NAME" in one or any(place.exists() for place in places), one


def test_contributing_runs_what_can_be_run():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = set(re.findall(r"(?:^|`)make (\w+)", CONTRIBUTING, re.MULTILINE))
    assert {"check", "test", "demo", "dist"} <= asked <= targets
    for line in re.findall(r"-m pytest ([^#\n]+)", CONTRIBUTING):
        assert all((ROOT / path).is_file() for path in line.split())


def test_contributing_knows_every_room():
    house = re.search(r"^captum_video/\n((?:  .*\n)+)", CONTRIBUTING, re.MULTILINE)
    floors = [set(re.split(r" {3,}", line)[0].split()) for line in house[1].splitlines()]
    expected = [{room.split(".")[1] for room in floor} for floor in test_layering.FLOORS]
    assert floors == expected[::-1]


@pytest.mark.parametrize("file", TABLES)
def test_contributing_names_tables_where_they_are(file):
    module, names = TABLES[file]
    assert f"`{file}`" in CONTRIBUTING
    for name in names:
        assert f"`{name}`" in CONTRIBUTING
        assert hasattr(module, name), f"{file}: {name}"


def test_citation_has_what_its_form_requires():
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert CITATION["license"] == "BSD-3-Clause"
    assert CITATION["title"] == "captum_video"
    assert CITATION["version"] == __version__
    assert CITATION["message"]
    assert CITATION["authors"] == [{"name": "The captum_video developers"}]
    assert isinstance(CITATION["date-released"], datetime.date)


@pytest.mark.parametrize("reference", CITATION["references"], ids=lambda one: one["title"])
def test_references_are_whole_and_of_papers_that_the_code_names(reference):
    assert set(reference) <= {
        *("type", "title", "authors", "year", "collection-title", "journal", "doi", "url")
    }
    assert reference["type"] in ("article", "conference-paper")
    assert all(set(one) <= {"given-names", "family-names"} for one in reference["authors"])
    assert reference["authors"]
    named = reference["url"].rpartition("/")[2]
    if "arxiv.org/abs" in reference["url"]:
        files = [*(ROOT / "captum_video").rglob("*.py")]
        assert any(f"arXiv {named}" in " ".join(f.read_text().split()) for f in files), named
    else:
        assert reference["url"] in (ROOT / "docs/benchmark.md").read_text()


def test_changelog_begins_with_this_version():
    versions = re.findall(r"^## \[([^\]]+)\] - (\S+)$", CHANGELOG, re.MULTILINE)
    assert versions[0] == (__version__, str(CITATION["date-released"]))


@pytest.mark.parametrize("module", [captum_video.attr, captum_video.metrics])
def test_changelog_names_what_there_is(module):
    known = set(module.__all__)
    section = CHANGELOG.split(f"(`{module.__name__}`)\n")[1].split("\n####")[0]
    named = {one for one in quoted(section) if one.isidentifier()}
    functions = {name.lower() for name in named}  # insertion beside Insertion
    assert known <= named | functions | given_back(module)
    assert {one for one in named if one[0].isupper()} <= known


def given_back(module) -> set[str]:
    """Classes that only hold what methods give back, and what only serves others."""
    return {
        *("Beaten", "DropAndIncrease", "ExtremalMasks", "FlowAgreement", "JoinedClips"),
        *("LayerCandidate", "ModalityScore", "ParameterRandomization", "PrecisionRecall"),
        *("RISEEstimate", "Reliability", "join_clips", "layer_candidates", "min_max"),
    } & set(module.__all__)
