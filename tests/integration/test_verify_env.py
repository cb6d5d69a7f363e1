"""scripts/verify_env.py in real environments: small ones made here, with real faults, and the locked one."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import platform
import py_compile
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from py_compile import PycInvalidationMode

import numpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/verify_env.py"
PINS = ROOT / "lockfiles/numerics.env"
POLICY = ROOT / "lockfiles/parity.toml"
VERSIONS = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


def load_script():
    spec = importlib.util.spec_from_file_location("verify_env_in_environments", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ve = load_script()


def unpinned(**changes: str) -> dict[str, str]:
    """This process's environment without any pin, and without what libraries set in it, then with `changes`."""
    pins = ve.read_pins(PINS)
    dropped = {*pins, *ve.describe_variables(dict(os.environ), pins)}
    return {**{name: value for name, value in os.environ.items() if name not in dropped}, **changes}


def run(python: Path | str, *arguments: object, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [python, SCRIPT, *map(str, arguments)],
        env=environ or unpinned(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def snapshot(python: Path | str, *arguments: object, environ: dict[str, str] | None = None) -> dict:
    answer = run(python, "snapshot", *arguments, environ=environ)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


class SmallEnvironment:
    """A virtual environment made offline, into which packages are installed by hand as installers do it."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin" / "python"
        self.site = next((folder / "lib").glob("python*")) / "site-packages"

    def install(self, name: str, version: str, files: dict[str, str], record: bool = True, **extra: str) -> Path:
        """Writes the files and the dist-info folder, whose RECORD lists all but itself with hashes."""
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        contents = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\ntext\n",
            **{f"{info}/{file}": text for file, text in extra.items()},
        }
        for file, text in contents.items():
            (self.site / file).parent.mkdir(parents=True, exist_ok=True)
            (self.site / file).write_text(text, encoding="utf-8")
        rows = [f"{file},sha256={self.record_hash(text)},{len(text)}" for file, text in contents.items()]
        rows += [f"{name}/__pycache__/__init__.cpython-311.pyc,,", f"{info}/RECORD,,"]
        if record:
            (self.site / info / "RECORD").write_text("\n".join(rows) + "\n", encoding="utf-8")
        return self.site / info

    @staticmethod
    def record_hash(text: str) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()

    def snapshot(self, *arguments: object, **environ: str) -> dict:
        return snapshot(self.python, *arguments, environ=unpinned(**environ))


@pytest.fixture
def environment(tmp_path) -> SmallEnvironment:
    made = SmallEnvironment(tmp_path / "venv")
    made.install(
        "demo-pkg",
        "1.0",
        {"demo_pkg/__init__.py": "", "demo_pkg/core.py": "ONE = 1\n", "demo_pkg/data/a": "a", "demo_pkg/data/b": "b"},
    )
    return made


# --- packages and their files ---------------------------------------------------------------------------------------


def test_intact_files_are_checked(environment):
    facts = environment.snapshot()["packages"]["demo-pkg"]
    assert facts["version"] == "1.0" and facts["record_digest"]
    assert facts["integrity"] == {"status": "checked", "files": 5, "modified": [], "modified_count": 0, "missing": []}


def test_changed_and_lost_files_are_named(environment):
    (environment.site / "demo_pkg/core.py").write_text("ONE = 2\n", encoding="utf-8")
    (environment.site / "demo_pkg/data/a").unlink()
    (environment.site / "demo_pkg/data/b").unlink()
    (environment.site / "demo_pkg/__pycache__").mkdir()
    (environment.site / "demo_pkg/__pycache__/core.cpython-311.pyc").write_bytes(b"byte code")
    integrity = environment.snapshot()["packages"]["demo-pkg"]["integrity"]
    assert integrity["modified"] == ["demo_pkg/core.py"]
    assert integrity["missing"] == ["demo_pkg/data/"]


def test_hashing_can_be_left_out_and_the_snapshot_says_so(environment):
    assert environment.snapshot("--no-integrity")["packages"]["demo-pkg"]["integrity"] == {"status": "skipped"}


def test_a_package_without_record_is_reported_as_such(environment):
    environment.install("bare", "2.0", {"bare.py": ""}, record=False)
    facts = environment.snapshot()["packages"]["bare"]
    assert facts["integrity"] == {"status": "no-record"} and facts["record_digest"] is None


def test_an_editable_install_is_recognised(environment):
    url = json.dumps({"url": "file:///project", "dir_info": {"editable": True}})
    environment.install("own", "0.1", {"__editable__.own-0.1.pth": "/project\n"}, **{"direct_url.json": url})
    facts = environment.snapshot()["packages"]["own"]
    assert facts["editable"] is True and facts["record_digest"] is None and facts["integrity"]["status"] == "checked"


def test_two_versions_in_one_folder_are_duplicates(environment):
    environment.install("demo-pkg", "1.1", {"demo_pkg/core.py": "ONE = 1\n"})
    assert environment.snapshot()["packages"]["demo-pkg"]["duplicates"] == ["1.1"]


def test_leftovers_of_an_interrupted_install_are_no_package(environment):
    (environment.site / "~emo_pkg-0.9.dist-info").mkdir()
    assert set(environment.snapshot()["packages"]) == {"demo-pkg"}


def test_old_egg_info_files_and_folders_are_packages_too(environment):
    (environment.site / "single-3.0.egg-info").write_text("Name: Single\nVersion: 3.0\n", encoding="utf-8")
    (environment.site / "folder-4.0.egg-info").mkdir()
    (environment.site / "folder-4.0.egg-info/PKG-INFO").write_text("Name: folder\nVersion: 4.0\n", encoding="utf-8")
    packages = environment.snapshot()["packages"]
    assert (packages["single"]["version"], packages["folder"]["version"]) == ("3.0", "4.0")


def test_an_installed_file_that_cannot_be_read_is_an_error_in_one_line(environment):
    (environment.site / "demo_pkg/core.py").unlink()
    (environment.site / "demo_pkg/core.py").mkdir()  # root, too, cannot read a folder as a file
    answer = run(environment.python, "snapshot")
    assert answer.returncode == 2 and len(answer.stderr.splitlines()) == 1 and "core.py" in answer.stderr


def test_a_broken_direct_url_is_an_error_in_one_line(environment):
    environment.install("own", "0.1", {"own.py": ""}, **{"direct_url.json": "{"})
    answer = run(environment.python, "snapshot")
    assert answer.returncode == 2 and len(answer.stderr.splitlines()) == 1 and "direct_url.json" in answer.stderr


def test_a_second_provider_of_cv2_is_found_though_each_looks_installed(environment):
    environment.install("opencv-python", "4.12.0.88", {"cv2/__init__.py": "__version__ = '4.12.0'\n"})
    environment.install("opencv-contrib-python", "4.11.0.86", {"cv2/__init__.py": "__version__ = '4.11.0'\n"})
    taken = environment.snapshot()
    assert taken["cv2_providers"] == {"count": 2, "names": ["opencv-contrib-python", "opencv-python"]}
    assert taken["packages"]["opencv-python"]["integrity"]["modified"] == ["cv2/__init__.py"]
    findings = ve.compare_snapshots(taken, taken, ve.load_policy(ROOT / "lockfiles/parity.toml"))
    wrong = {item["path"] for item in findings if item["verdict"] == "error"}
    assert {"cv2_providers.count", "packages.opencv-python.integrity.modified"} <= wrong


def test_what_runs_at_every_start_is_named_unless_a_package_brought_it(environment):
    environment.install("setuptools", "81.0.0", {"distutils-precedence.pth": "import os\n"})
    (environment.site / "patch.pth").write_text("import os; os.patched = True\n")
    (environment.site / "sitecustomize.py").write_text("import os\n")
    (environment.site / "weights.py").write_text("")
    taken = environment.snapshot()
    assert {Path(name).name for name in taken["startup"]} == {"patch.pth", "sitecustomize.py"}
    plain = {**taken, "startup": {}}
    findings = ve.compare_snapshots(plain, taken, ve.load_policy(ROOT / "lockfiles/parity.toml"))
    wrong = [item["path"] for item in findings if item["path"].startswith("startup") and item["verdict"] == "error"]
    assert wrong == [f"startup.{name}" for name in taken["startup"]]


# --- where modules come from ----------------------------------------------------------------------------------------


def errors(taken: dict, reference: dict | None = None) -> dict[str, object]:
    """What the policy forbids of a snapshot, by the names of the facts under `imports`, `variables` and `libraries`."""
    findings = ve.compare_snapshots(taken if reference is None else reference, taken, ve.load_policy(POLICY))
    sections = ("imports.", "variables.", "libraries.", "interpreter.")
    return {
        item["path"]: item["current"]
        for item in findings
        if item["verdict"] == "error" and item["path"].startswith(sections)
    }


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_of_an_environment_as_installed_nothing_is_forbidden(environment):
    taken = environment.snapshot()
    assert errors(taken) == {}
    assert taken["imports"] == {
        "path": ["<standard library>", "<site-packages>"],
        "folders": {},
        "shadowed": {},
        "unrecorded": {},
        "bytecode": {},
        "standard_library": {},
    }


def test_modules_that_are_found_before_others_of_their_names_are_named(environment, tmp_path):
    planted = tmp_path / "planted"
    for file in ("csv.py", "json/__init__.py", "wave.pyc", "demo_pkg.py", "own.py", "xml/a.txt", "abc.cpython-38.so"):
        write(planted / file)
    taken = environment.snapshot(PYTHONPATH=str(planted))
    shadowed = {name: text.rpartition(" ")[0] for name, text in taken["imports"]["shadowed"].items()}
    assert shadowed == {
        name: str(planted / file)
        for name, file in (("csv", "csv.py"), ("demo_pkg", "demo_pkg.py"), ("json", "json"), ("wave", "wave.pyc"))
    }
    assert list(errors(taken)) == [f"imports.shadowed.{name}" for name in shadowed]
    plain = {**taken, "imports": {**taken["imports"], "path": ["<standard library>", "<site-packages>"], "folders": {}}}
    assert errors(taken, plain)["imports.path"] == [str(planted), *plain["imports"]["path"]]


def test_a_package_that_is_installed_before_another_version_is_compared_as_a_package(environment, tmp_path):
    """pip install --target, and its folder on PYTHONPATH; a module of Python's own is shadowed by a package, too."""
    plain = environment.snapshot()
    other = SmallEnvironment(tmp_path / "other")
    other.install("demo-pkg", "1.1", {"demo_pkg/__init__.py": "", "demo_pkg/core.py": "ONE = 3\n", "csv.py": ""})
    taken = environment.snapshot(PYTHONPATH=str(other.site))
    assert list(taken["imports"]["shadowed"]) == ["csv"]
    findings = ve.compare_snapshots(plain, taken, ve.load_policy(POLICY))
    assert "packages.demo-pkg.version" in {item["path"] for item in findings if item["verdict"] == "error"}


def test_an_archive_on_the_path_is_looked_into(environment, tmp_path):
    archive = tmp_path / "planted.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("csv.py", "")
        writer.writestr("demo_pkg/__init__.py", "")
    assert list(errors(environment.snapshot(PYTHONPATH=str(archive)))) == [
        "imports.shadowed.csv",
        "imports.shadowed.demo_pkg",
    ]


def test_a_folder_that_comes_last_takes_nobodys_place_and_is_another_path(environment, tmp_path):
    write(tmp_path / "extra/csv.py")
    plain = environment.snapshot()
    write(environment.site / "extra.pth", f"{tmp_path / 'extra'}\n")
    taken = environment.snapshot()
    assert taken["imports"]["shadowed"] == {} and errors(taken) == {}
    assert errors(taken, plain)["imports.path"][-1] == str(tmp_path / "extra")
    folders = {str(tmp_path / "extra"): "1 files of another digest"}
    other = {**taken, "imports": {**taken["imports"], "folders": folders}}
    assert list(errors(taken, other)) == [f"imports.folders.{tmp_path / 'extra'}"]


def test_site_packages_before_the_standard_library_are_another_order(environment):
    write(environment.site / "csv.py")
    assert list(errors(environment.snapshot(PYTHONPATH=str(environment.site)))) == ["imports.shadowed.csv"]


def test_a_module_beside_the_programs_is_found_before_all_others(environment):
    """Python puts a program's folder first."""
    write(environment.python.parent / "csv.py")
    assert list(errors(environment.snapshot())) == ["imports.shadowed.csv"]


def test_a_module_in_the_checkout_is_found_first_by_gunicorn(environment, tmp_path):
    write(tmp_path / "root/service/poseparity/__init__.py")
    write(tmp_path / "root/csv.py")
    assert errors(environment.snapshot("--root", tmp_path / "root")) == {
        "imports.shadowed.csv": f"<checkout>/csv.py {hashlib.sha256(b'').hexdigest()[:12]}"
    }


def test_code_that_came_with_no_package_is_named(environment):
    added = ["demo_pkg/core.abi3.so", "demo_pkg/core/__init__.py", "demo_pkg/extra.pyc"]
    for file in (*added, "demo_pkg/notes.txt", "demo_pkg/__pycache__/core.cpython-311.pyc"):
        write(environment.site / file)
    assert errors(environment.snapshot()) == {"imports.unrecorded.demo_pkg": [added[0], added[2], added[1]]}
    environment.install("bare", "2.0", {"bare/__init__.py": ""}, record=False)  # then nobody knows whose files they are
    groups = ve.group_by_name(ve.find_distributions([str(environment.site)]))
    assert ve.describe_unrecorded(groups) == {}


# --- byte code ------------------------------------------------------------------------------------------------------


def compiled(source: Path, mode: PycInvalidationMode, text: str = "ONE = 2\n", optimize: int = 0) -> Path:
    """Byte code of another source, of equal length and time, in the place of that of `source`."""
    mine, status = source.read_text(encoding="utf-8"), source.stat()
    cached = importlib.util.cache_from_source(str(source), optimization=optimize or "")
    source.write_text(text, encoding="utf-8")
    os.utime(source, (status.st_atime, status.st_mtime))
    py_compile.compile(str(source), cached, invalidation_mode=mode, optimize=optimize)
    source.write_text(mine, encoding="utf-8")
    os.utime(source, (status.st_atime, status.st_mtime))
    return Path(cached)


BYTECODE = "imports.bytecode.lib/python3.11/site-packages/demo_pkg/__pycache__/core.cpython-311.pyc"


@pytest.mark.parametrize("mode", [PycInvalidationMode.UNCHECKED_HASH, PycInvalidationMode.TIMESTAMP])
def test_byte_code_of_another_source_is_named(environment, mode):
    """The package's files are as installed, and Python runs something else."""
    compiled(environment.site / "demo_pkg/core.py", mode)
    program = "import demo_pkg.core; print(demo_pkg.core.ONE)"
    assert subprocess.check_output([environment.python, "-c", program], text=True) == "2\n"
    taken = environment.snapshot()
    assert taken["packages"]["demo-pkg"]["integrity"]["modified"] == []
    assert errors(taken) == {BYTECODE: "not what its source gives"}


def test_byte_code_that_tells_the_hash_of_a_source_that_it_is_not_of_is_named(environment):
    source = environment.site / "demo_pkg/core.py"
    cached = compiled(source, PycInvalidationMode.CHECKED_HASH)
    data = bytearray(cached.read_bytes())
    data[8:16] = importlib.util.source_hash(source.read_bytes())
    cached.write_bytes(data)
    assert errors(environment.snapshot()) == {BYTECODE: "not what its source gives"}


@pytest.mark.parametrize("mode", list(PycInvalidationMode))
def test_byte_code_of_its_own_source_is_as_it_should_be(environment, mode):
    source = environment.site / "demo_pkg/core.py"
    compiled(source, mode, "ONE = 1\n")
    assert ve.is_run(Path(importlib.util.cache_from_source(str(source))).read_bytes()[:16], source.read_bytes(), source)
    assert ve.bytecode_fault(source) is None


def test_byte_code_that_python_would_not_run_is_not_judged(environment):
    """Of a source that was edited since, of another Python, of another level of optimisation, and half a file."""
    source = environment.site / "demo_pkg/core.py"
    compiled(source, PycInvalidationMode.CHECKED_HASH)
    compiled(source, PycInvalidationMode.UNCHECKED_HASH, optimize=1)
    write(source.parent / "__pycache__/core.cpython-38.pyc", "x")
    write(source.parent / "__pycache__/__init__.cpython-311.pyc", "x")
    assert errors(environment.snapshot()) == {}


def test_byte_code_in_another_place_is_looked_at_too(environment, tmp_path):
    prefix = tmp_path / "cache"
    source = environment.site / "demo_pkg/core.py"
    cached = compiled(source, PycInvalidationMode.UNCHECKED_HASH)
    place = prefix / cached.relative_to("/").parent.parent / "core.cpython-311.pyc"
    write(place).write_bytes(cached.read_bytes())
    cached.unlink()
    assert errors(environment.snapshot(PYTHONPYCACHEPREFIX=str(prefix))) == {
        f"imports.bytecode.{place}": "not what its source gives"
    }


def test_with_optimisation_the_byte_code_of_that_level_is_looked_at(environment):
    plain = environment.snapshot()
    compiled(environment.site / "demo_pkg/core.py", PycInvalidationMode.UNCHECKED_HASH, optimize=1)
    assert errors(environment.snapshot(PYTHONOPTIMIZE="1"), plain) == {
        BYTECODE.replace(".pyc", ".opt-1.pyc"): "not what its source gives",
        "variables.PYTHONOPTIMIZE": "1",
    }


# --- variables and libraries ----------------------------------------------------------------------------------------


def test_what_a_process_was_started_with_is_recorded_not_what_it_set_itself(environment):
    """But for secrets, and the pins, which are recorded by themselves."""
    write(environment.site / "sets.pth", "import os; os.environ['OPENCV_FOR_THREADS_NUM'] = '4'\n")
    given = {"MKL_ENABLE_INSTRUCTIONS": "AVX512", "OMP_NUM_THREADS": "3", "YOLO_API_KEY": "hidden", "MY_OWN": "hidden"}
    taken = environment.snapshot(**given)
    assert "hidden" not in json.dumps(taken) and "OPENCV_FOR_THREADS_NUM" not in taken["variables"]
    wanted = {"variables.MKL_ENABLE_INSTRUCTIONS": "AVX512"}
    assert errors(taken, {**taken, "variables": {}}) == wanted


def test_a_library_that_is_loaded_from_elsewhere_is_named(environment, tmp_path):
    """Without a variable it is named as well: by what the process has loaded."""
    library = tmp_path / "libplanted.so"
    library.write_bytes(Path(importlib.import_module("_queue").__file__).read_bytes())
    (environment.site / "load.pth").write_text(f"import ctypes; ctypes.CDLL({str(library)!r})\n")
    taken = environment.snapshot()
    assert errors(taken) == {}
    sha256 = hashlib.sha256(library.read_bytes()).hexdigest()[:12]
    assert errors(taken, {**taken, "libraries": {}}) == {f"libraries.{library}": sha256}


def test_the_standard_library_is_held_to_what_dpkg_installed(tmp_path, monkeypatch):
    folder = tmp_path / "lib"
    sums = {name: hashlib.md5(name.encode()).hexdigest() for name in ("csv.py", "json/__init__.py", "gone.py")}
    for name in ("csv.py", "json/__init__.py", "wave.py", "site-packages/own.py"):
        write(folder / name, name)
    write(folder / "json/__init__.py", "changed")
    write(tmp_path / "etc.py", "another")
    (folder / "sitecustomize.py").symlink_to(tmp_path / "etc.py")
    listed = "".join(f"{value}  {str(folder / name)[1:]}\n" for name, value in sums.items())
    write(tmp_path / "dpkg/info/libpython3.11-stdlib.md5sums", listed)
    monkeypatch.setattr(ve, "standard_library", lambda: folder)
    assert ve.describe_standard_library(tmp_path) == {}
    monkeypatch.setattr(ve, "DPKG", tmp_path / "dpkg")
    assert ve.describe_standard_library(tmp_path) == {
        "<standard library>/json/__init__.py": "not Debian's",
        "<standard library>/sitecustomize.py": "not of Debian's packages",
        "<standard library>/wave.py": "not of Debian's packages",
    }


# --- imports that fail ----------------------------------------------------------------------------------------------


def test_modules_that_raise_or_crash_cost_only_themselves(environment):
    environment.install("mmcv-lite", "2.1.0", {"mmcv/__init__.py": "raise RuntimeError('this build is broken')\n"})
    environment.install("mmengine", "0.10.7", {"mmengine/__init__.py": "import os; os.abort()\n"})
    environment.install("ultralytics", "8.4.0", {"ultralytics/__init__.py": "print('hello'); __version__ = '8.4.0'\n"})
    modules = environment.snapshot()["modules"]
    assert modules["mmcv"]["error"] == "RuntimeError: this build is broken"
    assert modules["mmengine"]["error"] == "ended by signal 6"
    assert modules["torch"]["error"] == "not installed"
    assert modules["ultralytics"] == {
        "imported": True,
        "error": None,
        "version": "8.4.0",
        "package": "ultralytics",
        "file": "ultralytics/__init__.py",
        "from_package": True,
        "build": {},
    }
    assert [name for name in modules if modules[name]["imported"]] == ["ultralytics"]


def test_a_module_from_outside_any_package_is_found(environment, tmp_path):
    environment.install("mmcv-lite", "2.1.0", {"mmcv/__init__.py": "__version__ = '2.1.0'\n"})
    (tmp_path / "shadow/mmcv").mkdir(parents=True)
    (tmp_path / "shadow/mmcv/__init__.py").write_text("__version__ = '2.1.0'\n", encoding="utf-8")
    assert environment.snapshot()["modules"]["mmcv"]["from_package"] is True
    facts = environment.snapshot(PYTHONPATH=str(tmp_path / "shadow"))["modules"]["mmcv"]
    assert facts["from_package"] is False and facts["package"] is None
    assert facts["file"] == str(tmp_path / "shadow/mmcv/__init__.py")


def test_a_module_whose_import_hangs_is_named(tmp_path, monkeypatch):
    for name, code in {"mmcv": "__version__ = '1'\n", "mmengine": "import time; time.sleep(60)\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(ve, "CHILD_SECONDS", 3)
    request = {"modules": ["mmcv", "mmengine"], "pins": {}, "without": []}
    answers, failure = ve.run_child(request, unpinned(PYTHONPATH=str(tmp_path)))
    assert [list(answer) for answer in answers] == [["mmcv"]]
    assert failure == "no answer within 3 s"


def test_what_start_up_files_print_does_not_disturb(environment):
    (environment.site / "sitecustomize.py").write_text("print('noise')\n", encoding="utf-8")
    path = environment.site / "snapshot.json"
    answer = run(environment.python, "snapshot", "-o", path)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(path.read_text(encoding="utf-8"))["modules"]["numpy"]["error"] == "not installed"


# --- the fingerprint ------------------------------------------------------------------------------------------------

FAKE_CV2 = """
import os
__version__ = "4.12.0"
class ipp:
    useIPP = staticmethod(bool)
    getIppVersion = staticmethod(str)
getBuildInformation = getCPUFeaturesLine = str
getNumThreads = int
error = RuntimeError
def getHardwareFeatureName(number): return ""
def setNumThreads(count): os.abort()
"""


def test_without_numpy_there_is_no_fingerprint_and_the_snapshot_says_so(environment):
    taken = environment.snapshot()
    assert taken["fingerprint"] == {"skipped": "numpy, which makes the inputs, cannot be imported"}
    findings = ve.compare_snapshots(taken, taken, ve.load_policy(ROOT / "lockfiles/parity.toml"))
    assert "fingerprint.skipped" in {item["path"] for item in findings if item["verdict"] == "error"}


def test_an_operation_that_ends_the_process_costs_the_fingerprint_and_nothing_else(environment):
    """A cv2 that can be imported and crashes when it computes, beside the real NumPy."""
    environment.install("opencv-python", "4.12.0.88", {"cv2/__init__.py": FAKE_CV2})
    (environment.site / "numpy").symlink_to(Path(numpy.__file__).parent)
    (environment.site / "numpy.libs").symlink_to(Path(numpy.__file__).parent.parent / "numpy.libs")
    taken = environment.snapshot()
    assert taken["fingerprint"] == {"skipped": "the process that takes it failed: ended by signal 6"}
    assert [name for name in ("numpy", "cv2") if not taken["modules"][name]["imported"]] == []


def test_a_library_that_cannot_be_imported_is_an_error_and_the_others_are_run():
    operations = ve.take_fingerprint(without=("cv2",))["operations"]
    assert operations["cv2"] == {"error": "cv2 cannot be imported"}
    assert {name.split(".")[0] for name in operations if "sha256" in operations[name]} == {"numpy", "torch"}


# --- the project's own files ----------------------------------------------------------------------------------------


def test_bundle_code_and_locks_are_described_and_compared(environment, tmp_path):
    root = tmp_path / "root"
    files = {
        "service/poseparity/a.py": "1",
        "service/gunicorn.conf.py": "2",
        "lockfiles/cpu.lock": "3",
        "service/bundles/demo/bundle.toml": "4",
        "service/bundles/demo/weights/x.safetensors": "5",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    before = environment.snapshot("--root", root)
    assert before["code"]["files"] == 2
    assert list(before["locks"]) == ["lockfiles/cpu.lock"]
    assert before["bundle"]["files"]["bundle.toml"] == hashlib.sha256(b"4").hexdigest()
    assert before["pins"]["found"] is False
    (root / "service/bundles/demo/weights/x.safetensors").write_text("6", encoding="utf-8")
    after = environment.snapshot("--root", root)
    findings = ve.compare_snapshots(before, after, ve.load_policy(ROOT / "lockfiles/parity.toml"))
    assert "bundle.files.weights/x.safetensors" in {item["path"] for item in findings if item["verdict"] == "error"}
    assert not any(item["path"].startswith("code") for item in findings)


@pytest.mark.parametrize(("option", "message"), [("--bundle", "is no folder"), ("--pins", "cannot be read")])
def test_files_that_are_named_and_absent_are_errors(environment, tmp_path, option, message):
    answer = run(environment.python, "snapshot", option, tmp_path / "none")
    assert answer.returncode == 2 and message in answer.stderr and len(answer.stderr.splitlines()) == 1


# --- libm -----------------------------------------------------------------------------------------------------------

GLIBC_X86 = platform.libc_ver()[0] == "glibc" and platform.machine() == "x86_64"


@pytest.mark.skipif(not GLIBC_X86, reason="no glibc on x86-64, whose code paths can be switched: libm was NOT tested")
def test_libm_digests_see_another_code_path_and_ignore_avx512():
    """glibc chooses libm's code by CPU; GLIBC_TUNABLES takes features away as an older processor would lack them."""

    def digests(hwcaps: str) -> dict:
        program = (
            "import sys, json; sys.path.insert(0, sys.argv[1]); import verify_env\n"
            "print(json.dumps(verify_env.describe_libm()))"
        )
        command = [sys.executable, "-c", program, SCRIPT.parent]
        environ = unpinned(GLIBC_TUNABLES=f"glibc.cpu.hwcaps={hwcaps}")
        return json.loads(subprocess.check_output(command, env=environ))

    here = ve.describe_libm()
    assert len(here) >= 30
    assert digests("-AVX512F,-AVX512VL,-AVX512F_Usable,-AVX512VL_Usable") == here
    without_fma = digests("-FMA,-AVX2,-FMA_Usable,-AVX2_Usable")
    assert {"exp", "sin", "cos", "pow"} <= {name for name in here if here[name] != without_fma[name]}
    assert here["sqrt"] == without_fma["sqrt"]


# --- the locked environment -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked(tmp_path_factory) -> Path:
    """A snapshot's file of the environment that runs this test, pins applied."""
    path = tmp_path_factory.mktemp("locked") / "local.json"
    answer = run(sys.executable, "snapshot", "--apply-pins", "-o", path)
    assert answer.returncode == 0, answer.stderr
    return path


def test_locked_environment_is_described_in_full(locked):
    taken = json.loads(locked.read_text(encoding="utf-8"))
    assert [name for name in ve.MODULES if not taken["modules"][name]["imported"]] == []
    numpy, torch = taken["modules"]["numpy"], taken["modules"]["torch"]
    assert numpy["version"] == subprocess.check_output([sys.executable, "-c", VERSIONS, "numpy"], text=True).strip()
    assert "AVX2" in numpy["build"]["cpu_dispatch"] and numpy["build"]["openblas"]["core"] == "Haswell"
    assert torch["build"]["cpu_capability"] == "AVX2" and torch["build"]["onednn_convolution"] == "jit:avx2"
    assert taken["cv2_providers"] == {"count": 1, "names": ["opencv-python"]}
    assert taken["packages"]["torch"]["integrity"]["files"] > 5000


def test_the_fingerprint_is_complete_and_names_each_operations_package(locked):
    fingerprint = json.loads(locked.read_text(encoding="utf-8"))["fingerprint"]
    assert [name for name, facts in fingerprint["operations"].items() if "sha256" not in facts] == []
    packages = {"numpy": "numpy", "cv2": "opencv-python", "torch": "torch"}
    assert {name: facts["library"] for name, facts in fingerprint["operations"].items()} == {
        name: packages[name.split(".")[0]] for name in fingerprint["operations"]
    }
    digests = [facts["sha256"] for facts in fingerprint["operations"].values()]
    assert len(digests) >= 40 and len(digests) == len(set(digests))


def test_the_clips_are_decoded_to_pictures():
    cv2 = importlib.import_module("cv2")
    frames = {name: ve.decoded(cv2, ve.Inputs(numpy), clip) for name, clip in ve.CLIPS.items()}
    assert {name: clip.shape for name, clip in frames.items()} == {"h264": (5, 48, 64, 3), "mpeg4": (4, 48, 64, 3)}
    assert all(clip.std() > 50 and (clip[0] != clip[1]).any() for clip in frames.values())


def test_every_pin_that_can_be_observed_took_effect(locked):
    pins = json.loads(locked.read_text(encoding="utf-8"))["pins"]["by_name"]
    assert {name: pin["state"] for name, pin in pins.items() if not pin["ok"]} == {}
    silent = {name for name, pin in pins.items() if not pin["observed"]}
    assert silent <= {"CUBLAS_WORKSPACE_CONFIG", "NUMEXPR_NUM_THREADS"}


def test_locked_environment_matches_itself(locked):
    answer = run(sys.executable, "compare", locked, "--apply-pins")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.splitlines()[-1].startswith("match: ")


@pytest.mark.slow
def test_a_shell_without_pins_is_a_mismatch_that_names_them(locked):
    answer = run(sys.executable, "compare", locked, "--json", "--no-integrity")
    assert answer.returncode == 1
    wrong = {item["path"] for item in json.loads(answer.stdout)["findings"] if item["verdict"] == "error"}
    assert {f"pins.by_name.{name}.state" for name in ve.read_pins(PINS)} <= wrong
    assert {"fingerprint.operations.torch.linear.sha256", "fingerprint.operations.torch.matmul.sha256"} <= wrong


WRONG_VALUES = {
    "NPY_DISABLE_CPU_FEATURES": "AVX512-SKX",
    "OPENCV_CPU_DISABLE": "AVX512_SKX",
    "OPENBLAS_CORETYPE": "Hazwell",
    "ONEDNN_MAX_CPU_ISA": "HASWELL",
    "MKL_CBWR": "NONSENSE",
    "OPENCV_IPP": "off",
}


@pytest.mark.slow
def test_values_that_the_libraries_silently_ignore_are_found(tmp_path):
    """Each is set as the pins' file wants it, so only the libraries can tell that it did nothing."""
    pins = tmp_path / "numerics.env"
    pins.write_text("".join(f"{name}={value}\n" for name, value in WRONG_VALUES.items()), encoding="utf-8")
    taken = snapshot(sys.executable, "--pins", pins, "--no-integrity", environ=unpinned(**WRONG_VALUES))
    states = {name: pin["state"] for name, pin in taken["pins"]["by_name"].items()}
    assert {name: state.split(",")[0] for name, state in states.items()} == dict.fromkeys(WRONG_VALUES, "no effect")


def test_probing_in_process_leaves_stdout_alone():
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import verify_env as v\n"
        "environ = dict(os.environ); import numpy, cv2, scipy, torch\n"
        "pins = v.read_pins(sys.argv[2]); print('before')\n"
        "probed = v.probe_pins(pins, environ)\n"
        "print([pin['name'] for pin in probed if not pin['ok']])\n"
    )
    environ = unpinned(**ve.read_pins(PINS))
    command = [sys.executable, "-c", program, SCRIPT.parent, PINS]
    before, wrong = subprocess.check_output(command, env=environ, text=True).splitlines()
    assert (before, wrong) == ("before", "[]")
