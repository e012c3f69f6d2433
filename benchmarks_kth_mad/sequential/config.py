"""What study B is made of: networks, clips, methods, and how they are measured, from a YAML file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from benchmarks_kth_mad.data.kth_index import check_classes
from benchmarks_kth_mad.declared import build
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import METRICS, UNITS, Unit
from benchmarks_kth_mad.methods import BASELINES, METHODS, Options
from benchmarks_kth_mad.models import MODELS
from benchmarks_kth_mad.places import FLOWS
from benchmarks_kth_mad.rendering.acting import RenderSettings
from benchmarks_kth_mad.studies.config_files import (
    NetworkPlan,
    check_counts,
    check_names,
    check_some,
    chosen_of,
    load_study,
    mapping_of,
    network_plans,
)

STUDY_NAME = "sequential"
PAIRED_NETWORKS = ("_early", "_two_stream")


@dataclass(frozen=True)
class DataPlan:
    """Which videos of KTH's layout, and how they are divided; see `benchmarks_kth_mad.runs.Source`."""

    classes: Sequence[str] = ("running", "walking")
    split_by: str = "person"
    skip_missing: bool = False

    def __post_init__(self) -> None:
        check_names("data classes", self.classes, check_classes(None))
        if len(set(self.classes)) < 2:
            raise BenchmarkError(f"data classes: expected at least two, got {self.classes}")
        check_names("data split_by", [self.split_by], ("person", "sequence"))


@dataclass(frozen=True)
class MapPlan:
    """How much is explained, and how it is measured.

    Args:
        clips: test clips that are explained, the same ones for every network.
        samples: masks of RISE.
        baseline: what hides; a name of `benchmarks_kth_mad.methods.BASELINES`.
        steps: of insertion and deletion, for each unit that they are played with; at most as many
            as a clip has of it.
        pictures: clips that are drawn.
    """

    clips: int = 24
    samples: int = 500
    baseline: str = Options.baseline
    steps: Mapping[Unit, int] = field(default_factory=lambda: {"frame": 15, "voxel": 50})
    pictures: int = 1

    def __post_init__(self) -> None:
        check_counts(self, "maps", {"clips": 1, "samples": 1, "pictures": 0})
        check_names("maps baseline", [self.baseline], BASELINES)
        check_names("maps steps", mapping_of(self.steps, "maps steps"), UNITS)
        for unit, count in self.steps.items():
            if not isinstance(count, int) or count < 1:
                raise BenchmarkError(f"maps steps {unit}: expected at least 1, got {count!r}")


@dataclass(frozen=True)
class MotionPlan:
    """What counts as moving: by which flow, and above how many pixels per frame."""

    flow: str = "farneback"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        check_names("motion flow", [self.flow], FLOWS)
        if not self.threshold >= 0:
            raise BenchmarkError(f"motion threshold: expected at least 0, got {self.threshold}")


@dataclass(frozen=True)
class SequentialConfig:
    """The whole study.

    Args:
        networks: by name of `benchmarks_kth_mad.models.MODELS`, those of one clip; one whose name
            ends in ``_attention`` is compared with the one without.
        data: which videos.
        methods: of attribution; those that do not suit a network are left out there.
        metrics: insertion and deletion.
        maps: how much is explained.
        motion: what counts as moving.
        render: the set that is rendered where no other is given.
        seed: of everything random.

    Raises:
        BenchmarkError: a name that is not known, or nothing to do.
    """

    networks: Mapping[str, NetworkPlan]
    data: DataPlan = field(default_factory=DataPlan)
    methods: Sequence[str] = (
        "gradient",
        "input_cell",
        "tsr",
        "gradcam",
        "frame_occlusion",
        "random",
    )
    metrics: Sequence[str] = tuple(METRICS)
    maps: MapPlan = field(default_factory=MapPlan)
    motion: MotionPlan = field(default_factory=MotionPlan)
    render: RenderSettings = field(default_factory=RenderSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, given, known in (
            ("networks", self.networks, [one for one in MODELS if not _sees_two(one)]),
            ("methods", self.methods, METHODS),
            ("metrics", self.metrics, METRICS),
        ):
            check_some(name, given, known)
        check_counts(self, "study", {"seed": 0})
        for name, plan in self.networks.items():
            if plan.clip.frames < 3:  # or there are no thirds
                raise BenchmarkError(
                    f"{name} clip frames: expected at least 3, got {plan.clip.frames}"
                )

    def of_networks(self, names: Sequence[str]) -> "SequentialConfig":
        """The same study of some of its networks; what each gives does not depend on the others."""
        return replace(self, networks=chosen_of(self.networks, names))

    def options(self) -> Options:
        """What the methods are told."""
        return Options(n_samples=self.maps.samples, seed=self.seed, baseline=self.maps.baseline)

    def record_of(self, network: str, root: str | None) -> dict[str, Any]:
        """All that the run of one network is made by, where and on which device apart.

        Args:
            network: one of the study's.
            root: folder of the data set; None where it is rendered.
        """
        plan = asdict(self.networks[network])
        del plan["recipe"]["device"]
        render: dict[str, Any] = {"render": asdict(self.render)}
        return {
            "network": {"name": network, **plan},
            "data": asdict(self.data),
            "methods": list(self.methods),
            "metrics": list(self.metrics),
            "maps": asdict(self.maps),
            "motion": asdict(self.motion),
            "seed": self.seed,
            **(render if root is None else {"root": root}),
        }


def load_config(name_or_path: str, changes: Mapping[str, Any] | None = None) -> SequentialConfig:
    """Read a study: a preset, or a YAML file; see `benchmarks_kth_mad.studies.config_files.load_study`."""
    return load_study(name_or_path, STUDY_NAME, _study, changes)


def _study(content: Mapping[str, Any]) -> SequentialConfig:
    known = dict(content)
    seed = known.get("seed", 0)
    parts: dict[str, Any] = {"networks": network_plans(known.pop("networks", {}), seed)}
    for name, kind, more in (
        ("data", DataPlan, {}),
        ("maps", MapPlan, {}),
        ("motion", MotionPlan, {}),
        ("render", RenderSettings, {"seed": seed}),
    ):
        given = {**more, **mapping_of(known.pop(name, {}), name)}
        parts[name] = build(kind, given, name)
    return build(SequentialConfig, {**known, **parts}, "study")


def _sees_two(network: str) -> bool:
    return network.endswith(PAIRED_NETWORKS)
