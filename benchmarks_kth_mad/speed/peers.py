"""The same work done by others, where their packages are installed."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from captum.attr import FeatureAblation, LayerGradCam, Occlusion
from torch import Tensor

from benchmarks_kth_mad.speed.clock import Work
from benchmarks_kth_mad.speed.subject import BATCHED, SINGLE, Subject
from benchmarks_kth_mad.speed.works import windows_of

PACKAGES = {"pytorch_grad_cam": "grad-cam", "torchcam": "torchcam", "quantus": "quantus"}
"""What is looked for beside Captum: name of the module, and of the package."""
Run = Callable[[], object]


def peer_works(subject: Subject) -> dict[str, Work]:
    """Occlusion, Grad-CAM and deletion of others, by name, on a network that takes one 3-D clip.

    Where a package is not installed its works are not there.
    """
    if len(subject.clips) > 1 or subject.layer.activation_layout != "n c t h w":
        return {}
    works = {
        name: subject.counted(run, BATCHED)
        for name, run in (_captum_occlusions(subject) | _deletions(subject)).items()
    }
    return works | {name: subject.counted(run, SINGLE) for name, run in _gradcams(subject).items()}


def missing() -> list[str]:
    """Packages that are not installed."""
    return [name for module, name in PACKAGES.items() if find_spec(module) is None]


def _captum_occlusions(subject: Subject) -> dict[str, Run]:
    clip, model = subject.clips[0], subject.model
    window = (clip.shape[1], *windows_of(clip))

    def occlusion(per_eval: int) -> Tensor:
        with torch.no_grad():
            return Occlusion(model).attribute(
                clip, window, window, target=0, perturbations_per_eval=per_eval
            )

    def ablation(per_eval: int) -> Tensor:
        with torch.no_grad():
            return FeatureAblation(model).attribute(
                clip, target=0, feature_mask=_tiles(clip), perturbations_per_eval=per_eval
            )

    return {
        "Captum Occlusion, 1 per pass": lambda: occlusion(1),
        "Captum Occlusion, 8 per pass": lambda: occlusion(8),
        "Captum FeatureAblation, 8 per pass": lambda: ablation(8),
    }


def _tiles(clip: Tensor) -> Tensor:
    """The windows of a clip, numbered: (1, 1, T, H, W)."""
    places = torch.meshgrid(
        *(
            torch.arange(length, device=clip.device) // size
            for length, size in zip(clip.shape[2:], windows_of(clip), strict=True)
        ),
        indexing="ij",
    )
    labels = (places[0] * clip.shape[3] + places[1]) * clip.shape[4] + places[2]
    return labels.unique(return_inverse=True)[1][None, None]


def _gradcams(subject: Subject) -> dict[str, Run]:
    model, clip = subject.model, subject.clips[0]
    runs: dict[str, Run] = {
        "Captum LayerGradCam": lambda: LayerGradCam(model, subject.module).attribute(clip, 0)
    }
    if find_spec("pytorch_grad_cam"):
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        def grad_cam() -> object:
            with GradCAM(model, [subject.module]) as cam:
                return cam(clip, [ClassifierOutputTarget(0)])

        runs["grad-cam GradCAM"] = grad_cam
    if find_spec("torchcam"):
        from torchcam.methods import GradCAM as TorchCAM

        def torch_cam() -> object:
            with TorchCAM(model, subject.layer.name, input_shape=tuple(clip.shape[1:])) as cam:
                return cam(0, model(clip))

        runs["torchcam GradCAM"] = torch_cam
    return runs


def _deletions(subject: Subject) -> dict[str, Run]:
    """Quantus' deletion takes steps that divide the voxels of a channel."""
    clip = subject.clips[0]
    step = clip[0, 0].numel() // 4
    if not find_spec("quantus") or clip[0, 0].numel() % 4:
        return {}
    from quantus import PixelFlipping

    flipping = PixelFlipping(features_in_step=step, normalise=False, disable_warnings=True)
    maps = np.random.default_rng(0).random(tuple(clip.shape), dtype=np.float32)

    def flip() -> object:
        return flipping(
            model=subject.model,
            x_batch=clip.cpu().numpy(),
            y_batch=np.array([0]),
            a_batch=maps,
            channel_first=True,
            device=clip.device.type,
        )

    return {"quantus PixelFlipping": flip}
