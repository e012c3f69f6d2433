"""Clips: plain tensors (N, C, T, H, W), and the one door by which other layouts come in."""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from einops import EinopsError, rearrange
from torch import Tensor

CANONICAL = "n c t h w"
_TOKEN = re.compile(r"\(|\)|[a-z]+")


class Extent(NamedTuple):
    """The size of a clip over time and space, always in the order T, H, W."""

    frames: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"({self.frames}, {self.height}, {self.width})"


@dataclass(frozen=True, init=False)
class Layout:
    """How a model orders the axes of a clip, as an einops pattern.

    The axes are ``n`` clip, ``c`` channel, ``t`` frame, ``h`` row and ``w`` column. An axis that the
    pattern leaves out has size 1 (``"n t h w"`` is a gray clip). Sizes that the pattern folds
    together and the tensor does not tell are given by name. A sequence of feature vectors is a clip one
    pixel high: ``f`` is another name for ``w`` where there are no pixels, and ``"n t f"`` the
    layout of (N, T, F), whose windows, tiles and cells are (frames, 1, features).

    Args:
        pattern: for example ``"n c t h w"`` (3-D networks), ``"n t c h w"`` (transformers,
            CNN-LSTMs), ``"n (t c) h w"`` (TSN, PAN), ``"(n t) c h w"`` (activations of a 2-D
            network on folded frames), ``"n (t h w) c"`` (tokens).
        skip_tokens: leading entries of the second axis that belong to no place in the clip (class
            tokens); dropped on the way in. A layout that drops some can not be written back.
        **sizes: sizes of folded axes, for example ``c=3``.

    Raises:
        ValueError: the pattern is no arrangement of n, c, t, h, w, or a size is not positive or
            not of an axis in the pattern.

    Example:
        >>> import torch
        >>> layout = Layout("n (t c) h w", c=3)
        >>> layout.to_clip(torch.zeros(2, 24, 32, 32)).shape
        torch.Size([2, 3, 8, 32, 32])
    """

    pattern: str
    skip_tokens: int
    sizes: dict[str, int] = field(hash=False)

    def __init__(self, pattern: str, skip_tokens: int = 0, **sizes: int) -> None:
        if "f" in pattern and not {"h", "w"} & set(pattern):
            pattern = pattern.replace("f", "w")
            sizes = {"w" if axis == "f" else axis: size for axis, size in sizes.items()}
        axes = [token for token in _TOKEN.findall(pattern) if token not in "()"]
        well_formed = _TOKEN.sub("", pattern).strip() == "" and _parentheses_match(pattern)
        if not well_formed or len(set(axes)) != len(axes) or not set(axes) <= set("ncthw"):
            raise ValueError(
                f"layout {pattern!r}: expected an einops pattern of n, c, t, h, w, each at most "
                f"once, such as 'n c t h w' or 'n (t c) h w'"
            )
        if "n" not in axes:
            raise ValueError(f"layout {pattern!r}: expected an axis n (clips)")
        for axis, size in sizes.items():
            if axis not in axes or not isinstance(size, int) or size < 1:
                raise ValueError(
                    f"layout {pattern!r}: expected positive sizes of its own axes, got {axis}={size}"
                )
        if skip_tokens < 0:
            raise ValueError(f"layout {pattern!r}: skip_tokens must be >= 0, got {skip_tokens}")
        object.__setattr__(self, "pattern", " ".join(pattern.split()))
        object.__setattr__(self, "skip_tokens", skip_tokens)
        object.__setattr__(self, "sizes", dict(sizes))

    @classmethod
    def of(cls, layout: "str | Layout") -> "Layout":
        """Take a pattern or a ready layout."""
        return layout if isinstance(layout, Layout) else cls(layout)

    @property
    def is_canonical(self) -> bool:
        """Whether clips already come as (N, C, T, H, W)."""
        return self.pattern == CANONICAL and not self.skip_tokens

    def has(self, axis: str) -> bool:
        """Whether the pattern names this axis."""
        return axis in self.pattern

    @property
    def rank(self) -> int:
        """Number of axes of a tensor in this layout."""
        return len(re.sub(r"\([^)]*\)", "g", self.pattern).split())

    @property
    def _clip_pattern(self) -> str:
        return " ".join(axis if self.has(axis) else "1" for axis in "ncthw")

    def to_clip(self, tensor: Tensor, name: str = "inputs", **sizes: int) -> Tensor:
        """View a tensor of this layout as a clip.

        Args:
            tensor: in this layout; of any dtype.
            name: what to call it in an error.
            **sizes: sizes known from elsewhere (``n`` of folded frames); used where the layout
                itself gives none.

        Returns:
            (N, C, T, H, W), sharing memory where the tensor is contiguous.

        Raises:
            ValueError: the tensor does not fit the pattern.
        """
        known = {axis: size for axis, size in sizes.items() if self.has(axis)} | self.sizes
        if self.skip_tokens and tensor.ndim > 1:
            tensor = tensor[:, self.skip_tokens :]
        try:
            return rearrange(tensor, f"{self.pattern} -> {self._clip_pattern}", **known)
        except EinopsError as error:
            given = ", ".join(f"{axis}={size}" for axis, size in known.items()) or "no sizes"
            raise ValueError(
                f"{name}: expected layout {self.pattern!r} with {given}, got shape "
                f"{tuple(tensor.shape)}; sizes that the pattern folds together are given as in "
                f"Layout('n (t c) h w', c=3)"
            ) from error

    def from_clip(self, clip: Tensor) -> Tensor:
        """Write a clip (N, C, T, H, W) back into this layout; a view wherever one exists."""
        if self.skip_tokens:
            raise ValueError(
                f"layout {self.pattern!r} drops {self.skip_tokens} tokens: one way only"
            )
        return rearrange(clip, f"{self._clip_pattern} -> {self.pattern}")

    def __repr__(self) -> str:
        skip = f", skip_tokens={self.skip_tokens}" if self.skip_tokens else ""
        return (
            f"Layout({self.pattern!r}{skip}{''.join(f', {k}={v}' for k, v in self.sizes.items())})"
        )


def _parentheses_match(pattern: str) -> bool:
    return re.fullmatch(r"[^()]*(\([^()]+\)[^()]*)*", pattern) is not None


def extent_of(clip: Tensor) -> Extent:
    """Frames, height and width of a clip (N, C, T, H, W) or of any tensor ending in T, H, W."""
    return Extent(*clip.shape[-3:])


def check_values(tensor: object, name: str = "inputs") -> None:
    """Raise unless this is something that a network can be explained at.

    Raises:
        TypeError: not a tensor, or not of a floating dtype.
        ValueError: an axis of size 0, NaN or infinity.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(tensor).__name__}")
    if not tensor.is_floating_point():
        raise TypeError(
            f"{name}: expected a floating-point tensor, got {tensor.dtype}; convert it, for example "
            f"by .float() / 255"
        )
    if tensor.numel() == 0:
        raise ValueError(
            f"{name}: expected a clip that is not empty, got shape {tuple(tensor.shape)}"
        )
    if not tensor.is_meta and not _is_finite(tensor):  # on meta there are no values
        raise ValueError(f"{name}: expected finite values, got NaN or infinity")


def _is_finite(tensor: Tensor) -> bool:
    """By the extremes, which NaN and infinity reach: no tensor as large as the clips is made."""
    return bool(torch.stack(tensor.detach().aminmax()).isfinite().all())


def clip_of(tensor: Tensor, layout: Layout, name: str = "inputs") -> Tensor:
    """Check a user's tensor at the border and view it as a clip (N, C, T, H, W).

    Raises:
        TypeError: not a tensor, or not of a floating dtype.
        ValueError: wrong rank, an axis of size 0, NaN or infinity.
    """
    check_values(tensor, name)
    if tensor.ndim != layout.rank:
        raise ValueError(
            f"{name}: expected {layout.rank} axes in layout {layout.pattern!r}, got shape "
            f"{tuple(tensor.shape)}"
        )
    return layout.to_clip(tensor, name)


def window_of(shape: object, name: str, extent: Extent | None = None) -> Extent:
    """Check three positive whole numbers (frames, height, width), none above ``extent``.

    Raises:
        TypeError: not three whole numbers.
        ValueError: one is below 1, or larger than the clip.
    """
    if (
        not isinstance(shape, tuple | list)
        or len(shape) != 3
        or any(not isinstance(size, int) or isinstance(size, bool) for size in shape)
    ):
        raise TypeError(
            f"{name}: expected three whole numbers (frames, height, width), got {shape!r}"
        )
    window = Extent(*shape)
    if min(window) < 1:
        raise ValueError(f"{name}: expected sizes of at least 1, got {window}")
    if extent is not None and any(size > full for size, full in zip(window, extent, strict=True)):
        raise ValueError(f"{name} {window} exceeds clip {extent}")
    return window


def named_inputs(inputs: Any) -> tuple[bool, dict[str, Any]]:
    """Whether ``inputs`` was a tuple, and each of them under the name that an error gives it."""
    if not isinstance(inputs, tuple):
        return False, {"inputs": inputs}
    if not inputs:
        raise ValueError("inputs: expected at least one tensor, got an empty tuple")
    return True, {f"inputs[{i}]": tensor for i, tensor in enumerate(inputs)}


def clips_of(
    inputs: "Tensor | tuple[Tensor, ...]", layout: Layout
) -> tuple[bool, tuple[Tensor, ...]]:
    """Check what the user passed as ``inputs``: whether it was a tuple, and its clips.

    Raises:
        TypeError: an input is not a floating-point tensor.
        ValueError: an input is no proper clip, or the numbers of clips differ.
    """
    is_tuple, named = named_inputs(inputs)
    clips = tuple(clip_of(tensor, layout, name).detach() for name, tensor in named.items())
    if len({len(clip) for clip in clips}) > 1:
        raise ValueError(
            f"inputs: expected as many clips in each, got {[len(clip) for clip in clips]}"
        )
    return is_tuple, clips


def per_input(shapes: Any, n_inputs: int, name: str) -> tuple[Any, ...]:
    """One shape for all inputs, or one for each, as one for each.

    Raises:
        ValueError: another number of shapes than of inputs.
    """
    if isinstance(shapes, tuple | list) and shapes and isinstance(shapes[0], tuple | list):
        if len(shapes) != n_inputs:
            raise ValueError(f"{name}: expected one per input ({n_inputs}), got {len(shapes)}")
        return tuple(shapes)
    return (shapes,) * n_inputs


def map_dtype(dtype: torch.dtype) -> torch.dtype:
    """Attributions are float32, or float64 where the clip is."""
    return torch.promote_types(dtype, torch.float32)


def spread_over_channels(maps: Tensor, clip: Tensor, layout: Layout) -> Tensor:
    """A map (N, 1, T, H, W) in the shape and layout of its clip.

    Contiguous: Captum's ``sensitivity_max`` flattens maps by ``view``, which an expanded one refuses.
    """
    return layout.from_clip(maps.to(map_dtype(clip.dtype)).expand(clip.shape)).contiguous()
