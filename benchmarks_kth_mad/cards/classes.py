"""Which methods of the benchmark stand for which class, and what a class says of itself."""

import inspect
import re
import textwrap
from dataclasses import dataclass

from captum.attr import Attribution

import captum_video.attr
from benchmarks_kth_mad.errors import BenchmarkError
from benchmarks_kth_mad.methods import METHODS

METHODS_OF: dict[str, tuple[str, ...]] = {
    "ExtremalPerturbation3D": ("extremal",),
    "GradCAM3D": ("gradcam",),
    "InputCellAttribution": ("input_cell",),
    "RISE3D": ("rise",),
    "SIDU3D": ("sidu",),
    "SpatioTemporalOcclusion": (
        "occlusion",
        "flow_occlusion",
        "frame_occlusion",
        "superpixel_occlusion",
    ),
    "TemporalSaliencyRescaling": ("tsr",),
}
"""The methods of `benchmarks_kth_mad.methods.METHODS` that run a class of `captum_video.attr`."""
PAGE_OF: dict[str, str] = {
    "ExtremalPerturbation3D": "extremal-perturbation3d",
    "GradCAM3D": "gradcam3d",
    "InputCellAttribution": "input-cell-attribution",
    "RISE3D": "rise3d",
    "SIDU3D": "sidu3d",
    "SpatioTemporalOcclusion": "spatio-temporal-occlusion",
    "TemporalSaliencyRescaling": "temporal-saliency-rescaling",
}
"""The page of docs/methods, written by hand, that explains a class."""
_SECTION = re.compile(r"^[A-Z][A-Za-z ]*:$")


@dataclass(frozen=True)
class Described:
    """What a class says of itself, in Markdown.

    Attributes:
        name: of the class.
        methods: of the benchmark that run it.
        page: of docs/methods that explains it.
        first: what its number means, in one sentence.
        formula: the paragraph that follows, with its list or its formula.
        cost: of `attribute`.
    """

    name: str
    methods: tuple[str, ...]
    page: str
    first: str
    formula: str
    cost: str


def attribution_classes() -> list[str]:
    """The public classes of `captum_video.attr` that attribute."""
    return [
        name
        for name in captum_video.attr.__all__
        if inspect.isclass(found := getattr(captum_video.attr, name))
        and issubclass(found, Attribution)
    ]


def described_classes() -> list[Described]:
    """Every attribution class, described.

    Raises:
        BenchmarkError: a class that no method of the benchmark runs, or that does not say what it
            means or costs.
    """
    return [_described(name) for name in attribution_classes()]


def _described(name: str) -> Described:
    methods, page = METHODS_OF.get(name, ()), PAGE_OF.get(name)
    if not methods or not set(methods) <= set(METHODS):
        raise BenchmarkError(
            f"captum_video.attr.{name}: no method of the benchmark runs it; add one to methods.py, and "
            f"its name to cards/classes.py"
        )
    if page is None:
        raise BenchmarkError(
            f"captum_video.attr.{name}: no page explains it; write one in docs/methods, and name it in "
            f"cards/classes.py"
        )
    found = getattr(captum_video.attr, name)
    blocks = (inspect.getdoc(found) or "").split("\n\n")
    cost = _section(inspect.getdoc(getattr(found, "attribute", None)) or "", "Cost:")
    if len(blocks) < 2 or not cost:
        raise BenchmarkError(
            f"captum_video.attr.{name}: its docstring does not say what it means, or attribute's does "
            f"not say what it costs"
        )
    formula = [blocks[1]]
    if len(blocks) > 2 and re.match(r"- |    |``", blocks[2]) and not _SECTION.match(blocks[1]):
        formula.append(blocks[2])
    return Described(
        name,
        methods,
        page,
        as_markdown(blocks[0]),
        as_markdown("\n\n".join(formula)),
        as_markdown(cost),
    )


def _section(text: str, heading: str) -> str:
    """The text of a section of a docstring; empty where there is none."""
    lines = text.splitlines()
    if heading not in lines:
        return ""
    rest = lines[lines.index(heading) + 1 :]
    end = next((at for at, line in enumerate(rest) if line and line[0] != " "), len(rest))
    return inspect.cleandoc("\n".join(rest[:end]))


def as_markdown(text: str) -> str:
    """A docstring's marks as Markdown's."""
    text = re.sub(r":\w+:`(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    text = re.sub(r"(?<!`)`([^`<]+?)\s*<([^`>]+)>`_", r"[\1](\2)", text)
    text = re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)
    head, mark, block = text.partition("::\n\n    ")
    if mark:
        text = f"{head}:\n\n```text\n{textwrap.dedent('    ' + block).rstrip()}\n```"
    return text
