"""Where things are: the walls between the package's rooms, so that each can be read by itself."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "service/poseparity"
MODULES = sorted(PACKAGE.rglob("*.py"))
# Who may print beside the command line and the script that is written from environment/: a progress bar, and processes
# whose parent reads what they print.
PRINTS = {
    "poseparity.fetching.progress",
    "poseparity.importing.readers.config_process",
    "poseparity.video.look",
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


NAMES = {name_of(path): path for path in MODULES}


@cache
def imports_of(path: Path) -> frozenset[str]:
    """The project's modules that a module imports while it is loaded, as dotted names."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*base, node.module] if node.module else base)
            found |= {full if (full := f"{origin}.{each.name}") in NAMES else origin for each in node.names}
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
    return frozenset(found - {name_of(path)})


def room_of(name: str) -> str:
    """The package right below poseparity, or the module that lies there itself."""
    return name.split(".")[1] if "." in name else name


def order_of(edges: dict[str, set[str]]) -> list[str]:
    try:
        return list(TopologicalSorter(edges).static_order())
    except CycleError as error:
        return pytest.fail(f"imports in a circle: {' <- '.join(error.args[1])}")


def test_modules_import_each_other_one_way():
    assert len(order_of({name: imports_of(path) & NAMES.keys() for name, path in NAMES.items()})) == len(NAMES)


def test_rooms_import_each_other_one_way():
    edges: dict[str, set[str]] = {}
    for name, path in NAMES.items():
        inner = {room_of(each) for each in imports_of(path) & NAMES.keys()}
        edges.setdefault(room_of(name), set()).update(inner - {room_of(name)})
    order = order_of(edges)
    assert order.index("stages") < order.index("pipeline") < order.index("web") and order[-1] in ("cli", "gate", "web")


def test_the_root_of_the_package_is_small():
    assert len(list(PACKAGE.glob("*.py"))) <= 16, "a new module belongs into a room"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_read_at_once_and_imports_no_tools(path):
    assert len(path.read_text("utf-8").splitlines()) <= 400
    assert not {each.split(".")[0] for each in imports_of(path)} & {"bench", "training", "tests", "images"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_command_line_prints(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    printing = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    assert not printing or room_of(name_of(path)) in ("cli", "environment") or name_of(path) in PRINTS, printing


def test_what_runs_before_a_worker_is_forked_loads_neither_numpy_nor_torch():
    code = ("import runpy, sys; runpy.run_path('service/gunicorn.conf.py'); import poseparity.web.worker; "
            "sys.exit(str(sorted({'numpy', 'torch', 'cv2'} & {*sys.modules})))")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr


def test_a_wheel_holds_every_module_and_file_of_the_package(tmp_path):
    command = [sys.executable, "-c", f"from setuptools.build_meta import build_wheel; build_wheel({str(tmp_path)!r})"]
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "service"):
        (copy / name).symlink_to(ROOT / name)
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("poseparity/")}
    kinds = (".py", ".toml", ".j2", ".css")
    files = {str(path.relative_to(PACKAGE.parent)) for path in PACKAGE.rglob("*") if path.suffix in kinds}
    assert inside == files
