"""One run of an input-cell attention LSTM inside a model: what goes in, and where the graph starts."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from captum_video.modes import recurrent_gradients
from captum_video.nn import InputCellAttentionLSTM

GraphFrom = Literal["inputs", "cell"] | None


class CellRun:
    """What entered the cell in one forward pass, and what its attention handed to its LSTM."""

    def __init__(self) -> None:
        self.entered: list[Tensor] = []
        self.handed: list[Tensor | PackedSequence] = []

    def check(self, n_clips: int) -> None:
        """Raise ValueError unless the cell ran once, on one sequence for each clip."""
        if len(self.entered) != 1:
            raise ValueError(
                f"cell: expected to run once in a forward pass, ran {len(self.entered)} times"
            )
        if len(self.sequences) != n_clips:
            raise ValueError(
                f"cell: expected a sequence for each of {n_clips} clips, got shape "
                f"{tuple(self.sequences.shape)}"
            )

    @property
    def sequences(self) -> Tensor:
        """What entered the cell: (N, T, F)."""
        return self.entered[0]

    @property
    def attended(self) -> Tensor:
        """What the LSTM took: (N, T, K), or the data of a packed sequence."""
        handed = self.handed[0]
        return handed.data if isinstance(handed, PackedSequence) else handed

    @property
    def own(self) -> Tensor:
        """1 where a step is the sequence's own, else 0: (N, T, 1)."""
        return self.unpacked(torch.ones_like(self.attended[..., :1]))

    def unpacked(self, data: Tensor) -> Tensor:
        """Something laid out as ``attended`` is, as (N, T, K), 0 beyond a sequence's own end."""
        handed = self.handed[0]
        if not isinstance(handed, PackedSequence):
            return data
        packed = handed._replace(data=data)
        return pad_packed_sequence(packed, True, total_length=self.sequences.shape[1])[0]


@contextmanager
def watched(cell: InputCellAttentionLSTM, graph_from: GraphFrom) -> Iterator[CellRun]:
    """Note what the cell is given, and say from where on the autograd graph is recorded.

    The cell's LSTM stays differentiable even where the forward function is no module and hides it.
    """
    run = CellRun()

    def enter(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        call = inspect.signature(cell.forward).bind(*args, **kwargs)
        sequences = call.arguments["inputs"]
        _check_sequences(sequences)
        entered = sequences.clone()  # the cell's alone: no path past it, no change in place
        if graph_from == "cell":
            entered = entered.detach().requires_grad_()
            torch.set_grad_enabled(True)  # the context below puts back what was found
        run.entered.append(entered)
        call.arguments["inputs"] = entered
        return call.args, call.kwargs

    def hand_over(module: nn.Module, args: tuple) -> None:
        run.handed.append(args[0])

    handles = [
        cell.register_forward_pre_hook(enter, with_kwargs=True),
        cell.lstm.register_forward_pre_hook(hand_over),
    ]
    try:
        with (
            torch.inference_mode(False),
            torch.set_grad_enabled(graph_from == "inputs"),
            recurrent_gradients(cell),
        ):
            yield run
    finally:
        for handle in handles:
            handle.remove()


def _check_sequences(sequences: Any) -> None:
    if not isinstance(sequences, Tensor):
        raise TypeError(
            f"cell: expected to be given a tensor (N, T, F), got {type(sequences).__name__}; "
            f"sequences of several lengths can come padded, with their lengths"
        )
    if sequences.ndim != 3:
        raise ValueError(
            f"cell: expected to be given (N, T, F), got shape {tuple(sequences.shape)}"
        )
