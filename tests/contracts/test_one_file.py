"""scripts/verify_env.py is what scripts/one_file writes from the package, and what both must be to run anywhere."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = "service/poseparity/environment"
SCRIPT = "scripts/verify_env.py"
MODULES = sorted((ROOT / PACKAGE).glob("*.py"))
LONGEST = 400
# What those who import the script, and not the package, may rely on.
PUBLIC = {"FORMAT", "VerifyError", "compare_snapshots", "load_policy", "load_snapshot", "main", "overall", "probe_pins",
          "read_pins", "report", "take_snapshot"}  # fmt: skip


def one_file(checkout: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, checkout / "scripts/one_file", *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of the package, of what is written from it, and of the program that does it."""
    (tmp_path / "scripts").mkdir()
    for name in ("one_file", "verify_env.py"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture(scope="module")
def order() -> tuple[str, ...]:
    """The modules in the order in which scripts/one_file lists them."""
    loader = importlib.machinery.SourceFileLoader("one_file_for_tests", str(ROOT / "scripts/one_file"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module  # its dataclass looks there for its module
    loader.exec_module(module)
    return module.MODULES


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), feature_version=(3, 8))


def definitions(tree: ast.Module) -> dict[str, str]:
    """The functions and classes of a module by name, as text that says all of each."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name: ast.dump(node) for node in tree.body if isinstance(node, kinds)}


def constants(tree: ast.Module) -> set[str]:
    return {ast.dump(node) for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)}


# --- the script and the package -------------------------------------------------------------------------------------


def test_the_script_is_current():
    done = one_file(ROOT, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("module", [path.name for path in MODULES if path.stem != "__init__"])
def test_a_change_of_any_module_makes_the_script_stale(checkout, module):
    with (checkout / PACKAGE / module).open("a", encoding="utf-8") as stream:
        stream.write("\nCHANGED = 1\n")
    before = (checkout / SCRIPT).read_bytes()
    done = one_file(checkout, "--check")
    assert done.returncode == 1
    assert done.stderr == f"{SCRIPT} is not what {PACKAGE}/ gives\n  fix: run scripts/one_file\n"
    assert (checkout / SCRIPT).read_bytes() == before


def test_a_change_of_the_script_itself_is_undone_and_it_stays_a_program(checkout):
    with (checkout / SCRIPT).open("a", encoding="utf-8") as stream:
        stream.write("print()\n")
    assert one_file(checkout, "--check").returncode == 1
    assert one_file(checkout).stdout == f"wrote {SCRIPT}\n"
    assert (checkout / SCRIPT).read_bytes() == (ROOT / SCRIPT).read_bytes()
    assert os.access(checkout / SCRIPT, os.X_OK)
    assert one_file(checkout).stdout == ""


@pytest.mark.parametrize(
    ("module", "line", "reason"),
    [
        ("files", "from .machine import architecture\n", "where MODULE comes earlier among MODULES and defines NAME"),
        ("report", "from .machine import architecture as cpu\n", "`from .MODULE import NAME`"),
        ("report", "from . import machine\n", "`from .MODULE import NAME`"),
        ("report", "from ..settings import ROOT\n", "`from .MODULE import NAME`"),
        ("report", "\n\ndef late():\n    from .machine import architecture\n", "at the top only"),
        ("machine", "\n\ndef digest_of():\n    pass\n", "files.py and machine.py both define digest_of: rename one"),
        ("another", "ONE = 1\n", "another.py is not among MODULES"),
    ],
)
def test_what_would_mean_another_thing_in_one_file_is_refused(checkout, module, line, reason):
    path = checkout / PACKAGE / f"{module}.py"
    text = path.read_text("utf-8") if path.exists() else '"""Another."""\n\n'
    first = "from __future__ import annotations\n"
    path.write_text(text + line if "def " in line or not path.exists() else text.replace(first, first + line), "utf-8")
    done = one_file(checkout, "--check")
    assert done.returncode == 2
    assert reason in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_script_has_the_packages_functions_and_constants_and_no_others():
    trees = [parsed(path) for path in MODULES if path.stem != "__init__"]
    in_package = [pair for tree in trees for pair in definitions(tree).items()]
    script = parsed(ROOT / SCRIPT)
    assert sorted(in_package) == sorted(definitions(script).items())
    assert in_package
    of_its_own = constants(script) - set().union(*map(constants, trees))
    assert {name for name in of_its_own if "SEARCHED" not in name} == set()


def test_the_script_says_what_it_is_written_from():
    second = (ROOT / SCRIPT).read_text("utf-8").splitlines()[1]
    assert second.startswith("# Written by scripts/one_file from ") and PACKAGE in second


def test_public_names_of_the_script():
    tree = parsed(ROOT / SCRIPT)
    assigned = {part.id for node in tree.body for part in ast.walk(node) if isinstance(part, ast.Name)}
    assert {*definitions(tree), *assigned} >= PUBLIC


# --- the package's walls --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*MODULES, ROOT / SCRIPT], ids=lambda path: path.name)
def test_source_is_python_3_8_and_imports_the_standard_library_only(path):
    nodes = list(ast.walk(parsed(path)))
    imported = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    imported += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names
    assert all(node.level < 2 for node in nodes if isinstance(node, ast.ImportFrom)), "of the rest of poseparity"
    assert not any(isinstance(node, ast.Match | ast.TryStar) for node in nodes)


@pytest.mark.parametrize("path", [*MODULES, ROOT / SCRIPT], ids=lambda path: path.name)
def test_names_newer_than_python_3_8_are_not_used(path):
    newer = (
        r"\.removeprefix|\.removesuffix|is_relative_to|functools\.cache\b|math\.(lcm|cbrt|nextafter)|strict=|"
        r"\.with_stem|\.readlink\(|freedesktop_os_release|stdlib_module_names|datetime\.UTC|graphlib|zoneinfo"
    )
    assert not re.findall(newer, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [*MODULES, ROOT / SCRIPT], ids=lambda path: path.name)
def test_annotations_are_never_evaluated(path):
    """`int | None` and `list[str]` are fine in annotations on Python 3.8 only because of this import."""
    assert "from __future__ import annotations" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_is_short_enough_to_be_read_at_once(path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


def test_imports_go_one_way(order):
    assert sorted(order) == sorted(path.stem for path in MODULES if path.stem != "__init__")
    for path in MODULES:
        nodes = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.ImportFrom) and node.level]
        assert path.stem == "__init__" or {node.module for node in nodes} <= set(order[: order.index(path.stem)])


def test_an_import_of_what_is_not_everywhere_is_found(checkout):
    path = checkout / PACKAGE / "report.py"
    text = path.read_text("utf-8")
    for line in ("import numpy\n", "from ..errors import PinError\n"):
        path.write_text(text.replace("import re\n", line), "utf-8")
        with pytest.raises(AssertionError):
            test_source_is_python_3_8_and_imports_the_standard_library_only(path)
