"""scripts/verify_env.py in real environments: small ones made here, with real faults, and the locked one."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path

import numpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/verify_env.py"
PINS = ROOT / "lockfiles/numerics.env"
VERSIONS = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


def load_script():
    spec = importlib.util.spec_from_file_location("verify_env_in_environments", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ve = load_script()


def unpinned(**changes: str) -> dict[str, str]:
    """This process's environment without any pin, then with `changes`."""
    pins = ve.read_pins(PINS)
    return {**{name: value for name, value in os.environ.items() if name not in pins}, **changes}


def run(python: Path | str, *arguments: object, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([python, SCRIPT, *map(str, arguments)], env=environ or unpinned(), capture_output=True,
                          text=True, check=False, timeout=300)


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
        contents = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\ntext\n",
                    **{f"{info}/{file}": text for file, text in extra.items()}}
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
    made.install("demo-pkg", "1.0", {"demo_pkg/__init__.py": "", "demo_pkg/core.py": "ONE = 1\n",
                                     "demo_pkg/data/a": "a", "demo_pkg/data/b": "b"})
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


# --- imports that fail ----------------------------------------------------------------------------------------------


def test_modules_that_raise_or_crash_cost_only_themselves(environment):
    environment.install("mmcv-lite", "2.1.0", {"mmcv/__init__.py": "raise RuntimeError('this build is broken')\n"})
    environment.install("mmengine", "0.10.7", {"mmengine/__init__.py": "import os; os.abort()\n"})
    environment.install("ultralytics", "8.4.0", {"ultralytics/__init__.py": "print('hello'); __version__ = '8.4.0'\n"})
    modules = environment.snapshot()["modules"]
    assert modules["mmcv"]["error"] == "RuntimeError: this build is broken"
    assert modules["mmengine"]["error"] == "ended by signal 6"
    assert modules["torch"]["error"] == "not installed"
    assert modules["ultralytics"] == {"imported": True, "error": None, "version": "8.4.0", "package": "ultralytics",
                                      "file": "ultralytics/__init__.py", "from_package": True, "build": {}}
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
    files = {"service/poseparity/a.py": "1", "service/gunicorn.conf.py": "2", "lockfiles/cpu.lock": "3",
             "service/bundles/demo/bundle.toml": "4", "service/bundles/demo/weights/x.safetensors": "5"}
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
        program = ("import sys, json; sys.path.insert(0, sys.argv[1]); import verify_env\n"
                   "print(json.dumps(verify_env.describe_libm()))")
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
    assert {name: facts["library"] for name, facts in fingerprint["operations"].items()} == \
        {name: packages[name.split(".")[0]] for name in fingerprint["operations"]}
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
    "NPY_DISABLE_CPU_FEATURES": "AVX512-SKX", "OPENCV_CPU_DISABLE": "AVX512_SKX", "OPENBLAS_CORETYPE": "Hazwell",
    "ONEDNN_MAX_CPU_ISA": "HASWELL", "MKL_CBWR": "NONSENSE", "OPENCV_IPP": "off",
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
    program = ("import os, sys; sys.path.insert(0, sys.argv[1]); import verify_env as v\n"
               "environ = dict(os.environ); import numpy, cv2, scipy, torch\n"
               "pins = v.read_pins(sys.argv[2]); print('before')\n"
               "probed = v.probe_pins(pins, environ)\n"
               "print([pin['name'] for pin in probed if not pin['ok']])\n")
    environ = unpinned(**ve.read_pins(PINS))
    command = [sys.executable, "-c", program, SCRIPT.parent, PINS]
    before, wrong = subprocess.check_output(command, env=environ, text=True).splitlines()
    assert (before, wrong) == ("before", "[]")
