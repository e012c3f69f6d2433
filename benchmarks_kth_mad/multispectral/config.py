"""What a study is made of: networks, spectra, methods, and how much of each, from one YAML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.declared import MOST, MOST_YAML, build, read_yaml
from benchmarks_kth_mad.errors import BenchmarkError, shown
from benchmarks_kth_mad.evaluation import METRICS, UNITS, Unit
from benchmarks_kth_mad.files import is_file, read_text
from benchmarks_kth_mad.methods import BASELINES, COMPAT, METHODS, Options
from benchmarks_kth_mad.models import MODELS, Settings
from benchmarks_kth_mad.rendering.thermal import MADSettings
from benchmarks_kth_mad.training import Recipe

SPECTRA = ("IR", "TV")
TRAINED_ON = (*SPECTRA, "IRTV")
FUSION = ("early", "two_stream")


@dataclass(frozen=True)
class NetworkPlan:
    """One network of the study: its clips, how it is trained, what it starts from, and its parts.

    ``weights`` and ``settings`` are those of `benchmarks_kth_mad.models.build_model`.
    """

    clip: ClipShape
    recipe: Recipe = field(default_factory=Recipe)
    weights: str | None = None
    settings: Settings = field(default_factory=dict)


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
        for name, least in (("clips", 1), ("samples", 1), ("steps", 1), ("pictures", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise BenchmarkError(f"maps {name}: expected at least {least}, got {value!r}")
        _check("maps baseline", [self.baseline], BASELINES)
        _check("maps unit", [self.unit], UNITS)


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
            _check(name, given, known)
            if not given:
                raise BenchmarkError(f"{name}: expected at least one of {', '.join(known)}")
        if not 0 <= self.seed <= MOST:
            raise BenchmarkError(f"seed: expected 0 to {MOST}, got {shown(self.seed)}")
        _check("fusion", self.fusion, FUSION)
        _check("fused networks", self.fused_networks(), MODELS)
        if self.compat is not None:
            _check("compat", [self.compat], COMPAT)

    def of_networks(self, names: Sequence[str]) -> "StudyConfig":
        """The same study of some of its networks; what each gives does not depend on the others."""
        _check("networks", names, self.networks)
        return replace(self, networks={name: self.networks[name] for name in names})

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


def presets() -> list[str]:
    """Names of the studies that come with the package."""
    folder = resources.files("benchmarks_kth_mad") / "configs"
    return sorted(
        file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")
    )


def load_config(name_or_path: str, changes: Mapping[str, Any] | None = None) -> StudyConfig:
    """Read a study.

    Args:
        name_or_path: a preset's name, or a YAML file.
        changes: what to say otherwise, by the names of the file: ``{"maps": {"clips": 4}}``.

    Raises:
        BenchmarkError: no such study, or one that says what can not be.
    """
    path = Path(name_or_path)
    if name_or_path in presets():
        folder = resources.files("benchmarks_kth_mad") / "configs"
        text = (folder / f"{name_or_path}.yaml").read_text()
    elif is_file(path):
        text = read_text(path, MOST_YAML)
    else:
        raise BenchmarkError(
            f"config {name_or_path}: no such file, and none of the presets {', '.join(presets())}"
        )
    try:
        content = read_yaml(text)
    except ValueError as error:
        raise BenchmarkError(f"config {name_or_path}: not YAML ({error})") from error
    try:
        return _study(_merged(_mapping(content, "study"), changes or {}))
    except BenchmarkError as error:
        raise BenchmarkError(f"config {name_or_path}: {error}") from error


def _study(content: Mapping[str, Any]) -> StudyConfig:
    known = dict(content)
    seed = known.get("seed", 0)
    networks = {
        name: _network(_mapping(plan, name), name, seed)
        for name, plan in _mapping(known.pop("networks", {}), "networks").items()
    }
    parts: dict[str, Any] = {"networks": networks}
    parts["maps"] = build(MapPlan, _mapping(known.pop("maps", {}), "maps"), "maps")
    scenes = {"seed": seed, **_mapping(known.pop("render", {}), "render")}
    parts["render"] = build(MADSettings, scenes, "render")
    return build(StudyConfig, {**known, **parts}, "study")


def _network(plan: Mapping[str, Any], name: str, seed: int) -> NetworkPlan:
    content = dict(plan)
    for part, kind, more in (("clip", ClipShape, {}), ("recipe", Recipe, {"seed": seed})):
        given = {**more, **_mapping(content.get(part, {}), f"{name} {part}")}
        content[part] = build(kind, given, f"{name} {part}")
    return build(NetworkPlan, content, name)


def _mapping(content: object, name: str) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise BenchmarkError(f"{name}: expected names with values, got {shown(content)}")
    return content


def _merged(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The content, with what is changed in it; parts of parts one by one."""
    merged = dict(content)
    for name, value in changes.items():
        old = merged.get(name)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        merged[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _check(name: str, given: object, known: object) -> None:
    if not isinstance(given, Mapping | Sequence) or isinstance(given, str):
        raise BenchmarkError(f"{name}: expected a list, got {shown(given)}")
    for one in given:
        if one not in known:  # type: ignore[operator]
            raise BenchmarkError(f"{name}: expected {', '.join(known)}, got {shown(one)}")  # type: ignore[arg-type]
    if len(set(given)) < len(given):
        raise BenchmarkError(f"{name}: expected different ones, got {', '.join(given)}")
