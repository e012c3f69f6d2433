"""How much faster the input-cell attention LSTM is than the cell taken step by step, over T.

Ours and the loops do the same work on the same weights, in turn in one process: ratios mean
something on a shared machine, seconds hardly.
"""

from collections.abc import Callable, Sequence
from statistics import median

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks_kth_mad.console import progress_bar
from benchmarks_kth_mad.speed.clock import seconds_of
from captum_video.nn import InputCellAttentionLSTM

Work = Callable[[], object]


def cell_table(
    device: str = "cpu",
    lengths: Sequence[int] = (30, 100, 300, 1000),
    rounds: int = 5,
    clips: int = 8,
    features: int = 300,
    hidden: int = 256,
) -> pd.DataFrame:
    """Time one layer, mean of 20 hops, against the cell taken step by step.

    Two loops stand against ours: one scores all frames at once and keeps the scores, which is the
    least that a loop can do; the other scores its past anew at every step, as the released cell does.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        lengths: numbers of frames.
        rounds: how often everything is timed, in turn; medians are reported.
        clips: sequences in a batch.
        features: of a frame.
        hidden: size of the LSTM's state.

    Returns:
        One row per length and work, ``"attended inputs"`` (forward) or ``"forward + backward"`` (of
        the whole, to inputs and parameters): frames, milliseconds of ours (of CPU time on a CPU),
        and how many times as long the loops take.
    """
    module = InputCellAttentionLSTM(features, hidden).to(device)
    stepwise = _Stepwise(module).to(device)
    rows = []
    for frames in progress_bar(lengths, desc="lengths"):
        inputs = torch.randn(clips, frames, features, device=device, requires_grad=True)
        for work, ways in _works(module, stepwise, inputs).items():
            seconds = _medians(ways, rounds, device)
            rows.append(
                {
                    "work": work,
                    "frames": frames,
                    "ms": round(1e3 * seconds["ours"], 2),
                    "loop / ours": round(seconds["loop"] / seconds["ours"], 2),
                    "released loop / ours": round(seconds["released"] / seconds["ours"], 2),
                }
            )
    return pd.DataFrame(rows)


class _Stepwise(nn.Module):
    """The same cell, one step after the other."""

    def __init__(self, module: InputCellAttentionLSTM) -> None:
        super().__init__()
        self.scores = module.scores
        self.cell = nn.LSTMCell(module.input_size, module.hidden_size)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.cell.load_state_dict({k: getattr(module.lstm, f"{k}_l0").detach() for k in names})

    def attended(self, inputs: Tensor, anew: bool) -> list[Tensor]:
        """What the LSTM is fed, step by step; scores ``anew`` or once."""
        scores = None if anew else self.scores(inputs)
        seen = []
        for t in range(inputs.shape[1]):
            past = inputs[:, : t + 1]
            own = self.scores(past) if scores is None else scores[:, : t + 1]
            seen.append((own.softmax(1).mT @ past).mean(1))
        return seen

    def forward(self, inputs: Tensor, anew: bool) -> Tensor:
        """Outputs (N, T, H)."""
        states, outputs = None, []
        for seen in self.attended(inputs, anew):
            states = self.cell(seen, states)
            outputs.append(states[0])
        return torch.stack(outputs, 1)


def _works(
    module: InputCellAttentionLSTM, stepwise: _Stepwise, inputs: Tensor
) -> dict[str, dict[str, Work]]:
    def forward(run: Work) -> Work:
        def timed() -> object:
            with torch.no_grad():
                return run()

        return timed

    def backward(run: Callable[[], Tensor], *modules: nn.Module) -> Work:
        leaves = [inputs, *(p for m in modules for p in m.parameters())]
        return lambda: torch.autograd.grad(run().sum(), leaves)

    attention = (module.linear_first, module.linear_second)
    return {
        "attended inputs": {
            "ours": forward(lambda: module.attend(inputs)),
            "loop": forward(lambda: stepwise.attended(inputs, False)),
            "released": forward(lambda: stepwise.attended(inputs, True)),
        },
        "forward + backward": {
            "ours": backward(lambda: module(inputs)[0], module),
            "loop": backward(lambda: stepwise(inputs, False), *attention, stepwise),
            "released": backward(lambda: stepwise(inputs, True), *attention, stepwise),
        },
    }


def _medians(ways: dict[str, Work], rounds: int, device: str) -> dict[str, float]:
    """Seconds (of CPU on a CPU, which others may share); the first round only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, run in ways.items():
            found = seconds_of(run, device)
            seconds[name].append(found.cpu if device == "cpu" else found.wall)
    return {name: median(found[1:]) for name, found in seconds.items()}
