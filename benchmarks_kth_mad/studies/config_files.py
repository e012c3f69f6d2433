"""Studies in YAML files: read one, and refuse what it says amiss with the name of the entry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.declared import MOST_YAML, build, read_yaml
from benchmarks_kth_mad.errors import BenchmarkError, shown
from benchmarks_kth_mad.files import is_file, read_text
from benchmarks_kth_mad.models import Settings
from benchmarks_kth_mad.training import Recipe

STUDY = "study"
"""The entry that says which command a file is for; a file may leave it out."""
Part = TypeVar("Part")


@dataclass(frozen=True)
class NetworkPlan:
    """One network of a study: its clips, how it is trained, what it starts from, and its parts.

    ``weights`` and ``settings`` are those of `benchmarks_kth_mad.models.build_model`.
    """

    clip: ClipShape
    recipe: Recipe = field(default_factory=Recipe)
    weights: str | None = None
    settings: Settings = field(default_factory=dict)


def presets(study: str) -> list[str]:
    """Names of the configs of a study that come with the package; they begin with the study's."""
    return sorted(name for name in _packaged() if name.split("_")[0] == study)


def load_study(
    name_or_path: str,
    study: str,
    make: Callable[[Mapping[str, Any]], Part],
    changes: Mapping[str, Any] | None = None,
) -> Part:
    """Read a study.

    Args:
        name_or_path: a preset's name, or a YAML file.
        study: the command that asks.
        make: makes the study of the file's content.
        changes: what to say otherwise, by the names of the file: ``{"maps": {"clips": 4}}``.

    Raises:
        BenchmarkError: no such file, not YAML, a config of another study, or what ``make`` refuses.
    """
    text = _text_of(name_or_path, study)
    try:
        content = dict(mapping_of(_parsed(text), "study"))
        meant = content.pop(STUDY, study)
        if meant != study:
            raise BenchmarkError(
                f"is for the command {meant}, and this is {study}, whose presets are "
                f"{', '.join(presets(study))}"
            )
        return make(_merged(content, changes or {}))
    except BenchmarkError as error:
        raise BenchmarkError(f"config {name_or_path}: {error}") from error


def network_plans(content: object, seed: int) -> dict[str, NetworkPlan]:
    """The networks of a file, by name; the seed is that of each recipe which has none of its own."""
    return {
        name: _network(mapping_of(plan, name), name, seed)
        for name, plan in mapping_of(content, "networks").items()
    }


def mapping_of(content: object, name: str) -> Mapping[str, Any]:
    """The content, which must be names with values."""
    if not isinstance(content, Mapping):
        raise BenchmarkError(f"{name}: expected names with values, got {shown(content)}")
    return content


def check_names(name: str, given: object, known: object) -> None:
    """Refuse what is not a list of known names."""
    if not isinstance(given, Mapping | Sequence) or isinstance(given, str):
        raise BenchmarkError(f"{name}: expected a list, got {shown(given)}")
    names = list(known)  # type: ignore[call-overload]
    for one in given:
        if one not in names:
            raise BenchmarkError(f"{name}: expected {', '.join(names)}, got {shown(one)}")
    if len(set(given)) < len(given):
        raise BenchmarkError(f"{name}: expected different ones, got {', '.join(given)}")


def check_some(name: str, given: object, known: object) -> None:
    """Refuse what is not a list of known names, or names nothing."""
    check_names(name, given, known)
    if not given:
        raise BenchmarkError(f"{name}: expected at least one of {', '.join(known)}")  # type: ignore[arg-type]


def chosen_of(networks: Mapping[str, NetworkPlan], names: Sequence[str]) -> dict[str, NetworkPlan]:
    """Some networks of a study."""
    check_names("networks", names, networks)
    return {name: networks[name] for name in names}


def check_counts(part: object, name: str, least: Mapping[str, int]) -> None:
    """Refuse attributes of a part that are no whole number, or below the least."""
    for one, minimum in least.items():
        value = getattr(part, one)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise BenchmarkError(f"{name} {one}: expected at least {minimum}, got {shown(value)}")


def _packaged() -> list[str]:
    folder = resources.files("benchmarks_kth_mad") / "configs"
    return [
        file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")
    ]


def _text_of(name_or_path: str, study: str) -> str:
    path = Path(name_or_path)
    if name_or_path in _packaged():
        folder = resources.files("benchmarks_kth_mad") / "configs"
        return (folder / f"{name_or_path}.yaml").read_text(encoding="utf-8")
    if not is_file(path):
        raise BenchmarkError(
            f"config {name_or_path}: no such file, and none of the presets "
            f"{', '.join(presets(study))}"
        )
    return read_text(path, MOST_YAML)


def _parsed(text: str) -> object:
    try:
        return read_yaml(text)
    except ValueError as error:
        raise BenchmarkError(f"not YAML ({error})") from error


def _network(plan: Mapping[str, Any], name: str, seed: int) -> NetworkPlan:
    content = dict(plan)
    for part, kind, more in (("clip", ClipShape, {}), ("recipe", Recipe, {"seed": seed})):
        given = {**more, **mapping_of(content.get(part, {}), f"{name} {part}")}
        content[part] = build(kind, given, f"{name} {part}")
    content["settings"] = mapping_of(content.get("settings", {}), f"{name} settings")
    return build(NetworkPlan, content, name)


def _merged(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The content, with what is changed in it; parts of parts one by one."""
    merged = dict(content)
    for name, value in changes.items():
        old = merged.get(name)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        merged[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged
