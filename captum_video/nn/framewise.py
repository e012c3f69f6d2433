"""Frame-wise networks: an encoder for each frame, then a head over the sequence of features."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from captum_video.clips import Layout


class FrameWise(nn.Module):
    """A network that looks at one frame at a time, declared as such: ``head(encoder(frames))``.

    The declaration is what makes it cheap to explain: a perturbation that touches k of T frames
    costs k passes of the encoder, because the features of all other frames are known. Every method
    and metric of the package makes use of it; nothing else changes.

    Of several inputs (visible and infrared), the encoder sees the frames of one moment together. All
    have as many frames; a moment is encoded again unless a perturbation leaves all inputs as they
    are there, or hides all of them.

    Args:
        encoder: frames (M, C, H, W), of each input, to features (M, ...); each moment by itself.
            Methods check this on the first clip and refuse an encoder that mixes frames (temporal
            shift, for example).
        head: features (N, T, ...) and the additional forward arguments to outputs (N, ...). By
            default their mean over frames, so that a network for pictures judges a clip by the
            average of its scores.
        layout: how the inputs order their axes; methods are given the same one.
        n_inputs: how many of the network's leading arguments are clips; what follows goes to the
            head.

    Raises:
        TypeError: encoder or head is no module.
        ValueError: fewer than one input.

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
        self,
        encoder: nn.Module,
        head: nn.Module | None = None,
        layout: str | Layout = "n c t h w",
        n_inputs: int = 1,
    ) -> None:
        super().__init__()
        if not isinstance(n_inputs, int) or n_inputs < 1:
            raise ValueError(f"n_inputs: expected at least 1, got {n_inputs!r}")
        head = _MeanOverFrames() if head is None else head
        for name, module in (("encoder", encoder), ("head", head)):
            if not isinstance(module, nn.Module):
                raise TypeError(f"{name}: expected a module, got {type(module).__name__}")
        self.encoder = encoder
        self.head = head
        self.layout = Layout.of(layout)
        self.n_inputs = n_inputs

    def check_layout(self, layout: Layout) -> None:
        """Raise ValueError unless a method reads its inputs as the network does."""
        if layout.pattern != self.layout.pattern:
            raise ValueError(
                f"layout: the FrameWise network was declared with {self.layout!r}, the method "
                f"with {layout!r}"
            )

    def check_clips(self, clips: Sequence[Tensor]) -> None:
        """Raise ValueError unless these are as many clips (N, C, T, H, W) as declared, and of one length."""
        if len(clips) != self.n_inputs:
            raise ValueError(
                f"inputs: the FrameWise network was declared with n_inputs={self.n_inputs}, got "
                f"{len(clips)}"
            )
        lengths = [clip.shape[2] for clip in clips]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"inputs: a FrameWise network encodes all inputs of a moment together, so expected "
                f"as many frames in each, got {lengths}"
            )

    def forward(self, inputs: Tensor, *more: Any) -> Tensor:
        """Outputs for clips in the declared layout: ``n_inputs`` of them, then the head's arguments."""
        given, arguments = (inputs, *more)[: self.n_inputs], more[self.n_inputs - 1 :]
        clips = [self.layout.to_clip(one) for one in given]
        self.check_clips(clips)
        features = self.encoder(*(clip.transpose(1, 2).flatten(0, 1) for clip in clips))
        shape = (clips[0].shape[0], clips[0].shape[2])
        return self.head(features.unflatten(0, shape), *arguments)


class _MeanOverFrames(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features.mean(dim=1)
