"""The import contracts hold, name every module, and would notice a breach."""

import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.tree

#: Modules that stand above or beside the layers: entry points, which may import everything.
OUTSIDE = ("regionware.auditing", "regionware.cli", "regionware.demo", "regionware.parts")

#: What the brain tells about a request and a process: each guards itself by a lock.
LOCKED = {"regionware.context", "regionware.observe"}


def contracts() -> dict[str, dict[str, Any]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return {contract["id"]: contract for contract in listed}


def layers() -> list[list[str]]:
    """The modules of each layer, the highest layer first."""
    return [re.split(r"\s*:\s*", layer.strip()) for layer in contracts()["layers"]["layers"]]


def modules() -> set[str]:
    """Every module that holds code, by its import name."""
    found = pkgutil.walk_packages([str(ROOT / "regionware")], "regionware.")
    return {module.name for module in found if not module.ispkg}


def within(module: str, names: list[str] | tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its contracts, to break."""
    for name in ("regionware", "adapters", "policies"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_hold(copy: Path) -> None:
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("regionware/http/fields.py", "import asyncio", "brain"),
        ("regionware/database/position.py", "import psycopg", "brain"),
        ("regionware/errors.py", "import threading", "brain"),
        ("regionware/topology.py", "import time", "brain"),
        ("policies/database.py", "import redis", "brain"),
        ("policies/database.py", "import regionware.context", "layers"),
        ("regionware/errors.py", "import regionware.policies.route", "layers"),
        ("adapters/asgi.py", "import regionware.middleware", "layers"),
    ],
)
def test_a_breach_is_noticed(copy: Path, file: str, line: str, contract: str) -> None:
    path = copy / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contracts()[contract]['name']} BROKEN" in done.stdout


def test_every_module_stands_in_one_layer() -> None:
    named = [name for layer in layers() for name in layer]
    assert len(named) == len(set(named))
    homeless = {m for m in modules() if not within(m, named) and not within(m, OUTSIDE)}
    assert homeless == set()


def test_the_brain_is_every_layer_below_the_rim() -> None:
    from_exchange = next(i for i, layer in enumerate(layers()) if "regionware.exchange" in layer)
    below = {name for layer in layers()[from_exchange:] for name in layer}
    assert set(contracts()["brain"]["source_modules"]) == below - LOCKED
    assert contracts()["brain"]["ignore_imports"] == [
        f"regionware.** -> {name}" for name in sorted(LOCKED)
    ]
