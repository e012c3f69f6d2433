"""The encoder of a frame-wise network, and the features of frames that are known."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from captum_video._captum import forward
from captum_video.perturb._job import is_out_of_memory


class FrameEncoder:
    """Runs an encoder on frames (M, C, H, W) of each input.

    The second time, it checks that the encoder keeps the M frames apart.

    Raises:
        ValueError: the features of a frame depend on the frames around it.
    """

    def __init__(self, encoder: nn.Module) -> None:
        self._module = encoder
        self._witness: tuple[list[Tensor], Tensor] | None = None
        self._first_size = 0
        self._checked = False
        convolves = any(isinstance(module, nn.Conv2d) for module in encoder.modules())
        self._format = torch.channels_last if convolves else torch.contiguous_format

    def room_for(self, frames: int, clip: Tensor) -> Tensor:
        """An empty buffer of so many frames of a clip (N, C, T, H, W), as the encoder reads it."""
        shape = (frames, clip.shape[1], *clip.shape[3:])
        return torch.empty(shape, dtype=clip.dtype, device=clip.device, memory_format=self._format)

    def __call__(self, *frames: Tensor) -> Tensor:
        """Features (M, ...)."""
        if self._witness is None:
            features = self._run(*frames)
            count = len(features)
            if count > 1:
                seen = [one[count // 2].detach().clone() for one in frames]
                self._witness = seen, features[count // 2].detach()
                self._first_size = count
            return features
        if self._checked:
            return self._run(*frames)
        self._checked = True
        return self._checking(frames, *self._witness)

    def _run(self, *frames: Tensor) -> Tensor:
        read = tuple(one.contiguous(memory_format=self._format) for one in frames)
        features = forward(self._module, read, None)
        if features.ndim == 0 or len(features) != len(frames[0]):
            raise ValueError(
                f"encoder {self._name}: expected one row for each of {len(frames[0])} frames, got "
                f"shape {tuple(features.shape)}"
            )
        return features

    def _checking(self, frames: tuple[Tensor, ...], seen: list[Tensor], expected: Tensor) -> Tensor:
        """Features; a frame seen before, now among these, must give what it gave then."""
        pairs = list(zip(frames, seen, strict=True))
        try:
            features = self._run(*(torch.cat([one, frame[None]]) for one, frame in pairs))
        except RuntimeError as error:
            if is_out_of_memory(error):
                self._checked = False
                raise
            # is it the number of frames?
            self._run(*(frame.expand(self._first_size, *frame.shape) for frame in seen))
            raise ValueError(
                f"{self._complaint}: it does not take {len(frames[0]) + 1} frames ({error})"
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
        frames: (T, C, H, W) of each input; views that repeat one frame are encoded once.
        encoder: what encodes.
        most: frames in one pass.
    """

    def __init__(self, frames: Sequence[Tensor], encoder: FrameEncoder, most: int) -> None:
        count, device = len(frames[0]), frames[0].device
        repeated = all(one.stride(0) == 0 for one in frames)
        self._place = torch.arange(count, device=device) * (not repeated)
        self._frames, self._encoder, self._most = frames, encoder, most
        self._known = torch.zeros(count, dtype=torch.bool, device=device)
        self._features: Tensor | None = None

    def all(self) -> Tensor:
        """Features of every frame: (T, ...)."""
        return self.at(torch.arange(len(self._place), device=self._place.device))

    def at(self, frames: Tensor) -> Tensor:
        """Features of these frames (K,), as (K, ...)."""
        place = self._place[frames]
        missing = place[~self._known[place]].unique()
        for part in missing.split(self._most):
            found = self._encoder(*(one[part] for one in self._frames))
            if self._features is None:
                self._features = found.new_empty((len(self._place), *found.shape[1:]))
            self._features[part] = found
            self._known[part] = True
        if self._features is None:
            raise IndexError("no frame asked for")
        return self._features[place]
