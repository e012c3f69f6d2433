"""How the documentation is built: `make docs`.

The source folder is the top of the repository, not docs/: README, tutorials and kept results are pages
where they lie, and a link between them leads to the same file here and on GitHub.
"""

import importlib
import inspect
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.pycode import ModuleAnalyzer

import captum_video

project = "captum_video"
author = "The captum_video developers"
version = release = captum_video.__version__

root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "tutorials/*.ipynb",
    "benchmarks_kth_mad/results/*/README.md",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = ["docs/_templates", "**.ipynb_checkpoints", ".*", "build", "dist", "runs"]
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",
]

# Docstrings: Google style; only what this package wrote, so nothing that Captum or torch inherit.
default_role = "py:obj"
napoleon_numpy_docstring = False
napoleon_custom_sections = [
    ("Attributes", "params_style"),
    ("Cost", "returns_style"),
    ("Randomness", "returns_style"),
]
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
python_display_short_literal_types = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
# In full, as autosummary would look for it in the source folder.
templates_path = [str(Path(__file__).parent / "_templates")]
# Where file names know no case, a function would overwrite the page of its class.
autosummary_filename_map = {
    f"captum_video.metrics.{name}": f"captum_video.metrics.{name}-function"
    for name in ("insertion", "deletion")
}

nb_execution_mode = "off"  # `make test` runs them; here their kept outputs are shown
myst_enable_extensions = ["dollarmath", "amsmath", "html_image"]
myst_heading_anchors = 3
# Tables that the benchmark writes have headings of the third level.
suppress_warnings = ["myst.header"]

html_theme = "furo"
html_title = "captum_video"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_extra_path = ["_top"]
html_copy_source = html_show_copyright = False
copybutton_exclude = ".linenos, .gp, .go"

# Every name that is meant to lead somewhere does, but for what other packages have.
nitpicky = True
FOREIGN_PACKAGES = "torch|numpy|np|matplotlib|captum|collections|typing|pathlib|os"
FOREIGN_TYPES = "Tensor|Module|Generator|Callable|Sequence|Figure|Axes|Colormap|Path|NDArray"
nitpick_ignore_regex = [
    ("py:.*", rf"({FOREIGN_PACKAGES})\..*"),
    ("py:.*", FOREIGN_TYPES),
    ("py:class", "'.*'"),  # a word that an argument may be
]

MODULES = ["", ".attr", ".metrics", ".nn", ".baselines", ".regions", ".flow", ".masks"]
MODULES += [".visualization", ".reading", ".examples"]
OWN = {"", "captum_video"}
# Sections of docstrings that are sentences; napoleon looks for a type before their first colon.
SENTENCES = {"Returns:", "Yields:", "Cost:", "Randomness:"}


@cache
def _public_names() -> dict[str, str]:
    found = {}
    for module in (importlib.import_module(f"captum_video{name}") for name in MODULES):
        for name in getattr(module, "__all__", vars(module)):
            found.setdefault(name, f"{module.__name__}.{name}")
    return found


def _find_public(app: Any, env: Any, node: nodes.Element, content: nodes.Node) -> Any:
    """Let `Layout`, and captum_video.clips.Layout in a signature, lead to captum_video.Layout."""
    owner, _, short = node["reftarget"].rpartition(".")
    name = _public_names().get(short)
    if node.get("refdomain") != "py" or name is None or owner.partition(".")[0] not in OWN:
        return None
    domain = env.get_domain("py")
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, content)


def _say_no_type(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put an empty type before a sentence, so that napoleon takes none of its words for one."""
    starts = [i + 1 for i, line in enumerate(lines[:-1]) if line.strip() in SENTENCES]
    for i in starts + [0] * (what in ("property", "attribute")):
        indent = len(lines[i]) - len(lines[i].lstrip())
        lines[i] = f"{lines[i][:indent]}: {lines[i][indent:]}"


def _skip_alias(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """The fields of a named tuple stand under Attributes already."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def _find_data(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """The docstring of a constant stands where it is set, not in the package that hands it on."""
    package, _, constant = name.rpartition(".")
    if what == "data" and not any(lines):
        for _, module in inspect.getmembers(importlib.import_module(package), inspect.ismodule):
            if module.__name__.startswith(f"{package}."):
                found = ModuleAnalyzer.for_module(module.__name__).find_attr_docs()
                lines += found.get(("", constant), [])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _find_data, priority=300)
    app.connect("autodoc-process-docstring", _say_no_type, priority=400)  # before napoleon's
    app.connect("autodoc-skip-member", _skip_alias)
    app.connect("missing-reference", _find_public)
