"""Frame-wise networks: an encoder for each frame, then a head over the sequence of features."""

from typing import Any

from torch import Tensor, nn

from captum_video.clips import Layout


class FrameWise(nn.Module):
    """A network that looks at one frame at a time, declared as such: ``head(encoder(frames))``.

    The declaration is what makes it cheap to explain: a perturbation that touches k of T frames
    costs k passes of the encoder, because the features of all other frames are known. Every method
    and metric of the package makes use of it; nothing else changes.

    Args:
        encoder: frames (M, C, H, W) to features (M, ...); each frame by itself. Methods check this on
            the first clip and refuse an encoder that mixes frames (temporal shift, for example).
        head: features (N, T, ...) and the additional forward arguments to outputs (N, ...).
        layout: how the inputs order their axes; methods are given the same one.

    Raises:
        TypeError: encoder or head is no module.

    Example:
        >>> import torch
        >>> class Head(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.lstm, self.fc = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 2)
        ...     def forward(self, features):
        ...         return self.fc(self.lstm(features)[0][:, -1])
        >>> encoder = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> model = FrameWise(encoder, Head())
        >>> model(torch.rand(2, 3, 10, 24, 32)).shape
        torch.Size([2, 2])
    """

    def __init__(
        self, encoder: nn.Module, head: nn.Module, layout: str | Layout = "n c t h w"
    ) -> None:
        super().__init__()
        for name, module in (("encoder", encoder), ("head", head)):
            if not isinstance(module, nn.Module):
                raise TypeError(f"{name}: expected a module, got {type(module).__name__}")
        self.encoder = encoder
        self.head = head
        self.layout = Layout.of(layout)

    def check_layout(self, layout: Layout) -> None:
        """Raise ValueError unless a method reads its inputs as the network does."""
        if layout.pattern != self.layout.pattern:
            raise ValueError(
                f"layout: the FrameWise network was declared with {self.layout!r}, the method "
                f"with {layout!r}"
            )

    def forward(self, inputs: Tensor, *arguments: Any) -> Tensor:
        """Outputs for clips in the declared layout."""
        clip = self.layout.to_clip(inputs)
        features = self.encoder(clip.transpose(1, 2).flatten(0, 1))
        return self.head(features.unflatten(0, (clip.shape[0], clip.shape[2])), *arguments)
