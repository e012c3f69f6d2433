"""Whatever a text file holds, its reader gives something sound, or says in one line what is wrong.

A reader more is a row more in `READERS`.
"""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime
from functools import partial
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unicodedata import category
from unittest import mock

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks_kth_mad import experiments
from benchmarks_kth_mad.cli import main
from benchmarks_kth_mad.data import kth_index, mad_index
from benchmarks_kth_mad.data.limits import MOST_FRAMES
from benchmarks_kth_mad.declared import MOST
from benchmarks_kth_mad.errors import BenchmarkError, shown
from benchmarks_kth_mad.evaluation.conditions import differences
from benchmarks_kth_mad.evaluation.kept_maps import KeptMaps
from benchmarks_kth_mad.multispectral.config import StudyConfig, load_config
from benchmarks_kth_mad.multispectral.experiment import trainings_of
from benchmarks_kth_mad.runs import Manifest, Run, Source

MANY = 1  # how many times as many examples as usual; 20 for a long search


class Reader(NamedTuple):
    """A reader of one file: where the file lies, what it looks like, and what is true of all it gives.

    Args:
        file: below a folder that is made anew for every text.
        sound: contents of files that are read: texts, or what ``write`` makes texts of.
        read: reads the folder.
        check: asserts what is true of everything that is read.
        write: makes a text of a structure; None where ``sound`` are texts.
        odd: texts that a generator would hardly find.
        count: of examples.
    """

    file: str
    sound: list[Any]
    read: Callable[[Path], Any]
    check: Callable[[Any], None]
    write: Callable[[Any], str] | None = None
    odd: tuple[str | bytes, ...] = ()
    count: int = 70


def read_kth(folder: Path) -> list[kth_index.Record]:
    sequences = kth_index.read_sequences(folder / kth_index.SEQUENCE_FILE)
    found = []
    for split in (*kth_index.SPLITS, "all"):
        for split_by in ("person", "sequence"):
            if split in ("all", *sequences.persons) or split_by == "sequence":
                order = (sequences, folder, kth_index.ACTIONS[::-1], split, split_by)
                found += kth_index.index_records(*order)
    for video in sequences.videos:
        assert video.path(folder).resolve().parent == folder.resolve() / video.action
    return found


def check_kth(records: list[kth_index.Record]) -> None:
    for one in records:
        assert 0 <= one.first <= one.last < MOST_FRAMES
        assert one.label == kth_index.ACTIONS[::-1].index(one.action)
        assert one.name.startswith(f"person{one.person:02d}_{one.action}_d{one.scenario}_s")
        assert "/" not in one.name


def read_mad(folder: Path) -> list[tuple[Path, mad_index.Row]]:
    for name, count in (("IR/person01_a", 3), ("IR/b c", 1)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / mad_index.picture_name(number)).touch()
    names = mad_index.read_classes(folder)
    rows = mad_index.read_list(folder, "IR", "train", len(names))
    for row in rows:
        assert 1 <= row.frames <= MOST_FRAMES
        assert 0 <= row.label < len(names)
    classes, records = mad_index.index_records(folder, "IR", "train")
    assert classes == names
    return [(folder, row) for record in records for row in record.rows]


def check_mad(rows: list[tuple[Path, mad_index.Row]]) -> None:
    assert len({row.scene for _, row in rows}) == len(rows)
    for root, row in rows:
        assert row.path(root, row.frames - 1).resolve().is_relative_to(root.resolve())
        assert row.path(root, row.frames - 1).is_file()
        assert Path(row.scene).name == row.scene


def check_classes(names: tuple[str, ...]) -> None:
    assert len(set(names)) == len(names) > 0
    for name in names:
        assert name
        assert name == name.strip()
        assert not any(category(one) == "Cc" for one in name)


def check_values(value: Any) -> None:
    """Of a dataclass and all below: numbers are finite and no larger than a seed, words are text."""
    if is_dataclass(value):
        for one in fields(value):
            check_values(getattr(value, one.name))
            default = one.default
            if isinstance(default, int | str) and default is not None:
                wanted = (int, float) if isinstance(default, float) else type(default)
                assert isinstance(getattr(value, one.name), wanted)
    elif isinstance(value, dict):
        check_values([*value, *value.values()])
    elif isinstance(value, list | tuple):
        for one in value:
            check_values(one)
    else:
        assert value is None or isinstance(value, str | int | float | bool)
        assert not isinstance(value, int) or abs(value) <= MOST
        assert not isinstance(value, float) or isfinite(value)
        assert not isinstance(value, str) or value.encode()


def check_study(config: StudyConfig) -> None:
    check_values(config)
    trainings = trainings_of(config)
    assert len({one.file_name for one in trainings}) == len(trainings) > 0
    for training in trainings:
        plan = config.plan_of(training.network)
        assert plan.recipe.learning_rate > 0
        assert min(plan.recipe.epochs, plan.recipe.batch_size, plan.clip.frames) >= 1
    assert min(config.options().n_samples, config.render.persons - 2, config.maps.steps) >= 1


def check_manifest(manifest: Manifest) -> None:
    check_values(manifest)
    assert "\n" not in manifest.claim
    assert 0 <= manifest.accuracy <= 1
    with TemporaryDirectory() as folder:
        Run(folder).save_manifest(manifest)
        again = Run(folder).load_manifest()
        assert replace(again, versions=manifest.versions) == manifest


def check_kept(kept: KeptMaps) -> None:
    assert all(isinstance(name, str) for name in (*kept.names, *kept.methods))
    assert not any(map(kept.methods_of, kept.names))
    asked = json.loads(json.dumps(kept.conditions))
    assert differences(kept.conditions, asked) == [] or "NaN" in json.dumps(asked)
    assert differences(kept.conditions, {**asked, "clips": ["other"]})


ODD_YAML = (
    "a: &a [x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nd: &d [*c, *c, *c, *c]\nnetworks: [*d, *d]",
    "a: &a {x: 1}\nb: &b {<<: [*a, *a]}\nc: &c {<<: [*b, *b]}\nnetworks: {<<: [*c, *c]}",
    "networks: &a {r3d_small: *a}",
    "&a [*a]",
    "[" * 100_000,
    "{a: " * 5000,
    "- " * 5000,
    "? " * 5000,
    f"seed: {'9' * 5000}",
    f"seed: 0x{'f' * 3900}",
    f"seed: {':59' * 50_000}",
    "seed: 0x" + "f" * 100_000,
    "seed: 1e999",
    "seed: .nan",
    "seed: 2001-99-99",
    "seed: 2001-01-01T99:00:00",
    "seed: !!int ''",
    "seed: !!int x",
    "seed: !!float x",
    "seed: !!bool x",
    "seed: !!timestamp x",
    "seed: !!binary é",
    "seed: !!set {a, b}",
    "seed: !!omap [a: 1]",
    "seed: !!python/object/apply:os.getcwd []",
    "{[1]: 2}",
    "? {a: 1}\n: 2",
    "1: 2",
    "--- 1\n--- 2",
    "%YAML 9.9\n---\na",
    "\ta: 1",
    "a: 'b",
    '"\\uD800": 1',
    'compat: "\\uD800"',
    "\0",
    "seed: 0".encode("utf-16"),
    b"\xff",
)
ODD_JSON = (
    "[" * 100_000,
    '{"a":' * 100_000,
    "NaN",
    "-Infinity",
    "1e999",
    "9" * 5000,
    '"\\ud800"',
    "{}".encode("utf-16"),
    b"\xff",
)
ODD_ROWS = (
    "IR/person\0 3 0",
    "../IR 3 0",
    "/ 3 0",
    f"IR/{'x' * 300} 3 0",
    "IR/person01_a 999999999999 0",
    f"IR/person01_a {'9' * 5000} 0",
    f"IR/person01_a 3 {'9' * 5000}",
    f"IR/person{'9' * 5000} 3 0",
    f"IR/person{'9' * 20} 3 0",
)
ODD_SEQUENCES = (
    f"person{'9' * 5000}_boxing_d1 frames 1-2",
    f"person01_boxing_d1 frames 1-{'9' * 5000}",
    "person01_boxing_d1 frames 1-999999999999",
    f"Training: person{'9' * 5000}",
)
ODD_LINES = ("\0", "\ufeff", "\u2028", "\x1c", b"\xff\xfe", "9" * 5000, " " * 5000, "\r")

KTH = """Training: person11, 12
Validation: person01
Test:  person22

person11_boxing_d1\t\tframes\t1-95, 96-185
person01_walking_d4 frames 1-75
person22_running_d2 *missing*
"""
STUDY = {
    "seed": 0,
    "networks": {
        "r3d_small": {
            "clip": {"frames": 16, "height": 48, "width": 64, "channels": 1},
            "recipe": {"epochs": 30, "batch_size": 8, "learning_rate": 0.002},
            "weights": None,
        },
        "pan_lite_small": {
            "clip": {"frames": 32, "segments": 8},
            "settings": {"features": 32},
        },
    },
    "trained_on": ["IR", "TV"],
    "tested_on": ["IR"],
    "fusion": ["early"],
    "methods": ["gradcam", "random"],
    "metrics": ["insertion"],
    "maps": {"clips": 16, "samples": 200, "baseline": "blur", "unit": "voxel", "steps": 16},
    "render": {"persons": 36, "sequences": 1},
    "compat": "icpr2022",
}
SOURCES = (
    Source("somewhere", ("walking", "boxing"), "sequence", skip_missing=True),
    Source("elsewhere", ("a", "b", "c"), spectrum="IRTV"),
)


def manifests() -> list[Any]:
    """As they are written today."""
    found = []
    with TemporaryDirectory() as folder:
        for source in SOURCES:
            Run(folder).save_manifest(Manifest(source, "r3d_small", 3, 0.75, 8, (4, 7)))
            found.append(json.loads(Run(folder).manifest.read_text()))
    return found


READERS = {
    "sequences": Reader(
        kth_index.SEQUENCE_FILE, [KTH], read_kth, check_kth, odd=ODD_LINES + ODD_SEQUENCES
    ),
    "list": Reader(
        "file_lists/IR_train.txt",
        ["IR/person01_a 3 0\nIR/b c 1 7\n", "IR/./b c/ 1 1"],
        read_mad,
        check_mad,
        odd=ODD_LINES + ODD_ROWS,
    ),
    "classes": Reader(
        "classes.txt", ["walking\nrunning\n"], mad_index.read_classes, check_classes, odd=ODD_LINES
    ),
    "study": Reader(
        "study.yaml",
        [STUDY],
        lambda folder: load_config(str(folder / "study.yaml")),
        check_study,
        write=partial(yaml.safe_dump, allow_unicode=True),
        odd=ODD_YAML,
        count=40,
    ),
    "manifest": Reader(
        "run.json",
        manifests(),
        lambda folder: Run(folder).load_manifest(),
        check_manifest,
        write=partial(json.dumps, default=str),
        odd=ODD_JSON,
    ),
    "maps": Reader(
        "attributions/manifest.json",
        [{"conditions": {"clips": ["a", "b"], "methods": ["rise"], "options": {}}, "made": {}}],
        lambda folder: KeptMaps(Run(folder)),
        check_kept,
        write=partial(json.dumps, default=str),
        odd=ODD_JSON,
    ),
}

WORDS = (
    r"-1 0 1 999999999999 nan ٣ ² .. ../ / //etc ~ \ IR TV IR_TV frames 1- , person # : [ { null true "
    r"&a *a <<: !!int"
)
PIECES = st.one_of(
    st.sampled_from([*WORDS.split(), "\0", "\n", "\r", "\x85", " ", '"', "\ufeff", "9" * 5000]),
    st.text(max_size=4),
)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 40),
    st.sampled_from([2**32 - 1, 2**32, 2**64, 10**300, -(10**30), 0.0, -0.0, 1e-300, 1e300]),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["IR", "r3d_small", "icpr2022", "gradcam", "voxel", "cpu", "12", "\0", "a\nb"]),
    st.sampled_from([date(2001, 1, 1), datetime(2001, 1, 1)]),
)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def changed_texts(draw: st.DrawFn, sound: str) -> str:
    """A sound text with some of its pieces cut out, put elsewhere, or replaced."""
    text = sound
    for _ in range(draw(st.integers(1, 3))):
        first, last = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        last = min(last, first + draw(st.integers(0, 12)))
        put = draw(PIECES | st.just(text[first:last] * 2))
        text = text[:first] + put + text[last:]
    return text


@st.composite
def changed_trees(draw: st.DrawFn, sound: Any) -> Any:
    """A sound structure with some of its values or names replaced, left out or added."""
    tree = deepcopy(sound)
    for _ in range(draw(st.integers(1, 2))):
        place = tree
        while True:
            keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            deed = draw(st.sampled_from(["replace", "leave out", "rename", "add"]))
            if deed == "replace" or isinstance(place, list):
                place[key] = draw(ANYTHING)
            elif deed == "add":
                place[draw(st.text(max_size=4))] = draw(ANYTHING)
            else:
                value = place.pop(key)
                if deed == "rename":
                    place[draw(st.text(max_size=4) | st.sampled_from(sorted(STUDY)))] = value
            break
    return tree


def contents(reader: Reader) -> st.SearchStrategy[bytes]:
    """Files: of any bytes and texts, and such as are sound but for a few places."""
    texts = [
        st.text(max_size=60),
        *map(st.just, [one for one in reader.odd if isinstance(one, str)]),
    ]
    for sound in reader.sound:
        written = reader.write(sound) if reader.write else sound
        texts += [changed_texts(written)] * 2
        if reader.write:
            texts += [st.builds(reader.write, tree) for tree in [changed_trees(sound)] * 4]
            texts.append(st.builds(reader.write, ANYTHING))
        else:
            texts.append(
                st.lists(PIECES | st.sampled_from(sound.split()), max_size=9).map(" ".join)
            )
    encoded = st.one_of(texts).map(lambda text: text.encode("utf-8", "surrogatepass"))
    return st.one_of(encoded, encoded, encoded, st.binary(max_size=40))


def outcome(reader: Reader, content: bytes) -> str | None:
    """What the reader says of a file that it refuses; what it takes is sound."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / reader.file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        try:
            found = reader.read(Path(folder))
        except BenchmarkError as error:
            return str(error)
        reader.check(found)
        return None


@pytest.mark.parametrize("name", READERS)
def test_sound_files_are_read(name: str) -> None:
    reader = READERS[name]
    for sound in reader.sound:
        text = reader.write(sound) if reader.write else sound
        assert outcome(reader, text.encode()) is None


@pytest.mark.parametrize("name", READERS)
def test_odd_files(name: str) -> None:
    reader = READERS[name]
    for odd in reader.odd:
        said = outcome(reader, odd if isinstance(odd, bytes) else odd.encode())
        assert said is None or len(said) < 1000, shown(odd)


@pytest.mark.parametrize("name", READERS)
def test_any_file(name: str) -> None:
    reader = READERS[name]

    @settings(max_examples=MANY * reader.count)
    @given(content=contents(reader))
    def check(content: bytes) -> None:
        outcome(reader, content)

    check()


NAMES = st.sampled_from(
    ["seed", "maps", "maps.clips", "networks", "networks.r3d_small.clip.frames"]
)
CHANGES = st.one_of(
    st.builds("{}={}".format, NAMES, PLAIN | PIECES | st.sampled_from(ODD_YAML[:24])),
    st.builds("{}={}".format, st.text("abs.", min_size=1, max_size=6), PIECES),
    st.text(max_size=12).filter(lambda text: not text.startswith("-")),
)


@settings(max_examples=MANY * 30)
@given(changes=st.lists(CHANGES, min_size=1, max_size=3))
def test_changes_on_the_command_line(changes: list[str]) -> None:
    said, taken = io.StringIO(), []
    with (
        mock.patch.object(experiments, "multispectral", lambda config, *_: taken.append(config)),
        redirect_stderr(said),
        redirect_stdout(io.StringIO()),
    ):
        try:
            code: object = main(["multispectral", "--device", "cpu", "--set", *changes])
        except SystemExit as error:  # argparse leaves by itself
            code = error.code
    if code == 0:
        assert said.getvalue() == ""
        check_study(*taken)
    else:
        assert code == 2
        assert taken == []
        assert len(said.getvalue().splitlines()) == 1
        assert "error: " in said.getvalue()
