"""What a study is made of: networks, spectra, methods, and how much of each, from one YAML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks_kth_mad.declared import build
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.evaluation import METRICS, UNITS, Unit
from benchmarks_kth_mad.methods import BASELINES, COMPAT, METHODS, Options
from benchmarks_kth_mad.models import MODELS
from benchmarks_kth_mad.rendering.thermal import MADSettings
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

SPECTRA = ("IR", "TV")
TRAINED_ON = (*SPECTRA, "IRTV")
FUSION = ("early", "two_stream")
STUDY_NAME = "multispectral"


@dataclass(frozen=True)
class MapPlan:
    """How much is explained, and how it is measured.

    Args:
        clips: test scenes that are explained, the same ones in every cell.
        samples: masks of RISE.
        baseline: what hides; a name of `benchmarks_kth_mad.methods.BASELINES`.
        unit: of insertion and deletion.
        steps: of insertion and deletion.
        pictures: scenes that are drawn.
    """

    clips: int = 32
    samples: int = 500
    baseline: str = Options.baseline
    unit: Unit = "voxel"
    steps: int = 50
    pictures: int = 1

    def __post_init__(self) -> None:
        check_counts(self, "maps", {"clips": 1, "samples": 1, "steps": 1, "pictures": 0})
        check_names("maps baseline", [self.baseline], BASELINES)
        check_names("maps unit", [self.unit], UNITS)


@dataclass(frozen=True)
class StudyConfig:
    """The whole study.

    Args:
        networks: by name of `benchmarks_kth_mad.models.MODELS`.
        trained_on: spectra, each of which is a training; ``"IRTV"`` pools both.
        tested_on: spectra.
        fusion: networks that see both spectra of a scene at once: ``"early"`` (their channels are
            put together) and ``"two_stream"``.
        methods: of attribution.
        metrics: insertion and deletion.
        maps: how much is explained.
        render: the set that is rendered where no other is given.
        seed: of everything random.
        compat: ``"icpr2022"`` computes maps and areas as the study's code did; see
            `benchmarks_kth_mad.methods.Options`.

    Raises:
        BenchmarkError: a name that is not known, or nothing to do.
    """

    networks: Mapping[str, NetworkPlan]
    trained_on: Sequence[str] = TRAINED_ON
    tested_on: Sequence[str] = SPECTRA
    fusion: Sequence[str] = FUSION
    methods: Sequence[str] = ("gradcam", "rise", "sidu", "occlusion", "random")
    metrics: Sequence[str] = tuple(METRICS)
    maps: MapPlan = field(default_factory=MapPlan)
    render: MADSettings = field(default_factory=MADSettings)
    seed: int = 0
    compat: str | None = None

    def __post_init__(self) -> None:
        for name, given, known in (
            ("networks", self.networks, MODELS),
            ("trained_on", self.trained_on, TRAINED_ON),
            ("tested_on", self.tested_on, SPECTRA),
            ("methods", self.methods, METHODS),
            ("metrics", self.metrics, METRICS),
        ):
            check_some(name, given, known)
        check_counts(self, "study", {"seed": 0})
        check_names("fusion", self.fusion, FUSION)
        check_names("fused networks", self.fused_networks(), MODELS)
        if self.compat is not None:
            check_names("compat", [self.compat], COMPAT)

    def of_networks(self, names: Sequence[str]) -> "StudyConfig":
        """The same study of some of its networks; what each gives does not depend on the others."""
        return replace(self, networks=chosen_of(self.networks, names))

    def fused_networks(self) -> list[str]:
        """Names of the networks that see both spectra at once."""
        return [f"{network}_{kind}" for network in self.networks for kind in self.fusion]

    def plan_of(self, network: str) -> NetworkPlan:
        """How a network, or its fused version, is trained."""
        for name, plan in self.networks.items():
            if network == name or network.removeprefix(f"{name}_") in FUSION:
                return plan
        raise BenchmarkError(f"network {network!r}: expected one of {', '.join(self.networks)}")

    def options(self) -> Options:
        """What the methods are told."""
        return Options(
            n_samples=self.maps.samples,
            seed=self.seed,
            baseline=self.maps.baseline,
            compat=self.compat,
        )


def load_config(name_or_path: str, changes: Mapping[str, Any] | None = None) -> StudyConfig:
    """Read a study: a preset, or a YAML file; see `benchmarks_kth_mad.studies.config_files.load_study`."""
    return load_study(name_or_path, STUDY_NAME, _study, changes)


def _study(content: Mapping[str, Any]) -> StudyConfig:
    known = dict(content)
    seed = known.get("seed", 0)
    parts: dict[str, Any] = {"networks": network_plans(known.pop("networks", {}), seed)}
    parts["maps"] = build(MapPlan, mapping_of(known.pop("maps", {}), "maps"), "maps")
    scenes = {"seed": seed, **mapping_of(known.pop("render", {}), "render")}
    parts["render"] = build(MADSettings, scenes, "render")
    return build(StudyConfig, {**known, **parts}, "study")
