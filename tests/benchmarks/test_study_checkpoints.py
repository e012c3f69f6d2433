"""Study B's checkpoints give study B's logits, whatever version of its code wrote them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet34

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models import (
    foreign_states,
    load_checkpoint,
    load_study_checkpoint,
    save_checkpoint,
)

CLASSES = ("walking", "running")
CLIP = ClipShape(frames=4, height=40, width=32, channels=3)
MEAN = torch.tensor([114.7748, 107.7354, 99.475])
F, H, LAYERS, WIDE, ATTENTION, HOPS = 6, 5, 2, 7, 4, 3


class StudyNet(nn.Module):
    """The study's network by its description: frame by frame, clips (N, T, C, H, W)."""

    def __init__(self, attention: bool) -> None:
        super().__init__()
        self.resnet = resnet18()
        self.resnet.fc = nn.Sequential(nn.Linear(512, F))
        self.lstm = nn.LSTM(F, H, LAYERS)
        self.fc1, self.fc2 = nn.Linear(H, WIDE), nn.Linear(WIDE, len(CLASSES))
        if attention:
            self.linear_first, self.linear_second = (
                nn.Linear(F, ATTENTION),
                nn.Linear(ATTENTION, HOPS),
            )

    def forward(self, clips: Tensor, attend: bool) -> Tensor:
        states, past = None, []
        for frame in clips.unbind(1):
            step = self.resnet(frame)
            past.append(step)
            if attend:
                seen = torch.stack(past)  # t + 1, N, F
                scores = self.linear_second(torch.tanh(self.linear_first(seen))).softmax(0)
                step = torch.einsum("tnr,tnf->nf", scores, seen) / HOPS
            out, states = self.lstm(step[None], states)
        return self.fc2(self.fc1(out[-1]).relu())


def renamed(state: dict[str, Tensor], version: str) -> dict[str, Tensor]:
    """The keys of the study's versions."""
    prefixes = {
        "plain": {},
        "wrapped": {"lstm.": "lstm.lstm.", "fc": "fc_layers.fc"},
        "inside": {"lstm.": "lstm.lstm.", "fc": "fc_layers.fc", "linear_": "lstm.linear_"},
        "parallel": {"": "module."},
    }[version]

    def rename(key: str) -> str:
        found = next((old for old in prefixes if key.startswith(old)), "")
        return prefixes.get(found, "") + key.removeprefix(found)

    return {rename(key): value for key, value in state.items()}


def study_net(attention: bool) -> StudyNet:
    torch.manual_seed(3)
    network = StudyNet(attention)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.fixture(scope="module")
def plain() -> StudyNet:
    return study_net(attention=False)


@pytest.fixture(scope="module")
def attentive() -> StudyNet:
    return study_net(attention=True)


def write(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save({"epoch": 50, "state_dict": state, "optimizer_state_dict": {}}, path)
    return path


@pytest.mark.parametrize("version", ["plain", "wrapped", "parallel"])
def test_plain_logits(plain: StudyNet, tmp_path: Path, version: str) -> None:
    path = write(tmp_path / "b.pth", renamed(plain.state_dict(), version))
    random = torch.random.get_rng_state()
    loaded = load_study_checkpoint(path, CLASSES, CLIP)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert (loaded.name, loaded.classes, loaded.clip) == ("cnn_lstm", CLASSES, CLIP)
    assert not loaded.model.training
    clips = torch.rand(2, 3, 4, 40, 32)
    with torch.no_grad():
        wanted = plain(clips.transpose(1, 2) - MEAN[:, None, None], attend=False)
        torch.testing.assert_close(loaded.model(clips), wanted)
        assert (wanted[0] - wanted[1]).abs().max() > 1e-6  # the clips do make a difference


@pytest.mark.parametrize("version", ["plain", "wrapped", "inside"])
@pytest.mark.parametrize("attend", [True, False])
def test_attention_logits(attentive: StudyNet, tmp_path: Path, version: str, attend: bool) -> None:
    path = write(tmp_path / "b.pth", renamed(attentive.state_dict(), version))
    ours = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}
    loaded = load_study_checkpoint(path, CLASSES, CLIP, **ours, attention=attend)
    assert loaded.name == ("cnn_lstm_attention" if attend else "cnn_lstm")
    clips = torch.rand(2, 3, 4, 40, 32)
    mean, std = (torch.tensor(ours[name])[:, None, None] for name in ("mean", "std"))
    with torch.no_grad():
        wanted = attentive((clips.transpose(1, 2) - mean) / std, attend)
        other = attentive((clips.transpose(1, 2) - mean) / std, not attend)
        torch.testing.assert_close(loaded.model(clips), wanted)
        assert not torch.allclose(wanted, other)


def test_it_becomes_a_checkpoint_of_ours(attentive: StudyNet, tmp_path: Path) -> None:
    path = write(tmp_path / "b.pth", attentive.state_dict())
    loaded = load_study_checkpoint(path, CLASSES, CLIP, std=(2.0, 3.0, 4.0))
    save_checkpoint(tmp_path / "ours.pt", loaded)
    again = load_checkpoint(tmp_path / "ours.pt")
    sizes = {"features": F, "hidden": H, "layers": LAYERS, "wide": WIDE}
    sizes |= {"attention_size": ATTENTION, "hops": HOPS, "encoder": "resnet18"}
    assert sizes.items() <= again.model.settings.items()
    clips = torch.rand(1, 3, 4, 40, 32)
    with torch.no_grad():
        assert torch.equal(again.model(clips), loaded.model(clips))


def test_the_encoder_is_recognised(plain: StudyNet, tmp_path: Path) -> None:
    state = {k: v for k, v in plain.state_dict().items() if not k.startswith("resnet.")}
    deeper = resnet34()
    deeper.fc = nn.Sequential(nn.Linear(512, F))
    state |= {f"resnet.{key}": value for key, value in deeper.state_dict().items()}
    loaded = load_study_checkpoint(write(tmp_path / "b.pth", state), CLASSES, CLIP)
    assert loaded.model.settings["encoder"] == "resnet34"


Damage = Callable[[dict[str, Tensor]], object]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda s: s.update({"fc1.weight": torch.zeros(WIDE, 9)}),
            r"expected fc1\.weight \(7, 5\), got \(7, 9\)",
        ),
        (
            lambda s: s.update({"lstm.weight_ih_l0": torch.zeros(4 * H, 8)}),
            r"expected lstm\.weight_ih_l0 \(20, 6\), got \(20, 8\)",
        ),
        (
            lambda s: s.update({"lstm.weight_hh_l1": torch.zeros(40, 10)}),
            r"expected lstm\.weight_hh_l1 \(20, 5\), got \(40, 10\)",
        ),
        (lambda s: s.pop("fc2.bias"), r"expected fc2\.bias \(2,\), got absent"),
        (lambda s: s.pop("fc1.weight"), r"expected fc1\.weight of two axes, got absent"),
        (lambda s: s.pop("lstm.bias_hh_l1"), r"expected lstm\.bias_hh_l1 \(20,\), got absent"),
        (
            lambda s: s.pop("resnet.layer1.0.conv1.weight"),
            r"expected resnet\.layer1\.0\.conv1\.weight \(64, 64, 3, 3\), got absent",
        ),
        (
            lambda s: s.update({"resnet.fc.0.weight": torch.zeros(3)}),
            r"expected resnet\.fc\.0\.weight of two axes, got \(3,\)",
        ),
        (
            lambda s: [s.pop(key) for key in list(s) if key.startswith("resnet.layer4.1")],
            r"expected resnet\.\* of one of resnet18, .*, got \(2, 2, 2, 1\) blocks",
        ),
        (lambda s: s.update(gate=torch.zeros(3)), r"expected gate absent, got \(3,\)"),
        (
            lambda s: s.update({"linear_first.weight": torch.zeros(4, F)}),
            r"expected linear_second\.weight of two axes, got absent",
        ),
        (
            lambda s: s.update({"fc_layers.fc1.bias": torch.zeros(WIDE)}),
            r"has both fc1\.bias and fc_layers\.fc1\.bias",
        ),
        (lambda s: s.update(epoch=3), "expected weights under the key 'state_dict'"),
    ],
)
def test_weights_that_do_not_fit(
    plain: StudyNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Damage, message: str
) -> None:
    state = dict(plain.state_dict())
    damage(state)
    path = tmp_path / "b.pth"
    monkeypatch.setattr(foreign_states, "read_file", lambda _: {"state_dict": state})
    with pytest.raises(BenchmarkError, match=message) as caught:
        load_study_checkpoint(path, CLASSES, CLIP)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": (*CLASSES, "boxing")}, r"expected fc2\.bias \(3,\), got \(2,\)"),
        ({"clip": ClipShape(channels=1), "mean": [0.0], "std": [1.0]}, r"conv1\.weight \(64, 1, "),
        ({"mean": (0.5,)}, r"mean: expected 3 finite numbers, got \[0\.5\]"),
        ({"std": (1, 1, float("nan"))}, r"std: expected 3 finite numbers, got \[1, 1, nan\]"),
        ({"std": (1, 1, 0)}, r"std: expected numbers above 0, got \[1, 1, 0\]"),
    ],
)
def test_what_the_file_does_not_tell(
    plain: StudyNet, monkeypatch: pytest.MonkeyPatch, arguments: dict, message: str
) -> None:
    content = {"state_dict": plain.state_dict()}
    monkeypatch.setattr(foreign_states, "read_file", lambda _: content)
    with pytest.raises(BenchmarkError, match=message):
        load_study_checkpoint("b.pth", **{"classes": CLASSES, "clip": CLIP, **arguments})


def test_another_file(tmp_path: Path) -> None:
    path = tmp_path / "b.pth"
    with pytest.raises(BenchmarkError, match=r"b\.pth: no such checkpoint"):
        load_study_checkpoint(path, CLASSES)
    torch.save(torch.zeros(3), path)
    with pytest.raises(BenchmarkError, match=r"b\.pth: expected weights under the key"):
        load_study_checkpoint(path, CLASSES)
    torch.save({"state_dict": study_net(attention=False)}, path)  # a pickled module would run code
    with pytest.raises(BenchmarkError, match=r"b\.pth: not a checkpoint that can be read"):
        load_study_checkpoint(path, CLASSES)
