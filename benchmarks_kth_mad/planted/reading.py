"""Whether a network reads the text: the proof without which no method may be judged."""

from dataclasses import dataclass

from benchmarks_kth_mad.data.captioned import Captioned, Words
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import predict
from benchmarks_kth_mad.models import Checkpoint
from benchmarks_kth_mad.planted.plan import Footage, Plan

ENOUGH = 0.8
"""Share of swapped clips whose prediction must follow the text."""


@dataclass(frozen=True)
class Reading:
    """What a network makes of the text of held-out clips.

    Attributes:
        own: accuracy where each clip names its class.
        follows: share of clips with *another* class's name that are given that class.
        without: accuracy without text.
        clips: how many there are; each is swapped as often as there are other classes.
        chance: one over the number of classes.
    """

    own: float
    follows: float
    without: float
    clips: int
    chance: float

    @property
    def claim(self) -> str:
        """In one line."""
        return (
            f"accuracy with its own text {self.own:.3f}, with another's text the prediction follows "
            f"it in {self.follows:.3f}, accuracy without text {self.without:.3f} ({self.clips} "
            f"held-out clips, chance {self.chance:.3f})"
        )


def reading_of(
    checkpoint: Checkpoint, footage: Footage, plan: Plan, device: str, split: str = "test"
) -> Reading:
    """Test a network on held-out clips with their own, every other, and no text."""

    def clips(words: Words) -> Captioned:
        return footage.clips(split, plan.clip, plan.shown, words, plan.recipe.seed)

    every, none = clips("every"), clips("none")
    found = predict(checkpoint, every, device)
    right = (found["label"] == found["predicted"]).to_numpy()
    is_own = [every.is_own(index) for index in range(len(every))]
    without = predict(checkpoint, none, device)
    return Reading(
        own=float(right[is_own].mean()),
        follows=float(right[[not one for one in is_own]].mean()),
        without=float((without["label"] == without["predicted"]).mean()),
        clips=len(none),
        chance=1 / len(checkpoint.classes),
    )


def require_reading(reading: Reading) -> None:
    """Refuse to go on where the network does not read, for then nobody knows where to look.

    Raises:
        BenchmarkError: it follows swapped text in fewer clips than `ENOUGH`.
    """
    if reading.follows < ENOUGH:
        raise BenchmarkError(
            f"planted: the network does not read the text ({reading.claim}); expected it to follow "
            f"at least {ENOUGH} of the swapped clips, so no method is scored: train longer "
            f"(--epochs), on more footage, or on larger clips"
        )
