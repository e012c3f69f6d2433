"""Bad input ends in exit code 2 and one line that says what was expected and what came."""

import shutil
from collections.abc import Callable
from pathlib import Path

import av
import pytest
import torch

from benchmarks_kth_mad.data.kth_index import SEQUENCE_FILE

Refused = Callable[..., str]
FIRST = "walking/person01_walking_d1_uncomp.avi"
HELD_OUT = "walking/person03_walking_d1_uncomp.avi"


@pytest.fixture
def train_refused(refused: Refused, steps, tmp_path: Path) -> Refused:
    """Train on a set, with some options more."""

    def train(root: Path, *options: object, leaves: str = "") -> str:
        asked = ["train", "--root", root, "--run", tmp_path / "new", *steps["train"], *options]
        line = refused(*asked, leaves=leaves)
        assert [path.name for path in tmp_path.glob("new/*")] == ([leaves] if leaves else [])
        return line

    return train


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def empty_video(path: Path) -> None:
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "gray"
        container.start_encoding()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "no such video; fetch the data set, or leave out"),
        (lambda path: cut(path, 0.5), "frames, got"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "not a video that can be decoded"),
        (lambda path: path.write_text("just words"), "not a video that can be decoded"),
        (lambda path: path.write_bytes(b""), "not a video that can be decoded"),
        (empty_video, "holds no video frames"),
    ],
    ids=["missing", "truncated", "header", "text", "empty", "no-frames"],
)
@pytest.mark.parametrize("name", [FIRST, HELD_OUT])
def test_videos(
    train_refused: Refused, set_copy: Path, damage: Callable, message: str, name: str
) -> None:
    damage(set_copy / name)
    # what was learned before the test stays, to be tested when the video is mended
    there = (set_copy / name).exists()
    line = train_refused(set_copy, leaves="unfinished.ckpt" if there and name == HELD_OUT else "")
    assert f"{set_copy / name}: " in line
    assert message in line


def test_a_damaged_video_in_a_process_that_loads(train_refused: Refused, set_copy: Path) -> None:
    cut(set_copy / FIRST, 0.5)
    line = train_refused(set_copy, "--workers", 1)
    assert line.startswith(f"error: {set_copy / FIRST}: expected at least")


def test_a_damaged_video_after_training(refused: Refused, run_copy: Path, set_copy: Path) -> None:
    cut(set_copy / HELD_OUT, 0.2)
    line = refused("predict", "--run", run_copy, "--root", set_copy)
    assert f"{set_copy / HELD_OUT}: expected at least" in line


def test_a_video_shorter_than_its_sequences(train_refused: Refused, set_copy: Path) -> None:
    path = set_copy / SEQUENCE_FILE
    path.write_text(path.read_text().replace("frames\t1-24,", "frames\t1-9999,"))
    assert "expected at least 9999 frames, got 96" in train_refused(set_copy)


def test_a_sequence_line_that_can_not_be_read(train_refused: Refused, set_copy: Path) -> None:
    path = set_copy / SEQUENCE_FILE
    path.write_text(path.read_text().replace("frames\t1-", "frames\t1x", 1))
    line = train_refused(set_copy)
    assert f"{path}, line 6: expected a frame range such as 1-95, got '1x24'" in line


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00" * 50, b"words\n"])
def test_another_file_for_the_sequences(
    train_refused: Refused, set_copy: Path, content: bytes
) -> None:
    (set_copy / SEQUENCE_FILE).write_bytes(content)
    assert "no row such as 'person01_walking_d1 frames 1-75" in train_refused(set_copy)


@pytest.mark.parametrize("name", ["predict", "attribute"])
def test_another_split_of_the_training_set(
    refused: Callable[..., str], run_copy: Path, name: str
) -> None:
    line = refused(name, "--run", run_copy, "--split-by", "sequence")
    assert "its test clips would be some that it has learned" in line


def test_one_person_split_by_person(train_refused: Refused, one_person: Path) -> None:
    for options in ([], ["--skip-missing"]):
        line = train_refused(one_person, *options)
        assert "split test has no videos (its persons: 3)" in line
        assert "use --split-by sequence" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--root", "nowhere"], "nowhere/00sequences.txt: no such file"),
        (["--classes", "flying"], "class 'flying' is not in KTH; it has"),
        (["--classes", "walking"], "expected at least 2 classes, got 1"),
        (["--classes", "walking", "walking"], "expected different actions, got"),
        (["--classes", "walking", "boxing"], "split train has no sequence of boxing"),
        (["--split-by", "luck"], "invalid choice: 'luck' (choose from"),
        (["--nope"], "unrecognized arguments: --nope"),
        (["--seed", "x"], "expected a whole number from 0 to 4294967295, got 'x'"),
        (["--seed", "-1"], "expected a whole number from 0 to 4294967295, got '-1'"),
        (["--seed", str(2**70)], "expected a whole number from 0 to 4294967295, got '1180"),
        (["--model", "nope"], "invalid choice: 'nope' (choose from"),
        (["--weights", "nope"], "has no published weights, got 'nope'"),
        (
            ["--encoder", "resnet18"],
            "model r3d_small: setting 'encoder': expected one of normalization",
        ),
        (["--model", "cnn_lstm", "--encoder", "nope"], "encoder 'nope': expected one of small, "),
        (
            ["--model", "cnn_lstm", "--encoder", "squeezenet1_1", "--height", "8"],
            "model cnn_lstm: does not take frames of 8 x 32 (",
        ),
        (["--epochs", "0"], "epochs: expected at least 1, got 0"),
        (["--epochs", "many"], "invalid int value: 'many'"),
        (["--learning-rate", "nan"], "learning_rate: expected more than 0, got nan"),
        (["--learning-rate", "1e30"], "lower --learning-rate (1e+30)"),
        (["--weight-decay", "nan"], "weight_decay: expected at least 0, got nan"),
        (["--frames", "0"], "frames: expected a whole number of at least 1, got 0"),
        (["--channels", "2"], "channels: expected 1 or 3, got 2"),
        (["--device", "tpu"], "invalid choice: 'tpu' (choose from"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_of_train(
    train_refused: Refused, rendered: Path, options: list[str], message: str
) -> None:
    assert message in train_refused(rendered, *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["predict", "--classes", "walking"], "was trained on walking handwaving"),
        (["predict", "--classes", "handwaving", "walking"], "was trained on walking handwaving"),
        (["predict", "--root", "nowhere"], "nowhere/00sequences.txt: no such file"),
        (["predict", "--split", "dev"], "invalid choice: 'dev' (choose from"),
        (["predict", "--seed", "-1"], "expected a whole number from 0 to"),
        (["attribute", "--layer", "nope"], "layer 'nope' is not in the model; it has"),
        (["attribute", "--layer", "network.fc"], "expected layout 'n c t h w'"),
        (["attribute", "--clips", "0"], "--clips: expected a whole number from 1 to"),
        (["attribute", "--samples", "0"], "--samples: expected a whole number from 1 to"),
        (["attribute", "--samples", "1.5"], "got '1.5'"),
        (["attribute", "--methods", "nope"], "invalid choice: 'nope' (choose from"),
        (["attribute", "--methods"], "expected at least one argument"),
        (["attribute", "--baseline", "nope"], "invalid choice: 'nope' (choose from"),
        (["evaluate", "--steps", "0"], "--steps: expected a whole number from 1 to"),
        (["evaluate", "--metrics", "nope"], "invalid choice: 'nope' (choose from"),
        (["evaluate", "--unit", "nope"], "invalid choice: 'nope' (choose from"),
        (["report", "--pictures", "-1"], "--pictures: expected a whole number from 0 to"),
        (["report", "--seed", "x"], "--seed: expected a whole number from 0 to"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_of_later_commands(
    refused: Refused, run_copy: Path, options: list[str], message: str
) -> None:
    shutil.rmtree(run_copy / "attributions")  # or other options would be refused for them
    assert message in refused(*options, "--run", run_copy)


@pytest.mark.parametrize("command", ["train", "predict", "attribute", "evaluate"])
def test_a_device_that_is_not_there(
    refused: Refused, run_copy: Path, rendered: Path, command: str, monkeypatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    source = ["--root", rendered] if command == "train" else []
    line = refused(command, *source, "--run", run_copy, "--device", "cuda")
    assert "device cuda: this machine has none that torch can use; use cpu" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--persons", "2"], "persons: expected at least 3, got 2"),
        (["--actions", "flying"], "invalid choice: 'flying' (choose from"),
        (["--actions", "kicking"], "class 'kicking' is not in KTH; it has boxing"),
        (["--layout", "mad", "--actions", "jogging"], "action 'jogging': expected one of bending"),
        (["--layout", "mad", "--persons", "2"], "persons: expected at least 3, got 2"),
        (["--span", "0"], "render span: expected 1 to 24, the frames of a sequence, got 0"),
        (["--span", "9", "--sequence-frames", "8"], "render span: expected 1 to 8, the frames"),
        (["--span", "few"], "argument --span: invalid int value: 'few'"),
        (["--layout", "mad", "--span", "5"], "--span is for --layout kth"),
        (["--layout", "icpr"], "argument --layout: invalid choice: 'icpr'"),
        (["--seed", "-1"], "expected a whole number from 0 to"),
        ([], "exists and is not empty; choose another folder, or --overwrite"),
    ],
    ids=[
        "persons",
        "action",
        "kth",
        "mad",
        "mad-persons",
        "span",
        "span-long",
        "span-word",
        "mad-span",
        "layout",
        "seed",
        "not-empty",
    ],
)
def test_render(refused: Refused, set_copy: Path, options: list[str], message: str) -> None:
    root = set_copy if not options else set_copy.parent / "other"
    assert message in refused("render", "--root", root, *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--checkpoint", "nowhere.pth"], "nowhere.pth: no such checkpoint"),
        ([], "the following arguments are required: --checkpoint"),
        (["--frames", "0"], "frames: expected a whole number of at least 1, got 0"),
        (["--classes", "walking", "running"], "expected weights under the key 'state_dict'"),
        (["--mean", "x"], "invalid float value: 'x'"),
    ],
    ids=["missing", "unnamed", "frames", "ours", "mean"],
)
def test_import_study(
    refused: Refused, rendered: Path, run_copy: Path, options: list[str], message: str
) -> None:
    if options and "--checkpoint" not in options:
        options = ["--checkpoint", str(run_copy / "checkpoint.pt"), *options]
    line = refused("import-study", "--root", rendered, "--run", run_copy / "new", *options)
    assert message in line


@pytest.mark.parametrize("option", ["--steps", "--clips", "--samples", "--epochs", "--frames"])
def test_demo_refuses_numbers_before_it_begins(
    refused: Refused, tmp_path: Path, option: str
) -> None:
    assert "expected" in refused("demo", "--run", tmp_path / "run", option, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [["--frames", 3], ["--size", 0], ["--rounds", 0], ["--seed", "x"]]
)
def test_speed(refused: Refused, options: list[object]) -> None:
    assert "expected a whole number from" in refused("speed", *options)


def test_a_file_where_a_folder_goes(
    refused: Refused, rendered: Path, steps, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in ("file", "file/deeper"):
        line = refused("train", "--root", rendered, "--run", tmp_path / place, *steps["train"])
        assert f"{tmp_path / place}: no folder can be made there" in line
    line = refused("render", "--root", tmp_path / "file" / "set", "--persons", 3)
    assert f"{tmp_path / 'file'}: no folder can be made there" in line


@pytest.mark.parametrize(
    ("name", "needed_by", "made_by"),
    [
        ("run.json", ["predict", "attribute", "evaluate", "report"], "train"),
        ("checkpoint.pt", ["predict", "attribute", "evaluate"], "train"),
        ("attributions/manifest.json", ["evaluate", "report"], "attribute"),
        ("rows.parquet", ["report"], "evaluate"),
    ],
)
def test_files_of_a_run(
    refused: Refused, run_copy: Path, name: str, needed_by: list[str], made_by: str
) -> None:
    path = run_copy / name
    whole = path.read_bytes()
    other = "rows.parquet" if name == "checkpoint.pt" else "checkpoint.pt"
    foreign = [
        b"",
        b"words\nand words\n",
        whole[: len(whole) // 2],
        (run_copy / other).read_bytes(),
    ]
    for command in needed_by:
        path.unlink()
        assert f"{path}: no such file; run {made_by} first" in refused(command, "--run", run_copy)
        for content in foreign:
            path.write_bytes(content)
            line = refused(command, "--run", run_copy)
            assert f"{path}: not " in line
            assert f" {made_by}" in line


def test_maps_that_are_damaged(
    refused: Refused, run_copy: Path, command: Callable[..., str]
) -> None:
    part = run_copy / "attributions" / "part-0000.sqlite"
    whole = part.read_bytes()
    foreign = [b"", b"words\nand words\n", whole[: len(whole) // 2]]
    foreign.append((run_copy / "evaluation" / part.name).read_bytes())
    for content in foreign:
        part.write_bytes(content)
        for name in ("evaluate", "report"):
            line = refused(name, "--run", run_copy, *(["--steps", 5] * (name == "evaluate")))
            assert str(part.parent) in line
            assert "run attribute again with --fresh" in line
    command("attribute", "--run", run_copy, "--clips", 1, "--methods", "random", "--fresh")
    (run_copy / "evaluation").mkdir()
    (run_copy / "evaluation" / part.name).write_bytes(b"words and words" * 100)
    assert "run evaluate again with --fresh" in refused("evaluate", "--run", run_copy)
    command("evaluate", "--run", run_copy, "--steps", 2, "--fresh")


def test_maps_of_another_checkpoint(refused: Refused, run_copy: Path, rendered: Path) -> None:
    path = run_copy / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    for value in content["state"].values():
        value.zero_()
    torch.save(content, path)
    line = refused("evaluate", "--run", run_copy, "--steps", 5)
    assert f"{run_copy / 'attributions'}: not maps of {path}" in line
    line = refused("attribute", "--run", run_copy, "--clips", 4, "--samples", 60)
    assert "has results of other conditions: checkpoint" in line


def test_the_checkpoint_of_another_run(refused: Refused, run_copy: Path) -> None:
    path = run_copy / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    torch.save(content | {"classes": content["classes"][::-1]}, path)
    for command in ("predict", "attribute", "evaluate"):
        line = refused(command, "--run", run_copy)
        assert f"{path}: expected the model of {run_copy / 'run.json'}" in line
        assert "of classes walking, handwaving, got one of handwaving, walking" in line
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    assert f"{path}: not a checkpoint of this package" in refused("predict", "--run", run_copy)


def test_a_video_that_is_a_folder(train_refused: Refused, set_copy: Path) -> None:
    (set_copy / FIRST).unlink()
    shutil.copytree(set_copy / "handwaving", set_copy / FIRST)
    assert f"{set_copy / FIRST}: no such video" in train_refused(set_copy)
