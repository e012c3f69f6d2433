"""Small models with known answers."""

import torch
from einops import rearrange
from torch import Tensor, nn

from captum_video.nn import FrameWise


class Linear3D(nn.Module):
    """Scores sum(weights_k * clip): every method's answer is known in closed form."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)  # (K, C, T, H, W)

    def forward(self, clip: Tensor) -> Tensor:
        return torch.einsum("ncthw,kcthw->nk", clip, self.weights.to(clip))


class TinyNet3D(nn.Module):
    """Convolutions, batch norm, dropout and in-place ReLUs: what real networks bring along."""

    def __init__(self, channels: int = 2, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(channels, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(inplace=True)
        )
        self.body = nn.Sequential(
            nn.Conv3d(4, 6, 3, stride=(1, 2, 2), padding=1),
            nn.BatchNorm3d(6),
            nn.ReLU(inplace=True),
        )
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(6, classes)

    def forward(self, clip: Tensor, gain: Tensor | None = None) -> Tensor:
        features = self.body(self.stem(clip)).mean((2, 3, 4))
        scores = self.head(self.dropout(features))
        return scores if gain is None else scores * gain[:, None]


class TwoStreams(nn.Module):
    """Visible and infrared, each with a network of its own; scores are added."""

    def __init__(self) -> None:
        super().__init__()
        self.visible = TinyNet3D(channels=2)
        self.infrared = TinyNet3D(channels=1)

    def forward(self, visible: Tensor, infrared: Tensor, gain: Tensor | None = None) -> Tensor:
        return self.visible(visible, gain) + self.infrared(infrared, gain)


class Swapped(nn.Module):
    """A network of two inputs that wants them the other way round."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, second: Tensor, first: Tensor) -> Tensor:
        return self.network(first, second)


class Relaid(nn.Module):
    """A network that wants its clips in another layout."""

    def __init__(self, network: nn.Module, pattern: str, **sizes: int) -> None:
        super().__init__()
        self.network, self.pattern, self.sizes = network, pattern, sizes

    def forward(self, inputs: Tensor, *args: Tensor) -> Tensor:
        clip = rearrange(inputs, f"{self.pattern} -> n c t h w", **self.sizes)
        return self.network(clip, *args)


class FrameNet(nn.Module):
    """A 2-D network on frames folded into the batch; its 3-D twin has kernels of one frame."""

    def __init__(self, folded: bool, channels: int = 2, classes: int = 3) -> None:
        super().__init__()
        self.folded = folded
        generator = torch.Generator().manual_seed(5)
        kernel = torch.randn(5, channels, 3, 3, generator=generator)
        self.conv = (
            nn.Conv2d(channels, 5, 3, padding=1)
            if folded
            else nn.Conv3d(channels, 5, (1, 3, 3), padding=(0, 1, 1))
        )
        self.conv.weight.data.copy_(kernel if folded else kernel[:, :, None])
        self.conv.bias.data.zero_()
        self.head = nn.Parameter(torch.randn(5, classes, generator=generator))

    def forward(self, clip: Tensor) -> Tensor:
        n = len(clip)
        if self.folded:
            maps = self.conv(rearrange(clip, "n c t h w -> (n t) c h w")).relu().square()
            maps = rearrange(maps, "(n t) c h w -> n c t h w", n=n)
        else:
            maps = self.conv(clip).relu().square()
        return maps.mean((2, 3, 4)) @ self.head


class LoopedFrameNet(FrameNet):
    """The same, one call of the convolution per frame."""

    def __init__(self) -> None:
        super().__init__(folded=True)

    def forward(self, clip: Tensor) -> Tensor:
        maps = torch.stack([self.conv(frame).relu().square() for frame in clip.unbind(2)], dim=2)
        return maps.mean((2, 3, 4)) @ self.head


class FailsAfter(nn.Module):
    """Works for so many calls, then raises in the middle of its forward pass."""

    def __init__(self, network: nn.Module, calls: int) -> None:
        super().__init__()
        self.network, self.calls = network, calls

    def forward(self, *inputs: Tensor) -> Tensor:
        scores = self.network(*inputs)
        self.calls -= 1
        if self.calls < 0:
            raise RuntimeError("planned failure")
        return scores


class LimitedMemory(nn.Module):
    """Runs out of memory on batches above a limit, and notes every batch it was given."""

    def __init__(self, network: nn.Module, limit: int) -> None:
        super().__init__()
        self.network, self.limit, self.batches = network, limit, []

    def forward(self, clip: Tensor) -> Tensor:
        self.batches.append(len(clip))
        if len(clip) > self.limit:
            raise torch.OutOfMemoryError("planned")
        return self.network(clip)


class FrameEncoder(nn.Module):
    """Features of single frames; counts the frames that it was given."""

    def __init__(self, channels: int = 2, features: int = 5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.norm.running_mean.uniform_(-0.2, 0.2)
        self.fc = nn.Linear(6, features)
        self.frames = 0

    def forward(self, frames: Tensor) -> Tensor:
        self.frames += len(frames)
        return self.fc(self.norm(self.conv(frames)).relu().square().mean((2, 3)))


class PairEncoder(nn.Module):
    """Features of a visible and an infrared frame of the same moment, which are not just added."""

    def __init__(self, features: int = 5) -> None:
        super().__init__()
        self.visible, self.infrared = FrameEncoder(2, features), FrameEncoder(1, features)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return 5 * self.visible(visible) * (0.1 + self.infrared(infrared))

    @property
    def frames(self) -> int:
        """How many moments it was given."""
        return self.visible.frames


class RecurrentHead(nn.Module):
    """An LSTM over features of frames, and a linear layer on its last state."""

    def __init__(self, features: int = 5, classes: int = 3) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, 7, num_layers=2, dropout=0.5, batch_first=True)
        self.fc = nn.Linear(7, classes)

    def forward(self, features: Tensor, gain: Tensor | None = None) -> Tensor:
        scores = 4 * self.fc(self.lstm(4 * features)[0][:, -1])
        return scores if gain is None else scores * gain[:, None]


def frame_wise(layout: str = "n c t h w", channels: int = 2) -> FrameWise:
    """A declared CNN-LSTM."""
    return FrameWise(FrameEncoder(channels), RecurrentHead(), layout)


def frame_wise_pair(layout: str = "n c t h w") -> FrameWise:
    """A declared CNN-LSTM of two inputs."""
    return FrameWise(PairEncoder(), RecurrentHead(), layout, n_inputs=2)


def undeclared(model: FrameWise):
    """The same network as a plain function."""
    return lambda *inputs: model(*inputs)
