"""The encoder of a frame-wise network, and the features of frames that are known."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from captum_video._captum import forward
from captum_video.perturb._job import is_out_of_memory


class FrameEncoder:
    """Runs an encoder on frames (M, C, H, W) of each input.

    The second time, it checks that the encoder keeps the M frames apart: a frame of the first time
    goes along, and has to be given the same features among others.

    Args:
        encoder: the module.
        length: frames of a clip, the number that the network is known to take.

    Raises:
        ValueError: the features of a frame depend on the frames around it.
    """

    def __init__(self, encoder: nn.Module, length: int) -> None:
        self._module, self._length = encoder, length
        self._witness: tuple[list[Tensor], Tensor] | None = None
        self.is_checked = False
        convolves = any(isinstance(module, nn.Conv2d) for module in encoder.modules())
        self._format = torch.channels_last if convolves else torch.contiguous_format

    def room_for(self, frames: int, clip: Tensor) -> Tensor:
        """An empty buffer of so many frames of a clip (N, C, T, H, W), as the encoder reads it."""
        shape = (frames, clip.shape[1], *clip.shape[3:])
        return torch.empty(shape, dtype=clip.dtype, device=clip.device, memory_format=self._format)

    def __call__(self, *frames: Tensor) -> Tensor:
        """Features (M, ...)."""
        if self.is_checked:
            return self._run(*frames)
        if self._witness is not None:
            features = self._checking(frames, *self._witness)
            self.is_checked = True
            return features
        features = self._run_unchecked(*frames)
        count = len(features)
        if count > 1:
            seen = [one[count // 2].detach().clone() for one in frames]
            self._witness = seen, features[count // 2].detach()
        return features

    def _run(self, *frames: Tensor) -> Tensor:
        read = tuple(one.contiguous(memory_format=self._format) for one in frames)
        features = forward(self._module, read, None)
        if features.ndim == 0 or len(features) != len(frames[0]):
            raise ValueError(
                f"encoder {self._name}: expected one row for each of {len(frames[0])} frames, got "
                f"shape {tuple(features.shape)}"
            )
        return features

    def _run_unchecked(self, *frames: Tensor) -> Tensor:
        """Features; an encoder that takes a clip's number of frames and not this one is named."""
        try:
            return self._run(*frames)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            # is it the number of frames?
            self._run(*(one[:1].expand(self._length, *one.shape[1:]) for one in frames))
            raise ValueError(
                f"{self._complaint}: it does not take {len(frames[0])} frames ({error})"
            ) from error

    def _checking(self, frames: tuple[Tensor, ...], seen: list[Tensor], expected: Tensor) -> Tensor:
        """Features; a frame seen before, now among these, must give what it gave then."""
        pairs = zip(frames, seen, strict=True)
        features = self._run_unchecked(*(torch.cat([one, frame[None]]) for one, frame in pairs))
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
    """Features of the frames of one clip, each encoded once (`encode_missing`).

    Args:
        frames: (T, C, H, W) of each input; views that repeat one frame are encoded once.
    """

    def __init__(self, frames: Sequence[Tensor]) -> None:
        count, device = len(frames[0]), frames[0].device
        repeated = all(one.stride(0) == 0 for one in frames)
        self._place = torch.arange(count, device=device) * (not repeated)
        self._frames = frames
        self._known = torch.zeros(count, dtype=torch.bool, device=device)
        self._features: Tensor | None = None

    def missing(self, frames: Tensor | None = None) -> Tensor:
        """Where (K,) to find those of these frames, or of all, that are not known."""
        place = self._place if frames is None else self._place[frames]
        return place[~self._known[place]].unique()

    def frames(self, place: Tensor) -> list[Tensor]:
        """The frames at these places: (K, C, H, W) of each input."""
        return [one[place] for one in self._frames]

    def keep(self, place: Tensor, features: Tensor) -> None:
        """Take note of these places' features (K, ...)."""
        if self._features is None:
            self._features = features.new_empty((len(self._place), *features.shape[1:]))
        self._features[place] = features
        self._known[place] = True

    def at(self, frames: Tensor) -> Tensor:
        """Features (K, ...) of these frames (K,), which have to be known."""
        if self._features is None:
            raise IndexError("no frame is known")
        return self._features[self._place[frames]]

    def all(self) -> Tensor:
        """Features (T, ...) of every frame."""
        return self.at(torch.arange(len(self._place), device=self._place.device))


def encode_missing(
    encoder: FrameEncoder, wanted: Sequence[tuple[KnownFeatures, Tensor]], most: int
) -> None:
    """Encode what is not known yet, frames of several clips in one pass.

    An encoder that is not checked yet gets two passes at least: the frame that it is checked by
    then goes along in the second, instead of making a pass of its own, which is dear for so few.

    Args:
        encoder: what encodes.
        wanted: clips, and places (K,) in each of frames that are missing.
        most: frames in one pass.
    """
    place = torch.cat([places for _, places in wanted])
    if not len(place):
        return
    owner = torch.cat([torch.full_like(one, i) for i, (_, one) in enumerate(wanted)])
    apart = not encoder.is_checked and len(place) > 2  # one frame alone can be no witness
    passes = max(-(-len(place) // most), 2 if apart else 1)
    size = -(-len(place) // passes)
    for owners, places in zip(owner.split(size), place.split(size), strict=True):
        chosen = [(known, places[owners == i]) for i, (known, _) in enumerate(wanted)]
        chosen = [(known, own) for known, own in chosen if len(own)]
        frames = zip(*(known.frames(own) for known, own in chosen), strict=True)
        features = encoder(*(torch.cat(parts) for parts in frames))
        for (known, own), found in zip(
            chosen, features.split([len(own) for _, own in chosen]), strict=True
        ):
            known.keep(own, found)
