"""What checkpoints of other projects have in common: weights in a dictionary, ResNets by their keys."""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.checkpoints import read_file

State = dict[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]
RESNETS: dict[tuple[tuple[int, ...], bool], str] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}


def read_state(path: Path, cure: str) -> State:
    """The weights in a file, without the prefix that ``nn.DataParallel`` gives their names.

    Args:
        path: a file with a dictionary of weights, alone or under ``"state_dict"`` or ``"model"``.
        cure: what to advise where there is none.

    Raises:
        BenchmarkError: no such file, or no weights in it.
    """
    content = read_file(path)
    for state in _where_weights_may_be(content):
        if state and all(isinstance(value, Tensor) for value in state.values()):
            return {str(key).removeprefix("module."): value for key, value in state.items()}
    raise BenchmarkError(
        f"{path}: expected weights under the key 'state_dict' or 'model', or alone; {cure}"
    )


def _where_weights_may_be(content: object) -> list[dict]:
    if not isinstance(content, dict):
        return []
    places = [content.get("state_dict"), content.get("model"), content]
    return [place for place in places if isinstance(place, dict)]


def resnet_name(path: Path, shapes: Shapes, prefix: str, shown: str, cure: str) -> str:
    """The 2-D ResNet with as many blocks in its stages as a file has.

    Args:
        path: of the file.
        shapes: of its weights, by name.
        prefix: of the names that belong to the ResNet.
        shown: what the file calls this prefix.
        cure: what to advise where there is no such network.

    Raises:
        BenchmarkError: no ResNet has these blocks.
    """
    found = [re.match(rf"{re.escape(prefix)}layer(\d)\.(\d+)\.", name) for name in shapes]
    places = {(int(m[1]), int(m[2])) for m in found if m}
    blocks = tuple(sum(stage == k for stage, _ in places) for k in (1, 2, 3, 4))
    bottleneck = f"{prefix}layer1.0.conv3.weight" in shapes
    if (blocks, bottleneck) not in RESNETS:
        raise BenchmarkError(
            f"{path}: expected {shown}* of one of {', '.join(RESNETS.values())}, got {blocks} "
            f"blocks in its stages; {cure}"
        )
    return RESNETS[blocks, bottleneck]
