"""What is handed out: wheel and sdist hold what they should, and install beside the core alone.

``CAPTUM_VIDEO_DIST=folder`` tests the wheel and the sdist that lie there (``make dist``); without it both
are built of a copy of the files that git knows, or of those of the sdist where there is no git.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks_kth_mad.extras import BENCHMARKS
from captum_video import __version__

ROOT = Path(__file__).parents[1]
CORE = {
    *("captum", "einops", "kornia", "matplotlib", "numpy"),
    *("pillow", "torch", "torchvision", "tqdm"),
}
EXTRAS = {"superpixels", "video", "benchmarks", "examples", "docs", "dev"}
FULL_NAME = f"captum_video-{__version__}"
OF_GIT_ALONE = {".gitignore", ".ci/run"}
OF_THE_BUILD = {"PKG-INFO", "setup.cfg"}  # setup.cfg is written again, with two lines more
OF_THE_INSTALLATION = {
    f"{FULL_NAME}.dist-info/{name}"
    for name in (
        *("METADATA", "WHEEL", "RECORD"),
        *("entry_points.txt", "top_level.txt", "licenses/LICENSE"),
    )
}
BESIDE_MODULES = {"py.typed", "configs/*.yaml", "report/templates/*"}
USE = """
import captum_video, captum_video.attr, captum_video.baselines, captum_video.clips, captum_video.flow
import captum_video.masks, captum_video.metrics, captum_video.nn, captum_video.perturb
import captum_video.regions, captum_video.visualization
import importlib.util, sys, torch
from torch import nn
network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
clip = torch.rand(1, 3, 4, 8, 8)
maps = captum_video.attr.GradCAM3D(network, network[1]).attribute(clip, target=1)
captum_video.visualization.filmstrip(clip, {"Grad-CAM": maps}).savefig("filmstrip.png")
print(captum_video.__file__, tuple(maps.shape))
"""
# What must run with the core alone: arguments of python.
PROGRAMS = (["-m", "benchmarks_kth_mad", "--version"], ["-m", "captum_video", "--help"])


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run without what this process has been given to find modules by."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        command, cwd=cwd, env=kept, capture_output=True, text=True, errors="replace"
    )


def done(*command: str | Path, cwd: Path) -> str:
    ended = run(*command, cwd=cwd)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def tracked() -> set[str]:
    """The files that belong to the project; those that git would take, if they are new."""
    if (ROOT / ".git").exists():
        listed = done("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT).split("\0")
    else:
        listed = (ROOT / "captum_video.egg-info" / "SOURCES.txt").read_text().splitlines()
    return {
        name for name in listed if "egg-info/" not in f"{name}/" and (ROOT / name).is_file()
    } - {""}


def build(folder: Path, kind: str) -> Path:
    """Build one kind in the folder's own ``dist``; the path of the file."""
    done(sys.executable, "-m", "build", "--no-isolation", f"--{kind}", cwd=folder)
    (made,) = (folder / "dist").glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and sdist."""
    if given := os.environ.get("CAPTUM_VIDEO_DIST"):
        folder = Path(given).resolve()
        (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
        return wheel, sdist
    copy = tmp_path_factory.mktemp("copy")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    return build(copy, "wheel"), build(copy, "sdist")


@pytest.fixture(scope="module")
def wheel(built: tuple[Path, Path]) -> dict[str, bytes]:
    """What lies in the wheel, by name."""
    return contents(built[0])


@pytest.fixture(scope="module")
def unpacked(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    shutil.unpack_archive(built[1], folder)
    (inside,) = folder.iterdir()
    return inside


@pytest.fixture(scope="module")
def metadata(wheel: dict[str, bytes]) -> Message:
    return Parser().parsestr(wheel[f"{FULL_NAME}.dist-info/METADATA"].decode())


@pytest.fixture(scope="module")
def python(
    built: tuple[Path, Path], metadata: Message, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The interpreter of an environment with the wheel, and what the core needs of this one."""
    environment = tmp_path_factory.mktemp("environment")
    done(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment)
    found = environment / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(built[0])]
    done(sys.executable, "-m", "pip", "--python", found, *install, cwd=environment)
    links = environment / "links"
    links.mkdir()
    for name in needed(metadata.get_all("Requires-Dist", [])):
        link(name, links)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    (Path(done(found, "-c", where, cwd=environment).strip()) / "core.pth").write_text(f"{links}\n")
    return found


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def needed(lines: list[str]) -> set[str]:
    """The distributions that requirements come down to in this environment, without any extra."""
    waiting = [(Requirement(line), "") for line in lines]
    reached: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for asked in {"", *requirement.extras}:
            if (name, asked) not in reached:
                reached.add((name, asked))
                of_its_own = distribution(name).requires or []
                waiting += [(Requirement(line), asked) for line in of_its_own]
    return {name for name, _ in reached}


def link(name: str, folder: Path) -> None:
    """Make all that a distribution has installed importable from the folder."""
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "/")}:
        place = folder / top
        if top != "__pycache__" and not place.exists():
            place.symlink_to(Path(str(found.locate_file(top))).resolve())


def test_the_wheel_holds_both_packages_and_nothing_else(wheel: dict[str, bytes]) -> None:
    expected = {
        name
        for name in tracked()
        if name.startswith(("captum_video/", "benchmarks_kth_mad/"))
        and any(PurePosixPath(name).match(kind) for kind in ("*.py", *BESIDE_MODULES))
    }
    assert set(wheel) == expected | OF_THE_INSTALLATION
    for kind in BESIDE_MODULES:
        assert any(PurePosixPath(name).match(kind) for name in wheel), kind


def test_the_files_of_the_wheel_are_those_of_the_project(wheel: dict[str, bytes]) -> None:
    for name in set(wheel) - OF_THE_INSTALLATION:
        assert wheel[name] == (ROOT / name).read_bytes(), name
    licence = wheel[f"{FULL_NAME}.dist-info/licenses/LICENSE"]
    assert licence == (ROOT / "LICENSE").read_bytes()


def test_the_sdist_holds_all_that_the_tests_need(unpacked: Path) -> None:
    assert unpacked.name == FULL_NAME
    files = {
        file.relative_to(unpacked).as_posix() for file in unpacked.rglob("*") if file.is_file()
    }
    own = {name for name in files if not name.startswith("captum_video.egg-info/")}
    assert own - OF_THE_BUILD == tracked() - OF_GIT_ALONE - OF_THE_BUILD
    assert own >= OF_THE_BUILD
    for name in own - OF_THE_BUILD:
        assert (unpacked / name).read_bytes() == (ROOT / name).read_bytes(), name


def test_the_sdist_builds_the_same_wheel(unpacked: Path, wheel: dict[str, bytes]) -> None:
    again = contents(build(unpacked, "wheel"))
    assert set(again) == set(wheel)
    assert [name for name in wheel if wheel[name] != again[name]] == []


def test_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "captum-video"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.10"
    assert set(metadata.get_all("Provides-Extra", [])) == EXTRAS
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (ROOT / "README.md").read_text()


def test_requirements(metadata: Message) -> None:
    of_extra: dict[str, set[str]] = {}
    for line in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(line)
        extra = str(requirement.marker or "").removeprefix('extra == "').removesuffix('"')
        of_extra.setdefault(extra, set()).add(requirement.name)
    assert of_extra[""] == CORE
    assert of_extra["benchmarks"] == set(BENCHMARKS)
    assert set(of_extra) == {"", *EXTRAS}


def test_the_core_works_without_the_extras(python: Path, tmp_path: Path) -> None:
    said = done(python, "-c", USE, cwd=tmp_path).split(maxsplit=1)
    assert Path(said[0]).is_relative_to(python.parents[1])
    assert said[1] == "(1, 3, 4, 8, 8)\n"
    assert (tmp_path / "filmstrip.png").stat().st_size > 1000


@pytest.mark.parametrize("arguments", PROGRAMS, ids=" ".join)
def test_programs_run_without_the_extras(
    arguments: list[str], python: Path, tmp_path: Path
) -> None:
    assert done(python, *arguments, cwd=tmp_path)


@pytest.mark.parametrize("module", ["av", "cv2", "lightning", "pandas", "skimage", "pytest"])
def test_the_extras_are_not_there(module: str, python: Path, tmp_path: Path) -> None:
    """Or the two tests above would say nothing."""
    ended = run(python, "-c", f"import {module}", cwd=tmp_path)
    assert ended.returncode == 1
    assert f"No module named '{module}'" in ended.stderr


def test_the_benchmark_says_which_extra_is_missing(python: Path, tmp_path: Path) -> None:
    ended = run(python.with_name("captum-video-benchmark"), "--help", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: the extra 'benchmarks' is not installed (no av, lightning, ")
    assert line.endswith("pip install 'captum-video[benchmarks]'")
