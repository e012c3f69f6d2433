"""The encoder of a frame-wise network, and the features of frames that are known."""

import torch
from torch import Tensor, nn

from captum_video._captum import forward
from captum_video.perturb._job import is_out_of_memory


class FrameEncoder:
    """Runs an encoder on frames (M, C, H, W); the second time, checks that it keeps them apart.

    Raises:
        ValueError: the features of a frame depend on the frames around it.
    """

    def __init__(self, encoder: nn.Module) -> None:
        self._module = encoder
        self._witness: tuple[Tensor, Tensor] | None = None
        self._first_size = 0
        self._checked = False
        convolves = any(isinstance(module, nn.Conv2d) for module in encoder.modules())
        self._format = torch.channels_last if convolves else torch.contiguous_format

    def room_for(self, frames: int, clip: Tensor) -> Tensor:
        """An empty buffer of so many frames of a clip (N, C, T, H, W), as the encoder reads it."""
        shape = (frames, clip.shape[1], *clip.shape[3:])
        return torch.empty(shape, dtype=clip.dtype, device=clip.device, memory_format=self._format)

    def __call__(self, frames: Tensor) -> Tensor:
        """Features (M, ...)."""
        if self._witness is None:
            features = self._run(frames)
            if len(frames) > 1:
                middle = len(frames) // 2
                self._witness = frames[middle].detach().clone(), features[middle].detach()
                self._first_size = len(frames)
            return features
        if self._checked:
            return self._run(frames)
        self._checked = True
        return self._checking(frames, *self._witness)

    def _run(self, frames: Tensor) -> Tensor:
        features = forward(self._module, (frames.contiguous(memory_format=self._format),), None)
        if features.ndim == 0 or len(features) != len(frames):
            raise ValueError(
                f"encoder {self._name}: expected one row for each of {len(frames)} frames, got "
                f"shape {tuple(features.shape)}"
            )
        return features

    def _checking(self, frames: Tensor, frame: Tensor, expected: Tensor) -> Tensor:
        """Features; a frame seen before, now among these, must give what it gave then."""
        try:
            features = self._run(torch.cat([frames, frame[None]]))
        except RuntimeError as error:
            if is_out_of_memory(error):
                self._checked = False
                raise
            self._run(frame.expand(self._first_size, *frame.shape))  # is it the number of frames?
            raise ValueError(
                f"{self._complaint}: it does not take {len(frames) + 1} frames ({error})"
            ) from error
        size, apart = expected.abs().max(), (features[-1].detach() - expected).abs().max()
        if not apart <= max(1e-3, 8 * torch.finfo(features.dtype).eps) * size:
            raise ValueError(
                f"{self._complaint}: features of a frame change by {float(apart):.2g} (of "
                f"{float(size):.2g}) with the frames around it"
            )
        return features[:-1]

    @property
    def _name(self) -> str:
        return type(self._module).__name__

    @property
    def _complaint(self) -> str:
        return (
            f"encoder {self._name} does not encode each frame by itself, so the network is not "
            f"FrameWise; pass it undeclared"
        )


class KnownFeatures:
    """Features of the frames of one clip, each encoded when first asked for.

    Args:
        frames: (T, C, H, W); a view that repeats one frame is encoded once.
        encoder: what encodes.
        most: frames in one pass.
    """

    def __init__(self, frames: Tensor, encoder: FrameEncoder, most: int) -> None:
        repeated = frames.stride(0) == 0
        self._place = torch.arange(len(frames), device=frames.device) * (not repeated)
        self._frames, self._encoder, self._most = frames, encoder, most
        self._known = torch.zeros(len(frames), dtype=torch.bool, device=frames.device)
        self._features: Tensor | None = None

    def all(self) -> Tensor:
        """Features of every frame: (T, ...)."""
        return self.at(torch.arange(len(self._frames), device=self._frames.device))

    def at(self, frames: Tensor) -> Tensor:
        """Features of these frames (K,), as (K, ...)."""
        place = self._place[frames]
        missing = place[~self._known[place]].unique()
        for part in missing.split(self._most):
            found = self._encoder(self._frames[part])
            if self._features is None:
                self._features = found.new_empty((len(self._frames), *found.shape[1:]))
            self._features[part] = found
            self._known[part] = True
        if self._features is None:
            raise IndexError("no frame asked for")
        return self._features[place]
