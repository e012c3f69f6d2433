"""A 3D-ResNet narrow enough to train on a CPU in a minute."""

import torch
from torch import Tensor, nn
from torchvision.models.video.resnet import BasicBlock, Conv3DNoTemporal, Conv3DSimple

WIDTHS = (16, 32, 64)


class SmallResNet3D(nn.Module):
    """Torchvision's 3-D basic blocks in three stages; its modules are named as those of ``r3d_18``.

    The last stage keeps a quarter of the frames and an eighth of rows and columns: a clip of
    16 x 48 x 64 ends in a map of 4 x 6 x 8, fine enough for Grad-CAM. Two things let it learn from a
    hundred clips. The kernels of the stem start with a zero sum over time, so that at first it
    sees only what moves. And each feature counts by its largest response, wherever it is: an
    actor fills a twentieth of the picture, and a mean over all of it would drown him.

    Args:
        n_classes: number of logits.
        channels: of the clips.
    """

    def __init__(self, n_classes: int, channels: int = 3) -> None:
        super().__init__()
        entrance = nn.Conv3d(channels, WIDTHS[0], kernel_size=5, stride=2, padding=2, bias=False)
        self.stem = nn.Sequential(entrance, nn.BatchNorm3d(WIDTHS[0]), nn.ReLU(inplace=True))
        self.layer1 = BasicBlock(WIDTHS[0], WIDTHS[0], Conv3DSimple)
        self.layer2 = _halving_block(WIDTHS[0], WIDTHS[1], Conv3DNoTemporal)
        self.layer3 = _halving_block(WIDTHS[1], WIDTHS[2], Conv3DSimple)
        self.pool = nn.AdaptiveMaxPool3d(1)
        self.fc = nn.Linear(WIDTHS[2], n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        with torch.no_grad():
            entrance.weight -= entrance.weight.mean(dim=2, keepdim=True)

    def forward(self, clips: Tensor) -> Tensor:
        """Class logits (N, classes) of normalised clips (N, C, T, H, W)."""
        maps = self.layer3(self.layer2(self.layer1(self.stem(clips))))
        return self.fc(self.pool(maps).flatten(1))


def _halving_block(
    width_in: int, width_out: int, convolution: type[Conv3DSimple | Conv3DNoTemporal]
) -> BasicBlock:
    """A block that halves rows and columns, and frames where its convolution spans time."""
    shortcut = nn.Sequential(
        nn.Conv3d(width_in, width_out, 1, stride=convolution.get_downsample_stride(2), bias=False),
        nn.BatchNorm3d(width_out),
    )
    return BasicBlock(width_in, width_out, convolution, stride=2, downsample=shortcut)
