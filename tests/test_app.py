"""``python -m captum_video`` as a user types it."""

import importlib
import io
import json
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from loopback import loopback
from PIL import Image
from torch import nn
from torchvision.models import (
    MobileNet_V2_Weights,
    VisionTransformer,
    get_model,
    get_model_weights,
)
from torchvision.models.video.swin_transformer import SwinTransformer3d

from captum_video import __version__
from captum_video.__main__ import main
from captum_video.app import command, outputs
from captum_video.app.errors import AppError
from captum_video.app.layers import layer_of, table_of
from captum_video.app.maps import METHODS, Question, map_of
from captum_video.app.network import Network
from captum_video.app.options import METHODS as OFFERED
from captum_video.app.targets import name_of, ranking, target_of
from captum_video.app.zoo import _layer_of_tokens, from_torchvision
from captum_video.attr import GradCAM3D
from captum_video.examples import mobilenet, mobilenet_weights, street_video
from captum_video.nn import FrameWise
from captum_video.reading import read_clip
from captum_video.visualization import save_mp4

REPOSITORY = Path(__file__).parents[1]
FACTORIES = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 6, 3, stride=(1, 2, 2), padding=1)
        self.head = nn.Linear(6, 4)

    def forward(self, clip):
        return self.head(self.conv(clip).relu().mean((2, 3, 4)))

def network():
    torch.manual_seed(3)
    return Net()

def raising():
    raise KeyError("no checkpoint\\nat all")

def of_one_size():
    return nn.Sequential(nn.Flatten(), nn.Linear(7, 2))

def of_frames():
    return nn.Conv3d(3, 2, 1)

def not_finite():
    return nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2), NaN())

class NaN(nn.Module):
    def forward(self, scores):
        return scores * torch.nan

class Holder:
    inner = Net()

number = 3
def of_a_number():
    return number
"""
SMALL = ["--frames", "6", "--rate", "6", "--size", "24"]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    moving = torch.full((3, 12, 32, 48), 0.3)
    for i in range(12):
        moving[0, i, 8:20, 3 * i : 3 * i + 12] = 1
    path = tmp_path_factory.mktemp("video") / "moving.mp4"
    save_mp4(path, moving, fps=12)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with the user's own networks, which the command is called in."""
    (tmp_path / "my_networks.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_networks", raising=False)
    yield tmp_path
    sys.modules.pop("my_networks", None)


@pytest.fixture
def refused(capsys):
    """Run the command, which refuses: what it says, in one line on stderr."""

    def run(*arguments):
        try:
            code = main([str(one) for one in arguments])
        except SystemExit as left:
            code = left.code
        said = capsys.readouterr().err
        assert code == 2
        assert said.startswith("captum_video: ")
        assert said.count("\n") == 1
        return said

    return run


def run(video, *options, model="my_networks:network"):
    assert main([str(video), "--model", model, *SMALL, *map(str, options)]) == 0


class Written(NamedTuple):
    folder: Path
    said: str
    warned: str
    network: nn.Module
    clip: torch.Tensor


@pytest.fixture(scope="module")
def written(video, tmp_path_factory):
    """What one run of two methods leaves, and what it was asked about."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "their_networks.py").write_text(FACTORIES)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            options = ["--method", "gradcam", "rise", "--masks", 8, "--seed", 1, "--gif"]
            run(video, *options, "--out", folder / "out", model="their_networks:network")
        network = importlib.import_module("their_networks").network()
    clip = read_clip(video, 6, frame_rate=6, size=24)
    return Written(folder / "out", out.getvalue(), err.getvalue(), network, clip)


def test_what_is_written_is_named(written):
    lines = written.said.splitlines()
    assert lines[-1] == f"open      {written.folder / 'filmstrip.png'}"
    named = {line.split()[1] for line in lines if line.startswith(("wrote", "open"))}
    assert named == {str(one) for one in written.folder.iterdir()}
    assert len(named) == 7


@pytest.mark.parametrize("method", ["gradcam", "rise"])
def test_what_is_written_can_be_looked_at(written, method):
    movie = read_clip(written.folder / f"{method}.mp4", 6)
    assert movie.shape == (1, 3, 6, 24 * 17, 36 * 17)
    with pytest.raises(ValueError, match=r"ends after 1\.00 s"):
        read_clip(written.folder / f"{method}.mp4", 7)
    assert Image.open(written.folder / f"{method}.gif").n_frames == 6
    assert Image.open(written.folder / "filmstrip.png").width > 800


def test_the_map_is_that_of_the_method_called_by_hand(written):
    found = np.load(written.folder / "gradcam.npz")
    scores = written.network(written.clip)[0]
    target = int(scores.argmax())
    expected = GradCAM3D(written.network, "conv").attribute(written.clip, target)
    np.testing.assert_array_equal(found["map"], expected[0, 0].numpy())
    assert found["map"].dtype == np.float32
    assert found["painted_from"] == 0
    np.testing.assert_allclose(found["times"], np.arange(6) / 6)
    np.testing.assert_allclose(found["score"], scores[target].item(), rtol=1e-6)
    np.testing.assert_allclose(found["probability"], scores.softmax(0)[target].item(), rtol=1e-6)
    assert (found["target"], found["target_name"]) == (target, f"class {target}")
    assert (found["network"], found["layer"]) == ("their_networks:network", "conv")
    assert (found["start"], found["frame_rate"]) == (0, 6)
    assert found["resized"].tolist() == [24, 36]
    assert found["window_of_frame"].tolist() == [0, 0, 24, 36]
    assert json.loads(str(found["options"]))["frames"] == 6
    assert json.loads(str(found["versions"])).keys() >= {"captum_video", "torch"}


@pytest.mark.filterwarnings("ignore:RISE3D. the regression explains nothing")
def test_the_same_seed_gives_the_same_map(written):
    found = np.load(written.folder / "rise.npz")

    def made(seed):
        question = Question(
            Network(written.network, ""), written.clip, int(found["target"]), n_masks=8, seed=seed
        )
        return map_of(METHODS["rise"], question).numpy()

    np.testing.assert_array_equal(found["map"], made(1))
    assert not np.array_equal(found["map"], made(2))
    np.testing.assert_allclose(found["painted_from"], found["map"].mean(), rtol=1e-5)


def test_every_key_of_the_file_is_in_the_help(written, capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out.partition("METHOD.npz     numpy")[2]
    keys = np.load(written.folder / "gradcam.npz").files
    assert [key for key in keys if key not in told] == []


def test_the_classes_are_ranked_and_the_highest_is_explained(written):
    shown = [line for line in written.said.splitlines() if line.endswith("<- explained")]
    assert len(shown) == 1
    order = [line.split()[2] for line in written.said.splitlines() if "%" in line]
    scores = written.network(written.clip)[0]
    assert order == [str(one) for one in scores.argsort(descending=True).tolist()]
    assert shown[0].split()[2] == order[0]


def test_warnings_come_in_one_line(written):
    """Of eight masks no fit explains anything, and RISE says so."""
    assert written.warned.startswith("captum_video: warning: RISE3D: the regression explains")
    assert written.warned.count("\n") == 1


def test_the_table_is_what_is_offered():
    assert list(METHODS) == list(OFFERED)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.filterwarnings("ignore:RISE3D. the regression explains nothing")
def test_every_method_suits_clips_of_any_size(name, here):
    sys.path.insert(0, str(here))
    import my_networks

    network = Network(my_networks.network().eval(), "toy")
    for extent in ((1, 5, 4), (5, 9, 13)):
        question = Question(network, torch.rand(1, 3, *extent), 1, n_masks=8)
        found = map_of(METHODS[name], question)
        assert found.shape == extent
        assert found.dtype == torch.float32
        assert found.isfinite().all()
        assert not found.requires_grad


def test_layers_are_listed_and_nothing_is_written(video, here, capsys):
    run(video, "--list-layers")
    assert "conv  6 maps  (6, 12, 18)  <- taken by default" in capsys.readouterr().out
    assert [one.name for one in here.iterdir() if one.is_dir() and one.name != "__pycache__"] == []


def test_a_module_is_as_good_as_a_factory(video, here):
    run(video, model="my_networks:Holder.inner")
    assert Path("captum_video_out/filmstrip.png").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "r3d_81"], r"--model r3d_81: not known; .* try r3d_18"),
        (["--model", "fcos_resnet50_fpn"], "does not classify in floating point"),
        (["--model", "quantized_resnet18"], "does not classify .* try resnet18"),
        (["--model", "nowhere:network"], "importing nowhere raised ModuleNotFoundError"),
        (["--model", "my_networks:absent"], "my_networks has no 'absent'"),
        (["--model", "my_networks:number"], "expected a function .* got int"),
        (["--model", "my_networks:of_a_number"], r"return a torch.nn.Module, got int"),
        (["--model", "my_networks:raising"], r"raised KeyError: 'no checkpoint\\nat all'; --trace"),
        (["--model", "my_networks:of_one_size"], r"can not read a clip of \(1, 3, 6, 24, 36\)"),
        (["--model", "my_networks:of_frames"], r"expected scores .* got \(1, 2, 6, 24, 36\)"),
        (["--model", "my_networks:not_finite"], "scores of this clip are not finite"),
        (["--weights", "none"], "--weights: for torchvision's networks"),
        (["--model", "alexnet", "--weights", "f.pt"], "no such file, .* there are IMAGENET1K_V1"),
        (["--model", "alexnet", "--weights", "my_networks.py"], "not a file of weights alone"),
        (["--target", "4"], "--target 4: the network's classes are 0 to 3"),
        (["--target", "cab"], "--target cab: the names .* are not known"),
        (["--layer", "head"], "--layer head: has no map over frames and pixels"),
        (["--device", "abacus"], "--device abacus: "),
        (["--window", "9x4x4", "--method", "occlusion"], "--method occlusion: ValueError: "),
        (["--window", "4x4"], "--window: expected frames, height and width"),
        (["--size", "0"], "--size: expected whole numbers above 0"),
        (["--size", "1x2x3"], "--size: expected pixels N or HxW"),
        (["--size", "8", "--whole-frame"], "not allowed with argument"),
        (["--frames", "60"], r"moving.mp4: ends after 1.00 s; .* \(see --frames"),
        (["--frames", "0"], "--frames: expected whole numbers above 0"),
        (["--start", "-1"], "--start: expected a number from 0 on"),
        (["--rate", "0"], "--rate: expected a number above 0"),
        (["--rate", "60", "--gif"], "--gif: shows at most 50 frames a second"),
        (["--opacity", "1.5"], "--opacity: expected a number from 0 to 1"),
        (["--method", "magic"], "--method: invalid choice: 'magic'"),
        (["--out", "my_networks.py"], "--out my_networks.py: is a file; name a folder"),
        (["--example"], "--example: brings its own video"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(video, here, refused, options, message):
    given = ["--model", "my_networks:network", *SMALL, *options]
    if "--whole-frame" in options:
        given = ["--model", "my_networks:network", *options]
    assert re.search(message, refused(video, *given))


def test_what_is_missing_is_said_in_one_line(video, here, refused, monkeypatch):
    assert "VIDEO: name a video file" in refused("--model", "r3d_18")
    assert "--model: name a network" in refused(video)
    assert "none.mp4: no such video" in refused("none.mp4", "--model", "r3d_18")
    own = ["--model", "my_networks:network"]
    assert "my_networks.py: not a video" in refused("my_networks.py", *own)
    monkeypatch.setitem(sys.modules, "av", None)
    assert "pip install captum-video[video]" in refused(video, *own)


def test_a_traceback_is_shown_on_demand(video, here):
    with pytest.raises(AppError) as error:
        main([str(video), "--model", "my_networks:raising", "--traceback"])
    assert isinstance(error.value.__cause__, KeyError)


def test_ctrl_c(video, here, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "map_of", interrupted)
    assert main([str(video), "--model", "my_networks:network", *SMALL]) == 130
    assert capsys.readouterr().err == "captum_video: interrupted\n"


def test_files_appear_complete_or_not_at_all(video, here, monkeypatch, refused):
    def full(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs.np, "savez_compressed", full)
    assert "No space left" in refused(video, "--model", "my_networks:network", *SMALL)
    assert list(Path("captum_video_out").iterdir()) == []


def test_nothing_that_speaks_for_the_class_is_said(video, here, monkeypatch, capsys):
    monkeypatch.setattr(command, "map_of", lambda method, question: torch.zeros(6, 24, 36))
    run(video)
    assert "gradcam: nothing speaks for this class" in capsys.readouterr().err


def test_torchvisions_file_is_torchvisions_network():
    found = from_torchvision("mobilenet_v2", str(mobilenet_weights()))
    clip = torch.rand(1, 3, 2, 64, 80)
    with torch.inference_mode():
        assert torch.equal(found.module(clip), mobilenet()(clip))
    assert found.categories[468] == "cab"
    assert "IMAGENET1K_V1 from mobilenet_v2-b0353104.pth" in found.description
    assert "run on every frame, scores averaged" in found.description
    assert found.warning is None


def test_a_file_of_ones_own_weights(tmp_path):
    trained = get_model("shufflenet_v2_x0_5", num_classes=3).eval()
    torch.save(trained.state_dict(), tmp_path / "mine.pt")
    found = from_torchvision("shufflenet_v2_x0_5", str(tmp_path / "mine.pt"))
    assert found.categories == ()
    assert "weights of mine.pt, frames prepared as for IMAGENET1K_V1" in found.description
    for name, one in found.module.encoder[1].state_dict().items():
        assert torch.equal(one, trained.state_dict()[name])
    with pytest.raises(AppError, match=r"mine.pt: not weights of squeezenet1_1 \(Error"):
        from_torchvision("squeezenet1_1", str(tmp_path / "mine.pt"))
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "checkpoint.pt")
    with pytest.raises(AppError, match="expected a state dict"):
        from_torchvision("shufflenet_v2_x0_5", str(tmp_path / "checkpoint.pt"))
    torch.save(nn.Linear(1, 1), tmp_path / "pickled.pt")
    with pytest.raises(AppError, match="not a file of weights alone"):
        from_torchvision("shufflenet_v2_x0_5", str(tmp_path / "pickled.pt"))


def test_a_video_network_normalizes_the_channels():
    found = from_torchvision("s3d", "none")
    preset = get_model_weights("s3d")["DEFAULT"].transforms()
    mean, std = (torch.tensor(one).view(3, 1, 1, 1) for one in (preset.mean, preset.std))
    clip = torch.rand(2, 3, 3, 5, 6)
    torch.testing.assert_close(found.module[0](clip), (clip - mean) / std)
    assert found.expected == ((256, 256), (224, 224), 128, 15.0)
    assert "random numbers" in found.warning
    assert not found.module.training


def test_frames_are_prepared_as_by_the_preset(here, capsys):
    """What the network sees of a frame is what torchvision's own transforms make of it."""
    seen = []
    network = from_torchvision("mobilenet_v2", str(mobilenet_weights()))
    network.module.encoder[1].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    clip = command.clip_of(street_video(), _options(frames=1, start=2.9), network.expected)
    network.module(clip.pixels)
    frame = read_clip(street_video(), 1, start=2.9)[0, :, 0]
    expected = MobileNet_V2_Weights.IMAGENET1K_V1.transforms()(frame)
    assert seen[0].shape == (1, 3, 224, 224)
    assert (seen[0][0] - expected).abs().mean() < 0.02


def _options(**given):
    from captum_video.app.options import build_parser

    options = build_parser().parse_args(["video"])
    for name, value in given.items():
        setattr(options, name, value)
    return options


@pytest.mark.parametrize(
    ("given", "resized", "window"),
    [
        ({}, (256, 602), (16, 189, 224, 224)),
        ({"whole_frame": True}, (224, 527), (0, 0, 224, 527)),
        ({"size": 50}, (50, 118), (0, 0, 50, 118)),
        ({"size": (40, 60)}, (40, 60), (0, 0, 40, 60)),
    ],
)
def test_geometry(given, resized, window):
    from captum_video.app.network import Expected

    clip = command.clip_of(street_video(), _options(frames=1, **given), Expected(256, (224, 224)))
    assert clip.resized == resized
    assert clip.place == window
    assert clip.pixels.shape[3:] == window[2:]


def test_short_videos_are_read_as_fast_as_needed(video):
    from captum_video.app.network import Expected

    for frames, rate in ((4, 8), (10, 10), (12, 12)):
        clip = command.clip_of(video, _options(frames=frames), Expected())
        assert clip.frame_rate == pytest.approx(rate)
    assert command.clip_of(video, _options(frames=3), Expected(frame_rate=9.0)).frame_rate == 9


def test_weights_that_can_not_be_downloaded(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = get_model_weights("shufflenet_v2_x0_5")["DEFAULT"]
    with loopback() as server:
        server.serve({"damaged-0badcafe.pth": b"not the weights"})
        for name, why in (("absent.pth", "HTTPError"), ("damaged-0badcafe.pth", "invalid hash")):
            monkeypatch.setattr(weights.value, "url", f"{server.url}/{name}")
            with pytest.raises(
                AppError, match=rf"{name} can not be downloaded .*{why}.*--weights F"
            ):
                from_torchvision("shufflenet_v2_x0_5", "DEFAULT")


CATEGORIES = ["Cab", "cable car", "crane", "crane"]


@pytest.mark.parametrize(("asked", "expected"), [(None, 2), ("3", 3), ("cab", 0), ("CABLE CAR", 1)])
def test_target(asked, expected):
    assert target_of(asked, torch.tensor([0.0, 1.0, 3.0, 2.0]), CATEGORIES) == expected


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("4", "classes are 0 to 3"),
        ("-1", "classes are 0 to 3"),
        ("crane", "several classes are called so: 2, 3"),
        ("ca", "near it: Cab, cable car"),
        ("cabel car", "near it: cable car"),
        ("zzz", "give an index"),
    ],
)
def test_no_such_target(asked, message):
    with pytest.raises(AppError, match=message):
        target_of(asked, torch.zeros(4), CATEGORIES)


def test_ranking_shows_what_is_explained():
    lines = ranking(torch.tensor([9.0, 8, 7, 6, 5, 4, 3]), 6, ())
    assert len(lines) == 6
    assert [line.endswith("<- explained") for line in lines] == [False] * 5 + [True]
    assert name_of(6, ()) == "class 6"
    assert lines[0].split()[0] == "63.3%"


def test_tokens_of_pictures_reach_the_score():
    """The score of a ViT is read off its class token: tokens that leave the last block are lost."""
    vit = VisionTransformer(32, 8, 2, 2, 16, 16, num_classes=5)
    nn.init.normal_(vit.heads.head.weight)
    model = FrameWise(nn.Sequential(nn.Identity(), vit)).eval()
    network = Network(model, "small", layer=_layer_of_tokens("vit_small", vit))
    clip = torch.rand(1, 3, 2, 32, 32)
    found = map_of(METHODS["gradcam"], Question(network, clip, 3))
    assert found.shape == (2, 32, 32)
    assert found[0].std() > 0
    assert table_of(network, clip)[-1].endswith("<- taken by default")
    assert layer_of(network, clip, "encoder.1.conv_proj").name == "encoder.1.conv_proj"


def test_tokens_of_videos_are_read_in_their_order():
    swin = SwinTransformer3d([2, 4, 4], 8, [1, 1], [1, 1], [2, 2, 2], num_classes=5)
    network = nn.Sequential(nn.Identity(), swin).eval()
    known = _layer_of_tokens("swin3d_small", swin)
    clip = torch.rand(1, 3, 4, 32, 48)
    kept = []
    swin.norm.register_forward_hook(lambda *given: kept.append(given[2]))
    network(clip)
    assert known.layout.to_clip(kept[0]).shape == (1, 16, 2, 4, 6)
    found = map_of(METHODS["gradcam"], Question(Network(network, "small", layer=known), clip, 3))
    assert found.std() > 0


def test_the_example(tmp_path, capsys):
    small = ["--size", "96", "--frames", "4", "--rate", "2", "--start", "1.4"]
    assert main(["--example", "--out", str(tmp_path / "out"), *small]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "cab" in next(line for line in said.out.splitlines() if "explained" in line)
    found = np.load(tmp_path / "out" / "gradcam.npz")
    assert found["map"].shape == (4, 96, 226)
    assert found["times"].tolist() == [1.4, 1.9, 2.4, 2.9]
    assert (found["target"], found["target_name"]) == (468, "cab")
    assert found["layer"] == "encoder.1.features"


def test_the_module_runs():
    found = subprocess.run(
        [sys.executable, "-m", "captum_video", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert found.stdout.startswith(f"captum_video {__version__}, captum ")
    assert found.stderr == ""


def test_help_and_version_do_not_wait_for_torch():
    code = (
        "import sys, captum_video.__main__ as m\n"
        "for one in ('--help', '--version'):\n"
        "    try: m.main([one])\n"
        "    except SystemExit as left: assert left.code == 0\n"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert found.stdout.splitlines()[-1] == "False"
    assert "--example" in found.stdout
