"""What results depend on is kept, compared, and named where it differs."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation.conditions import (
    Conditions,
    checksum,
    differences,
    made_by,
    software,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_what_is_asked_again_agrees(
    tmp_path_factory: pytest.TempPathFactory, conditions: dict
) -> None:
    one = Conditions(tmp_path_factory.mktemp("run"), "attribute")
    one.agree_or_keep(conditions, made_by("cpu", 1))
    before = one.path.read_bytes()
    one.agree_or_keep(conditions, made_by("cpu", 2))
    assert one.path.read_bytes() == before
    assert one.load() == json.loads(json.dumps(conditions))


@given(st.dictionaries(st.text(), JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4))
def test_differences_are_named_exactly_where_there_are_some(there: dict, asked: dict) -> None:
    same = {**dict.fromkeys(asked), **there} == {**dict.fromkeys(there), **asked}
    found = differences(there, asked)
    assert differences(there, there) == []
    if not found:  # a name that is absent is as one that is nothing
        return
    assert not same
    assert all(" there, " in text and text.endswith(" asked for") for text in found)


def test_names_within_names_are_named() -> None:
    there = {"played": {"unit": "voxel", "steps": 5}, "device": "cpu", "old": 1}
    asked = {"played": {"unit": "voxel", "steps": 6}, "device": "cpu", "clips": ["a"] * 99}
    assert differences(there, asked) == [
        "played steps 5 there, 6 asked for",
        "old 1 there, nothing asked for",
        f"clips nothing there, {json.dumps(['a'] * 99)[:57]}... asked for",
    ]


def test_another_device_is_another_condition(tmp_path: Path) -> None:
    one = Conditions(tmp_path, "evaluate")
    one.agree_or_keep({"device": "cpu", "versions": software()}, {})
    with pytest.raises(
        BenchmarkError, match='device "cpu" there, "cuda" asked for; ask for the sa'
    ):
        one.agree_or_keep({"device": "cuda", "versions": software()}, {})
    newer = software() | {"torch": "99.0"}
    with pytest.raises(BenchmarkError, match=r"versions torch .*99\.0"):
        one.agree_or_keep({"device": "cpu", "versions": newer}, {})


def test_checksums_follow_content_and_names_but_not_order_or_place(tmp_path: Path) -> None:
    for root in ("one", "two"):
        (tmp_path / root).mkdir()
        for name in ("a", "b"):
            (tmp_path / root / name).write_text(f"{name} holds this")

    def of(root: str, *names: str) -> str:
        return checksum([tmp_path / root / name for name in names], tmp_path / root)

    whole = of("one", "a", "b")
    assert whole == of("two", "b", "a", "b")
    assert whole != of("one", "a")
    (tmp_path / "two" / "b").rename(tmp_path / "two" / "c")
    assert whole != of("two", "a", "c")
    (tmp_path / "one" / "b").write_text("b holds that")
    assert whole != of("one", "a", "b")
    assert of("one", "absent") != of("one", "a")
