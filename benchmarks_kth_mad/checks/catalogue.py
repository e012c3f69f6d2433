"""The checks: what is asked, of which clips, and which answer is the better one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from benchmarks_kth_mad.checks import faithfulness, localisation, sanity
from benchmarks_kth_mad.checks.bench import Answer, Bench
from benchmarks_kth_mad.data.masks import MaskKind
from benchmarks_kth_mad.evaluation import METRICS, UNITS

Kind = Literal["faithfulness", "localisation", "sanity"]
Ground = Literal["clips", "few", "span", "joined", "planted"]
KINDS: dict[Kind, str] = {
    "faithfulness": "Does the score follow the map?",
    "localisation": "Does the map lie where the evidence is?",
    "sanity": "Does the map depend on what the network has learned?",
}


@dataclass(frozen=True)
class Check:
    """One question that is put to every method.

    Attributes:
        name: as on the command line and in the tables.
        kind: what the answer is about.
        question: in one sentence.
        higher_is_better: which answer is the better one.
        values: one value for each clip of a bench, NaN where a clip can not be asked; None where the
            values come from a file.
        ground: which clips are asked: those of the run, the first few of them, those of a set in
            which the action has a span, two actions joined, or rows of planted texts.
        mask: the kind of mask that the clips must have.
    """

    name: str
    kind: Kind
    question: str
    higher_is_better: bool
    values: Callable[[Bench, Answer], Tensor] | None
    ground: Ground = "clips"
    mask: MaskKind | None = None

    @property
    def better(self) -> str:
        """``"higher"`` or ``"lower"``."""
        return "higher" if self.higher_is_better else "lower"


def _games() -> list[Check]:
    asked = {
        "insertion": "How fast does the score rise when {}s come in, best first?",
        "deletion": "How fast does the score fall when {}s go, best first?",
    }
    return [
        Check(
            f"{game}-{unit}",
            "faithfulness",
            question.format(unit),
            METRICS[game].higher_is_better,
            faithfulness.area_of(game, unit),
        )
        for game, question in asked.items()
        for unit in UNITS
    ]


_SEEN_THROUGH = [
    Check(
        "average-drop",
        "faithfulness",
        "Which share of the score is lost when the clip is seen through the map?",
        False,
        faithfulness.drop,
    ),
    Check(
        "average-increase",
        "faithfulness",
        "How often does the score rise when the clip is seen through the map?",
        True,
        faithfulness.increase,
    ),
    Check(
        "minimal-mask",
        "faithfulness",
        "Which share of the voxels, best first, brings back 90 % of the score?",
        False,
        faithfulness.smallest_share,
    ),
]
_PLACES = [
    Check(
        "energy-actor",
        "localisation",
        "Which share of the evidence lies on the actor?",
        True,
        localisation.energy("actor"),
        mask="actor",
    ),
    Check(
        "energy-limb",
        "localisation",
        "Which share of the evidence lies on the limbs with which he acts?",
        True,
        localisation.energy("limb"),
        mask="limb",
    ),
    Check(
        "pointing-actor",
        "localisation",
        "How often does the highest voxel lie on the actor, or a pixel beside?",
        True,
        localisation.pointed("actor"),
        mask="actor",
    ),
    Check(
        "jaccard-actor",
        "localisation",
        "How far does the evidence cover the actor, and nothing else?",
        True,
        localisation.jaccard("actor"),
        mask="actor",
    ),
    *(
        Check(
            f"{name}-actor",
            "localisation",
            f"Area under the {curve} of the evidence on the actor, over thresholds?",
            True,
            localisation.area_of(name, "actor"),
            mask="actor",
        )
        for name, curve in [
            ("aup", "precision"),
            ("aur", "recall"),
            ("aupr", "precision over recall"),
        ]
    ),
    Check(
        "energy-span",
        "localisation",
        "Which share of the evidence lies in the frames in which he acts?",
        True,
        localisation.energy("span"),
        ground="span",
        mask="span",
    ),
    Check(
        "temporal-pointing",
        "localisation",
        "How often does the strongest frame of two joined actions show the one asked for?",
        True,
        localisation.found_in_time,
        ground="joined",
        mask="span",
    ),
]
_SANITY = [
    Check(
        "random-network",
        "sanity",
        "How like is the map to that of the same network with random weights?",
        False,
        sanity.likeness_to_random_network,
        ground="few",
    ),
    Check(
        "planted-text",
        "sanity",
        "Which share of the evidence lies on a text that a network was made to rely on?",
        True,
        None,
        ground="planted",
    ),
]
CHECKS: dict[str, Check] = {
    check.name: check for check in (*_games(), *_SEEN_THROUGH, *_PLACES, *_SANITY)
}
