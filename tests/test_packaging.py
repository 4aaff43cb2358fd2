"""What is packed: the list of packages, the links, the wheel, the sdist, and the words in them."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import regionware

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("adapters", "policies")

pytestmark = pytest.mark.tree


def tracked() -> list[Path]:
    """Every file of the project: what git tracks, and what it would if asked to add all."""
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(
        [*git, "--cached", "--others", "--exclude-standard"], capture_output=True, check=True
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def setuptools_table() -> dict[str, list[str]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        table: dict[str, list[str]] = tomllib.load(file)["tool"]["setuptools"]
    return table


def installed(path: Path) -> str | None:
    """Where a file of the tree stands in the wheel; `None` if it does not belong there."""
    inside = path.relative_to(ROOT)
    if path.is_symlink() or inside.parts[0] not in {"regionware", *LINKED}:
        return None
    return (Path("regionware", inside) if inside.parts[0] in LINKED else inside).as_posix()


def folders() -> set[str]:
    """Every folder that holds an `__init__.py`, by the name it is imported with."""
    names = {name for name in modules() if name.endswith("/__init__.py")}
    return {name.removesuffix("/__init__.py").replace("/", ".") for name in names}


def modules() -> set[str]:
    """Every Python file of the package, by its path in the wheel; also those git ignores."""
    found = [path for top in ("regionware", *LINKED) for path in (ROOT / top).rglob("*.py")]
    return {name for path in found if (name := installed(path))}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist, and the wheel that was built from it."""
    work = tmp_path_factory.mktemp("built")
    for path in tracked():
        if path.is_symlink() or path.is_file():
            target = work / "tree" / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(work), "."]
    done = subprocess.run(build, cwd=work / "tree", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return work


def test_package_list_is_the_folders() -> None:
    packages = setuptools_table()["packages"]
    assert packages == sorted(packages)
    assert set(packages) == folders()


def test_version_is_said_once_and_repeated_truly() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    assert regionware.__version__ == project["project"]["version"]
    assert regionware.__version__ == project["tool"]["towncrier"]["version"]


@pytest.mark.parametrize("name", LINKED)
def test_links(name: str) -> None:
    link = ROOT / "regionware" / name
    assert link.is_symlink()
    assert link.readlink().as_posix() == f"../{name}"
    assert link.resolve() == ROOT / name


def test_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    data = {name for name in map(installed, tracked()) if name and not name.endswith(".py")}
    assert names == modules() | data
    assert "regionware/py.typed" in names


def test_wheel_holds_the_licence(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (name,) = (n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("licenses/LICENSE"))
    assert zipfile.ZipFile(wheel).read(name) == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("top", ["tests", "bench", "docs", "adapters", "policies", "regionware"])
def test_sdist_holds_the_project(built: Path, top: str) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.relative_to(ROOT).parts[0] == top and not path.is_symlink()
    }
    assert wanted
    assert wanted <= held


# Spelled with brackets, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.$}])/(?:[w]ork|[r]oot|[h]ome)/\w"),
    "the address of a package registry": re.compile(
        r"[p]ypi\.org|[p]ythonhosted|[i]ndex-url|[n]pmjs\.org|[c]rates\.io"
    ),
    "the number of an issue": re.compile(r"\b[i]ssue #?\d", re.IGNORECASE),
}


def offences(text: str) -> list[str]:
    return [f"{what}: {hit.group()}" for what, rx in FORBIDDEN.items() for hit in rx.finditer(text)]


def test_no_forbidden_words() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): hits
        for path in tracked()
        if path.is_file() and not path.is_symlink()
        if (hits := offences(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "text", ["see /w-ork/main/x.py", "cd /r-oot/x", "https://p-ypi.org/simple", "as in i-ssue #12"]
)
def test_forbidden_words_are_found(text: str) -> None:
    assert offences(text.replace("-", "", 1))
    assert not offences(text)
