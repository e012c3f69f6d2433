"""The networks that the studies trained, whichever project's file they lie in."""

from collections.abc import Callable, Sequence

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.models.checkpoints import Checkpoint
from benchmarks_kth_mad.models.pan_checkpoints import (
    C3D_CLIP,
    PAN_CLIP,
    load_c3d_checkpoint,
    load_full_pan_checkpoint,
    load_pan_checkpoint,
)
from benchmarks_kth_mad.models.study_checkpoints import (
    STUDY_CLIP,
    STUDY_MEAN,
    STUDY_STD,
    load_study_checkpoint,
)

STUDY_CLIPS = {
    "cnn-lstm": STUDY_CLIP,
    "3d-resnet": C3D_CLIP,
    "pan": PAN_CLIP,
    "pan-full": PAN_CLIP,
}
"""The networks, and the clips that their study showed them."""


def load_foreign_checkpoint(
    network: str,
    paths: Sequence[str],
    classes: Sequence[str],
    clip: ClipShape,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    attention: bool = True,
) -> Checkpoint:
    """Read a network of one of the studies.

    Args:
        network: a name of `STUDY_CLIPS`.
        paths: its file; two for ``"pan-full"``, the stream of pictures first.
        classes: names of the logits.
        clip: the clips to show it.
        mean: of the input of ``"cnn-lstm"``, by channel; the study's where None.
        std: likewise.
        attention: keep the attention of ``"cnn-lstm"``.

    Raises:
        BenchmarkError: another number of files, options that are not of this network, or what its
            loader refuses.
    """
    expected = 2 if network == "pan-full" else 1
    if len(paths) != expected:
        raise BenchmarkError(f"--checkpoint: expected {expected} of {network}, got {len(paths)}")
    if network == "cnn-lstm":
        return load_study_checkpoint(
            paths[0], tuple(classes), clip, mean or STUDY_MEAN, std or STUDY_STD, attention
        )
    if mean is not None or std is not None or not attention:
        raise BenchmarkError(f"--mean, --std and --no-attention are of cnn-lstm, not of {network}")
    if network == "3d-resnet":
        return load_c3d_checkpoint(paths[0], classes, clip)
    load: Callable[..., Checkpoint] = (
        load_full_pan_checkpoint if network == "pan-full" else load_pan_checkpoint
    )
    more = {"segments": clip.segments} if clip.segments > 1 else {}
    return load(*paths, classes, clip, **more)
