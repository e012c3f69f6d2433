"""Arrows go down only: which room may import which is written once, here."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = [
    ["captum_video._version", "captum_video.modes"],
    ["captum_video.clips", "captum_video._captum", "captum_video.curves"],
    [
        "captum_video.baselines",
        "captum_video.flow",
        "captum_video.masks",
        "captum_video.nn",
        "captum_video.reading",
        "captum_video.regions",
    ],
    ["captum_video.perturb"],
    [
        "captum_video.attr",
        "captum_video.examples",
        "captum_video.metrics",
        "captum_video.visualization",
    ],
    ["captum_video.app"],
    ["captum_video.__main__"],
]
ROOMS = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted((ROOT / "captum_video").rglob("*.py"))


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str | None:
    return next((r for r in ROOMS if module == r or module.startswith(r + ".")), None)


def imports_of(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_rooms(file: Path) -> set[str]:
    """Rooms of the package that a file reaches, `from captum_video import baselines` included."""
    return {room for name in imports_of(file) if (room := room_of(name))}


def test_every_file_has_a_room():
    homeless = [f for f in FILES if room_of(module_of(f)) is None]
    assert [module_of(f) for f in homeless] == ["captum_video"]


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_arrows_go_down(file):
    room = room_of(module_of(file))
    if room is None:
        return
    for other in imported_rooms(file) - {room}:
        assert ROOMS[other] < ROOMS[room], f"{module_of(file)} imports {other}"


def test_methods_do_not_import_each_other():
    for floor in ("attr", "metrics"):
        public = {f.stem for f in (ROOT / "captum_video" / floor).glob("[a-z]*.py")}
        for name in public:
            file = ROOT / "captum_video" / floor / f"{name}.py"
            reached = {
                n.split(".")[2] for n in imports_of(file) if n.startswith(f"captum_video.{floor}.")
            }
            assert not reached & (public - {name}), f"{file.name} imports {reached & public}"


def test_captum_privates_stay_in_one_file():
    for file in FILES:
        private = {n for n in imports_of(file) if n.startswith("captum.") and "._" in n}
        private |= {n for n in imports_of(file) if n.startswith("captum.log")}
        assert not private or file.name == "_captum.py", f"{file}: {private}"


def test_library_never_imports_the_benchmark():
    for file in FILES:
        assert not any(n.split(".")[0] == "benchmarks_kth_mad" for n in imports_of(file)), file


def test_reading_a_set_needs_no_renderer():
    for file in (ROOT / "benchmarks_kth_mad" / "data").glob("*.py"):
        reached = {n for n in imports_of(file) if n.startswith("benchmarks_kth_mad.rendering")}
        assert not reached, f"{file}: {reached}"


def test_import_stays_light():
    heavy = ("kornia", "av", "cv2", "lightning", "pandas", "skimage", "torchvision")
    code = f"import captum_video.attr, captum_video.flow, captum_video.metrics, captum_video.regions, sys; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import captum.attr, sys; print([m for m in {heavy} if m in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == before.stdout
