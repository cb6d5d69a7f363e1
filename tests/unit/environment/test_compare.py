"""scripts/verify_env.py: parsers, the policy, its judgement and the report, without looking at an environment."""

from __future__ import annotations

import ast
import copy
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/verify_env.py"
POLICY = ROOT / "lockfiles/parity.toml"


def load_script():
    spec = importlib.util.spec_from_file_location("verify_env_under_test", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ve = load_script()


def package(version: str, **changes) -> dict:
    integrity = {"status": "checked", "files": 3, "modified": [], "modified_count": 0, "missing": []}
    return {
        "version": version,
        "public_version": version.partition("+")[0],
        "editable": False,
        "location": "/x",
        "record_digest": f"digest of {version}",
        "duplicates": [],
        "integrity": integrity,
        **changes,
    }


def module(version: str, name: str, **build) -> dict:
    return {
        "imported": True,
        "error": None,
        "version": version,
        "file": f"{name}/__init__.py",
        "package": name,
        "from_package": True,
        "build": build,
    }


def operation(library: str, sha256: str) -> dict:
    return {"library": library, "sha256": sha256}


@pytest.fixture
def snapshot() -> dict:
    """A snapshot, shortened by hand, of what the real one holds in each section."""
    pin = {"wanted": "1", "set": "1", "effective": "1", "observed": True, "ok": True, "state": "in effect", "how": "x"}
    return {
        "kind": ve.KIND,
        "format": ve.FORMAT,
        "taken": {"at": "now", "host": "here", "seconds": 1.0},
        "interpreter": {
            "version": "3.11.2",
            "implementation": "CPython",
            "cache_tag": "cpython-311",
            "executable": "/x/bin/python",
            "prefix": "/x",
            "optimize": 0,
        },
        "os": {"system": "Linux", "release": "6.1", "distribution": "debian", "distribution_version": "12"},
        "libc": {"name": "glibc", "version": "2.36"},
        "libm": {"exp": "aa", "expf": "bb", "tanhf": "cc"},
        "machine": {"architecture": "x86_64", "byteorder": "little", "pointer_bits": 64, "processors": 2},
        "cpu": {"vendor": "v", "model": "m", "features": {"avx2": True, "fma": True, "avx512f": True}},
        "packages": {
            "numpy": package("1.24.3"),
            "opencv-python": package("4.12.0.88"),
            "rich": package("15.0.0"),
            "pip": package("26.0"),
        },
        "cv2_providers": {"count": 1, "names": ["opencv-python"]},
        "startup": {},
        "imports": {
            "path": ["<standard library>", "<site-packages>"],
            "folders": {},
            "shadowed": {},
            "unrecorded": {},
            "bytecode": {},
            "standard_library": {},
        },
        "variables": {"PYTHONUNBUFFERED": "1"},
        "libraries": {},
        "modules": {
            "numpy": module("1.24.3", "numpy", cpu_dispatch=["AVX2"]),
            "cv2": module("4.12.0", "opencv-python", ipp=False),
        },
        "pins": {"found": True, "sha256": "s", "source": "environment", "by_name": {"OMP_NUM_THREADS": pin}},
        "fingerprint": {
            "format": ve.FINGERPRINT_FORMAT,
            "seconds": 0.1,
            "operations": {
                "cv2.resize.cubic": operation("opencv-python", "r"),
                "torch.linear": operation("torch", "l"),
                "torch.matmul": operation("torch", "m"),
                "torch.sqrt": operation("torch", "s"),
                "numpy.sum": operation("numpy", "n"),
            },
        },
        "bundle": {"path": "/b", "digest": "d", "files": {"weights/pose.safetensors": "h1", "bundle.toml": "h2"}},
        "code": {"digest": "c", "files": 9},
        "locks": {"lockfiles/cpu.lock": "l"},
    }


@pytest.fixture(scope="module")
def policy():
    return ve.load_policy(POLICY)


@pytest.fixture
def compare(snapshot, policy):
    """compare(change): findings where `change` was made to the server's snapshot; `both`: to the local one, too."""

    def run(change, both: bool = False) -> list[dict]:
        server = copy.deepcopy(snapshot)
        change(server)
        return ve.compare_snapshots(server if both else snapshot, server, policy)

    return run


def by_verdict(findings: list[dict], verdict: str) -> list[str]:
    return [item["path"] for item in findings if item["verdict"] == verdict]


def put(dotted: str, value):
    """A change of one fact; a path segment may hold dots where it is the last one, after a colon."""

    def change(snapshot: dict) -> None:
        path, colon, key = dotted.partition(":")
        *parents, last = [*path.split("."), *([key] if colon else [])]
        for name in parents:
            snapshot = snapshot[name]
        snapshot[last] = value

    return change


# --- Python 3.8, one file -------------------------------------------------------------------------------------------


def test_source_is_python_3_8_and_imports_the_standard_library_only():
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 8))
    nodes = list(ast.walk(tree))
    imported = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    imported += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names
    assert not any(isinstance(node, ast.Match | ast.TryStar) for node in nodes)


def test_names_newer_than_python_3_8_are_not_used():
    newer = (
        r"\.removeprefix|\.removesuffix|is_relative_to|functools\.cache\b|math\.(lcm|cbrt|nextafter)|strict=|"
        r"\.with_stem|\.readlink\(|freedesktop_os_release|stdlib_module_names|datetime\.UTC|graphlib|zoneinfo"
    )
    assert not re.findall(newer, SCRIPT.read_text(encoding="utf-8"))


def test_annotations_are_never_evaluated():
    """`int | None` and `list[str]` are fine in annotations on Python 3.8 only because of this import."""
    assert "from __future__ import annotations" in SCRIPT.read_text(encoding="utf-8")


# --- the policy's file ----------------------------------------------------------------------------------------------


def test_simple_toml_reads_the_policy_as_tomllib_does():
    text = POLICY.read_text(encoding="utf-8")
    assert ve.read_simple_toml(text) == tomllib.loads(text)


def test_policy_loads_without_tomllib(monkeypatch, policy):
    monkeypatch.setattr(ve, "tomllib", None)  # what Python 3.8 to 3.10 have
    assert ve.load_policy(POLICY) == policy


scalars = st.one_of(
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"], exclude_characters="\x7f")),
)
values = st.one_of(scalars, st.lists(scalars, max_size=4))


def toml_of(value) -> str:
    return json.dumps(value, ensure_ascii=False)


@given(st.lists(st.dictionaries(st.from_regex(r"[a-z_-]{1,8}", fullmatch=True), values, max_size=4), max_size=4))
def test_simple_toml_agrees_with_tomllib(tables):
    lines = ["format = 1", "# comment", ""]
    for table in tables:
        lines += ["[[rule]]", *(f"{key} = {toml_of(value)} # x" for key, value in table.items())]
    text = "\n".join(lines)
    assert ve.read_simple_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "a = [1,\n  2, # two\n  3,\n]\nb = 'it\\s'",
        'a = "q \\" \\\\ \\u00e9 # no comment"',
        "a = []",
        "a = [\n]\nb = 2",
    ],
)
def test_simple_toml_agrees_on_spellings(text):
    assert ve.read_simple_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a = ",
        "a = 01",
        "a = 1 2",
        "a = [1 2]",
        "a = [1",
        "a = nope",
        'a = "x',
        'a = """x"""',
        "a = 1\na = 2",
        "[rule]",
        "a = 1.5",
        "a = {b = 1}",
        "a = [[1]]",
        "a = truely",
        'a = "\\q"',
        "a = ]",
    ],
)
def test_simple_toml_refuses_what_it_does_not_know(text):
    with pytest.raises(ValueError, match="line"):
        ve.read_simple_toml(text)


RULE = 'paths = ["a.**"]\nverdict = "must-equal"\nwhy = "w"\neffect = "e"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = 2\n[[rule]]\n" + RULE, "format 2"),
        ("[[rule]]\n" + RULE, "format None"),
        ("format = 1\n", "keys"),
        ("format = 1\nextra = 1\n[[rule]]\n" + RULE, "extra"),
        ("format = 1\nrule = 3\n", "keys"),
        ("format = 1\n[[rule]]\n" + RULE + "colour = 1\n", "colour"),
        ("format = 1\n[[rule]]\n" + RULE.replace('why = "w"', ""), "why"),
        ("format = 1\n[[rule]]\n" + RULE.replace('"e"', '""'), "effect"),
        ("format = 1\n[[rule]]\n" + RULE.replace("must-equal", "maybe"), "maybe"),
        ("format = 1\n[[rule]]\n" + RULE.replace("must-equal", "must-be"), "value"),
        ("format = 1\n[[rule]]\n" + RULE + "value = 1\n", "value"),
        ("format = 1\n[[rule]]\n" + RULE.replace('["a.**"]', '"a"'), "arrays"),
        ("format = 1\n[[rule]]\n" + RULE.replace("a.**", "a.**.b"), r"\*\*"),
        ("format = 1\n[[rule]]\n" + RULE.replace("a.**", "a..b"), "empty"),
        ("format = 1\n[[rule]]\n" + RULE + "[[rule]]\n" + RULE, "second rule"),
        ("format = \n", "TOML"),
        (
            "format = 1\n[[rule]]\n" + RULE + 'only_in = "both"\n',
            "only_in is 'both', expected one of reference, current",
        ),
    ],
)
def test_a_wrong_policy_is_refused_with_the_reason_in_one_line(tmp_path, text, message):
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ve.VerifyError, match=message) as caught:
        ve.load_policy(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a", False),
        ("a", "a.b", False),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.**", "a", True),
        ("a.**", "a.b.c", True),
        ("a.**", "b", False),
        ("a.x-*.c", "a.x-y.c", True),
        ("**", "a", True),
    ],
)
def test_patterns(pattern, path, expected):
    assert ve.matches(ve.parse_pattern(pattern, ""), tuple(path.split("."))) is expected


# --- judgement ------------------------------------------------------------------------------------------------------


def test_equal_snapshots_match(compare):
    assert compare(lambda snapshot: None) == []


@pytest.mark.parametrize(
    ("path", "value", "errors"),
    [
        ("packages.numpy.version", "1.26.4", ["packages.numpy.version"]),
        ("packages.opencv-python.version", "4.11.0.86", ["packages.opencv-python.version"]),
        ("packages.numpy.record_digest", "other", ["packages.numpy.record_digest"]),
        ("packages.rich.version", "14", ["packages.rich.version"]),
        ("packages.torch", package("2.13.0"), ["packages.torch"]),
        ("modules.numpy.version", "1.26.4", ["modules.numpy.version"]),
        ("modules.numpy.build.cpu_dispatch", ["AVX2", "AVX512F"], ["modules.numpy.build.cpu_dispatch"]),
        ("modules.cv2.build.ipp", True, ["modules.cv2.build.ipp"]),
        ("startup:lib/x.pth", "s", ["startup.lib/x.pth"]),
        ("libm.exp", "cc", ["libm.exp"]),
        ("libc.name", "musl", ["libc.name"]),
        ("bundle.files:weights/pose.safetensors", "h9", ["bundle.files.weights/pose.safetensors"]),
        ("bundle", None, ["bundle"]),
        ("code.digest", "other", ["code.digest"]),
        ("pins.by_name.OMP_NUM_THREADS.wanted", "2", ["pins.by_name.OMP_NUM_THREADS.wanted"]),
        ("fingerprint.format", 2, ["fingerprint.format"]),
        ("fingerprint.operations:numpy.sum", operation("numpy", "x"), ["fingerprint.operations.numpy.sum.sha256"]),
        (
            "fingerprint.operations:cv2",
            {"library": "cv2", "error": "cv2 cannot be imported"},
            ["fingerprint.operations.cv2", "fingerprint.operations.cv2.error"],
        ),
        ("interpreter.implementation", "PyPy", ["interpreter.implementation"]),
        ("interpreter.optimize", 1, ["interpreter.optimize"]),
        ("imports.path", ["/extra", "<standard library>", "<site-packages>"], ["imports.path"]),
        ("imports.folders:/extra", "1 files aa", ["imports.folders./extra"]),
        ("imports.shadowed.csv", "/extra/csv.py aa", ["imports.shadowed.csv"]),
        ("libraries:/extra/libx.so", "aa", ["libraries./extra/libx.so"]),
        *(
            (f"variables.{name}", "1", [f"variables.{name}"])
            for name in (
                "MKL_ENABLE_INSTRUCTIONS",
                "ONEDNN_DEFAULT_FPMATH_MODE",
                "DNNL_DEFAULT_FPMATH_MODE",
                "PYTHONOPTIMIZE",
                "KMP_DETERMINISTIC_REDUCTION",
                "GOMP_SPINCOUNT",
                "OPENBLAS_X",
                "OPENCV_FOR_THREADS_NUM",
                "TORCH_ALLOW_TF32",
                "LD_PRELOAD",
                "LD_LIBRARY_PATH",
                "GLIBC_TUNABLES",
                "YOLO_AUTODOWNLOAD",
                "PYTHONHOME",
                "PYTHON_GIL",
            )
        ),
    ],
)
def test_differences_that_matter_are_mismatches(compare, path, value, errors):
    findings = compare(put(path, value))
    assert by_verdict(findings, "error") == errors
    assert ve.overall(findings) == "mismatch"
    assert all(item["effect"] and item["why"] for item in findings)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("interpreter.version", "3.11.9"),
        ("os.release", "5.4"),
        ("os.distribution", "ubuntu"),
        ("libc.version", "2.39"),
        ("libm.tanhf", "dd"),
        ("cpu.model", "another"),
        ("cpu.features.avx512f", False),
        ("machine.processors", 64),
        ("packages.pip.version", "1"),
        ("startup:lib/python3.11/site-packages/_virtualenv.pth", "s"),
        ("variables.MALLOC_ARENA_MAX", "2"),
    ],
)
def test_differences_that_may_be_are_shown_and_match(compare, path, value):
    findings = compare(put(path, value))
    assert by_verdict(findings, "error") == []
    assert by_verdict(findings, "allowed")
    assert ve.overall(findings) == "match"


@pytest.mark.parametrize(
    ("path", "value", "both_errors"),
    [
        ("pins.by_name.OMP_NUM_THREADS.state", "not set", "pins.by_name.OMP_NUM_THREADS.state"),
        ("pins.found", False, "pins.found"),
        ("cpu.features.fma", False, "cpu.features.fma"),
        ("cpu.features.avx2", "unknown", "cpu.features.avx2"),
        ("cv2_providers.count", 2, "cv2_providers.count"),
        ("packages.rich.integrity.modified", ["rich/x.py"], "packages.rich.integrity.modified"),
        ("packages.rich.integrity.missing", ["rich/"], "packages.rich.integrity.missing"),
        ("packages.numpy.integrity.status", "no-record", "packages.numpy.integrity.status"),
        ("packages.numpy.duplicates", ["1.26.4"], "packages.numpy.duplicates"),
        ("imports.shadowed.csv", "/extra/csv.py aa", "imports.shadowed.csv"),
        ("imports.bytecode:lib/x.pyc", "not what its source gives", "imports.bytecode.lib/x.pyc"),
        ("imports.unrecorded.numpy", ["numpy/x.so"], "imports.unrecorded.numpy"),
        (
            "imports.standard_library:<standard library>/csv.py",
            "not Debian's",
            "imports.standard_library.<standard library>/csv.py",
        ),
        ("modules.cv2.imported", False, "modules.cv2.imported"),
        ("modules.cv2.from_package", False, "modules.cv2.from_package"),
        ("fingerprint", {"skipped": "numpy cannot be imported"}, "fingerprint.skipped"),
        (
            "fingerprint.operations:numpy.sum",
            {"library": "numpy", "error": "E"},
            "fingerprint.operations.numpy.sum.error",
        ),
    ],
)
def test_what_must_be_so_is_a_mismatch_even_where_both_sides_agree(compare, path, value, both_errors):
    assert by_verdict(compare(put(path, value), both=True), "error") == [both_errors]
    assert both_errors in by_verdict(compare(put(path, value)), "error")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("locks", {}),
        ("pins.source", "applied"),
        ("service", {"version": "0.1.0", "pins": []}),
        ("taken.host", "server"),
        *(
            (f"variables.{name}", "x")
            for name in (
                "PYTHONPATH",
                "PYTHONUNBUFFERED",
                "PYTHONDONTWRITEBYTECODE",
                "PYTHON_SHA256",
                "OPENCV_LOG_LEVEL",
                "MKL_VERBOSE",
                "OPENCV_FFMPEG_CAPTURE_OPTIONS",
                "YOLO_CONFIG_DIR",
                "CUDA_VISIBLE_DEVICES",
                "TORCH_HOME",
            )
        ),
        ("fingerprint.seconds", 9),
        ("fingerprint.operations:torch.sqrt", operation("torch", "x")),
        ("fingerprint.operations:cv2.resize.cubic", operation("opencv-contrib-python", "r")),
    ],
)
def test_differences_that_say_nothing_are_not_shown(compare, path, value):
    findings = compare(put(path, value))
    assert findings and {item["verdict"] for item in findings} == {"information"}
    assert len(ve.render(findings, False, None).splitlines()) == 1


def test_a_count_is_not_a_truth_value(compare):
    assert by_verdict(compare(put("cv2_providers.count", True), both=True), "error") == ["cv2_providers.count"]


def test_a_package_on_one_side_only_is_checked_inside_too(compare):
    broken = package("1.0")
    broken["integrity"]["modified"] = ["einops/x.py"]
    errors = by_verdict(compare(put("packages.einops", broken)), "error")
    assert errors == ["packages.einops", "packages.einops.integrity.modified"]


def test_another_build_and_module_version_are_implied_by_the_package_version(compare):
    def change(snapshot):
        put("packages.numpy", package("1.26.4"))(snapshot)
        put("modules.numpy.version", "1.26.4")(snapshot)

    findings = compare(change)
    assert by_verdict(findings, "error") == ["packages.numpy.version"]
    implied = ["modules.numpy.version", "packages.numpy.public_version", "packages.numpy.record_digest"]
    assert by_verdict(findings, "implied") == implied


def test_an_allowed_difference_implies_nothing(compare):
    """Only a mismatch explains another one: pip may differ, so its digest is judged by pip's own rule."""
    assert by_verdict(compare(put("packages.pip", package("1"))), "implied") == []


def test_a_fact_without_a_rule_is_a_mismatch_even_where_both_sides_agree(compare):
    findings = compare(put("graphics", {"driver": "aa"}), both=True)
    assert by_verdict(findings, "error") == ["graphics.driver"]
    assert findings[0]["problem"] == "no rule"


def test_another_system_is_equal_within_a_tolerance_only(compare):
    def change(snapshot):
        put("os.system", "Windows")(snapshot)
        put("libm.exp", "cc")(snapshot)
        put("libm.tanhf", "dd")(snapshot)
        put("libc.name", "ucrt")(snapshot)
        put("packages.numpy.record_digest", "windows build")(snapshot)
        put("packages.colorama", package("1"))(snapshot)

    findings = compare(change)
    assert by_verdict(findings, "error") == []
    assert by_verdict(findings, "tolerance") == ["libm.exp", "libm.tanhf", "os.system"]
    assert ve.overall(findings) == "tolerance"


def test_another_python_takes_other_builds_but_the_same_versions(compare):
    def change(snapshot):
        put("interpreter.cache_tag", "cpython-38")(snapshot)
        put("packages.numpy.record_digest", "cp38 build")(snapshot)
        put("packages.opencv-python.version", "4.11.0.86")(snapshot)

    assert by_verdict(compare(change), "error") == ["packages.opencv-python.version"]


def test_pytorch_for_a_gpu_is_equal_within_a_tolerance_only(snapshot, policy):
    put("packages.torch", package("2.13.0+cpu"))(snapshot)
    put("modules.torch", module("2.13.0+cpu", "torch", config_digest="cpu", threads=1))(snapshot)
    server = copy.deepcopy(snapshot)
    put("packages.torch", package("2.13.0"))(server)
    put("packages.nvidia-cudnn-cu13", package("9.20"))(server)
    put("packages.triton", package("3.7.1"))(server)
    put("modules.torch", module("2.13.0", "torch", config_digest="cuda", threads=1))(server)
    findings = ve.compare_snapshots(snapshot, server, policy)
    assert by_verdict(findings, "error") == []
    assert by_verdict(findings, "tolerance") == ["modules.torch.version", "packages.torch.version"]


@pytest.mark.parametrize("version", ["2.12.0+cpu", "2.12.0"])
def test_another_version_of_pytorch_is_a_mismatch_for_any_device(snapshot, policy, version):
    put("packages.torch", package("2.13.0+cpu"))(snapshot)
    server = copy.deepcopy(snapshot)
    put("packages.torch", package(version))(server)
    findings = ve.compare_snapshots(snapshot, server, policy)
    assert by_verdict(findings, "error") == ["packages.torch.public_version"]
    assert by_verdict(findings, "tolerance") == []


def test_another_build_of_the_same_pytorch_is_a_mismatch(snapshot, policy):
    put("packages.torch", package("2.13.0+cpu"))(snapshot)
    server = copy.deepcopy(snapshot)
    put("packages.torch.record_digest", "other")(server)
    assert by_verdict(ve.compare_snapshots(snapshot, server, policy), "error") == ["packages.torch.record_digest"]


def test_another_architecture_needs_no_avx2(compare):
    def change(snapshot):
        put("machine.architecture", "aarch64")(snapshot)
        put("cpu.features", {})(snapshot)

    assert by_verdict(compare(change), "error") == []


OTHER_ANSWERS = ("torch.linear", "torch.matmul", "cv2.resize.cubic")


def answer_otherwise(snapshot: dict) -> None:
    for name in OTHER_ANSWERS:
        snapshot["fingerprint"]["operations"][name]["sha256"] += " of another code path"


def operations_by_verdict(findings: list[dict], verdict: str) -> set[str]:
    return {ve.operation_in(path) for path in by_verdict(findings, verdict) if path.startswith("fingerprint.")}


def test_with_equal_versions_an_operation_that_answers_otherwise_is_a_mismatch(compare):
    findings = compare(answer_otherwise)
    assert operations_by_verdict(findings, "error") == set(OTHER_ANSWERS)
    assert all("With equal versions: another code path" in item["effect"] for item in findings)


def test_with_another_version_it_is_a_mismatch_too_and_the_version_comes_first(compare):
    def change(snapshot):
        answer_otherwise(snapshot)
        put("packages.opencv-python.version", "4.11.0.86")(snapshot)
        put("modules.cv2.version", "4.11.0")(snapshot)

    paths = by_verdict(compare(change), "error")
    assert paths[:2] == ["modules.cv2.version", "packages.opencv-python.version"]
    (resize,) = [item for item in compare(change) if "resize" in item["path"]]
    assert "another version" in resize["effect"] and resize["path"] in paths[2:]


@pytest.mark.parametrize(("path", "value"), [("os.system", "Windows"), ("machine.architecture", "aarch64")])
def test_on_another_system_or_architecture_operations_are_equal_within_a_tolerance_only(compare, path, value):
    def change(snapshot):
        answer_otherwise(snapshot)
        put(path, value)(snapshot)

    findings = compare(change)
    assert by_verdict(findings, "error") == []
    assert operations_by_verdict(findings, "tolerance") == set(OTHER_ANSWERS)
    assert ve.overall(findings) == "tolerance"


def test_pytorch_for_a_gpu_may_answer_otherwise_on_the_cpu_and_opencv_may_not(snapshot, policy):
    put("packages.torch", package("2.13.0+cpu"))(snapshot)
    put("modules.torch", module("2.13.0+cpu", "torch"))(snapshot)
    server = copy.deepcopy(snapshot)
    put("packages.torch", package("2.13.0"))(server)
    put("modules.torch", module("2.13.0", "torch"))(server)
    answer_otherwise(server)
    findings = ve.compare_snapshots(snapshot, server, policy)
    assert operations_by_verdict(findings, "tolerance") == {"torch.linear", "torch.matmul"}
    assert operations_by_verdict(findings, "error") == {"cv2.resize.cubic"}


@pytest.mark.parametrize("skipped_here", [True, False])
def test_a_fingerprint_on_one_side_only_is_a_mismatch_with_the_reason(snapshot, policy, skipped_here):
    other = copy.deepcopy(snapshot)
    put("fingerprint", {"skipped": "the process ended"})(other)
    sides = (other, snapshot) if skipped_here else (snapshot, other)
    findings = ve.compare_snapshots(*sides, policy)
    assert "fingerprint.skipped" in by_verdict(findings, "error")
    assert "the process ended" in ve.render(findings, False, None)


OLD = ("imports", "variables", "libraries")


def older(snapshot: dict) -> dict:
    """As the releases took it that did not look at imports, variables and libraries."""
    interpreter = {key: value for key, value in snapshot["interpreter"].items() if key != "optimize"}
    return {**{key: value for key, value in snapshot.items() if key not in OLD}, "interpreter": interpreter}


def test_an_older_local_snapshot_is_compared_and_what_must_not_be_is_judged_all_the_same(snapshot, policy, tmp_path):
    reference = ve.load_snapshot(Path(write_json(tmp_path / "old.json", older(snapshot))))
    findings = ve.compare_snapshots(reference, snapshot, policy)
    assert by_verdict(findings, "allowed") == ["imports", "interpreter.optimize", "libraries", "variables"]
    assert ve.overall(findings) == "match" and ve.render(findings, False, None).count(" absent ") == 4
    put("imports.shadowed.csv", "/extra/csv.py aa")(snapshot)
    assert by_verdict(ve.compare_snapshots(reference, snapshot, policy), "error") == ["imports.shadowed.csv"]


def test_a_server_that_says_nothing_of_what_the_local_side_knows_is_a_mismatch(snapshot, policy):
    findings = ve.compare_snapshots(snapshot, older(snapshot), policy)
    assert by_verdict(findings, "error") == ["imports", "interpreter.optimize", "libraries", "variables"]
    assert ve.compare_snapshots(older(snapshot), older(snapshot), policy) == []


def test_optimisation_by_a_variable_is_one_mismatch(compare):
    def change(snapshot):
        put("variables.PYTHONOPTIMIZE", "1")(snapshot)
        put("interpreter.optimize", 1)(snapshot)

    assert by_verdict(compare(change), "error") == ["variables.PYTHONOPTIMIZE"]


def test_excepted_items_of_a_list_do_not_count(compare):
    known = ["decord-0.6.0.dist-info/top_level.txt", "../../../bin/flask"]
    assert compare(put("packages.rich.integrity.modified", known), both=True) == []
    wrong = [*known, "decord/__init__.py"]
    assert by_verdict(compare(put("packages.rich.integrity.modified", wrong), both=True), "error")


def test_findings_come_gravest_first(compare):
    def change(snapshot):
        put("os.release", "5")(snapshot)
        put("taken.at", "later")(snapshot)
        put("packages.numpy.version", "1.26.4")(snapshot)

    assert [item["verdict"] for item in compare(change)] == ["error", "allowed", "information"]


# --- the report -----------------------------------------------------------------------------------------------------


def test_table_names_both_sides_verdict_and_effect(compare):
    text = ve.render(compare(put("packages.opencv-python.version", "4.11.0.86")), False, None)
    heading, row, empty, summary = text.splitlines()
    assert heading.split(None, 4) == ["fact", "local", "server", "verdict", "what it does to results"]
    assert row.split(None, 4)[:4] == ["packages.opencv-python.version", "4.12.0.88", "4.11.0.86", "MISMATCH"]
    assert "skeleton coordinates" in row
    assert empty == ""
    assert summary.startswith("mismatch: ") and "1 error" in summary


def test_table_fits_the_terminal_and_says_nothing_where_nothing_differs(compare):
    findings = compare(put("packages.opencv-python.version", "4.11.0.86"))
    assert max(map(len, ve.render(findings, False, 110).splitlines()[:-1])) <= 110
    assert ve.render([], False, None).startswith("match: ")


def test_table_shows_short_lists_in_full_and_of_long_ones_what_the_other_side_lacks():
    assert ve.show_lists(["a"], ["a", "b"]) == ["a", "a, b"]
    assert ve.show_lists([], ["b"]) == ["none", "b"]
    assert ve.show_lists(["a", "c" * 30], ["a", "c" * 30, "extra"]) == ["-", "+ extra"]


def test_table_shows_versions_of_packages_that_one_side_lacks(compare):
    row = ve.render(compare(put("packages.torch", package("2.13.0"))), False, None).splitlines()[1]
    assert row.split()[1:4] == ["absent", "2.13.0", "MISMATCH"]


def test_table_has_one_row_for_the_operations_of_a_library_after_their_causes(compare):
    def change(snapshot):
        answer_otherwise(snapshot)
        put("pins.by_name.OMP_NUM_THREADS.state", "not set")(snapshot)

    _, pin, resize, products, _, summary = ve.render(compare(change), False, None).splitlines()
    assert pin.startswith("pins.by_name.OMP_NUM_THREADS.state ")
    assert re.split(r"\s{2,}", resize)[:4] == ["fingerprint of cv2", "-", "1 operation differs", "MISMATCH"]
    assert re.split(r"\s{2,}", products)[:4] == ["fingerprint of torch", "-", "2 operations differ", "MISMATCH"]
    assert resize.endswith("(resize.cubic)") and products.endswith("(linear, matmul)")
    assert summary.startswith("mismatch: ") and "4 error" in summary


def test_information_is_shown_on_request_only(compare):
    findings = compare(put("taken.at", "later"))
    assert "taken.at" not in ve.render(findings, False, None)
    assert "taken.at" in ve.render(findings, True, None)


def test_json_report_is_complete(compare):
    document = json.loads(json.dumps(ve.report(compare(put("packages.numpy.version", "1.26.4")))))
    assert document["format"] == 1
    assert document["verdict"] == "mismatch"
    assert document["counts"]["error"] == 1
    assert set(document["findings"][0]) == {"path", "reference", "current", "verdict", "problem", "why", "effect"}


# --- snapshots' files and exit statuses -----------------------------------------------------------------------------


def write_json(path: Path, value) -> str:
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)


def test_exit_statuses(tmp_path, snapshot, capsys):
    mine = write_json(tmp_path / "mine.json", snapshot)
    put("packages.numpy.version", "1.26.4")(snapshot)
    theirs = write_json(tmp_path / "theirs.json", snapshot)
    assert ve.main(["compare", mine, mine]) == 0
    assert ve.main(["compare", mine, theirs]) == 1
    capsys.readouterr()
    assert ve.main(["compare", mine, theirs, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "mismatch"
    assert ve.main(["compare", mine, theirs, "--policy", str(tmp_path / "none.toml")]) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "not JSON"),
        ("[]", "no snapshot"),
        ('{"kind": "something"}', "no snapshot"),
        (json.dumps({"kind": ve.KIND, "format": 2}), "format 2, expected 1"),
        (json.dumps({"kind": ve.KIND, "format": 1}), "lacks interpreter"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_an_unusable_snapshot_is_an_error_in_one_line(tmp_path, capsys, content, message):
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert ve.main(["compare", str(path), str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert message in captured.err and str(path) in captured.err


@pytest.mark.parametrize("arguments", [[], ["explain"], ["compare"], ["snapshot", "--colour"]])
def test_wrong_arguments_are_an_error_in_one_line(arguments, capsys):
    assert ve.main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_help_names_the_exit_statuses():
    answer = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True)
    assert "0 match, 1 mismatch, 2 error" in answer.stdout


def test_a_snapshot_is_written_whole_or_not_at_all(tmp_path):
    ve.write_snapshot({"a": "\u00e9"}, tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text(encoding="ascii")) == {"a": "\u00e9"}
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]
    with pytest.raises(ve.VerifyError, match="cannot be written"):
        ve.write_snapshot({}, tmp_path / "none" / "s.json")


# --- what other systems say -----------------------------------------------------------------------------------------

CPUINFO_HASWELL = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz
flags\t\t: fpu sse4_2 fma avx f16c bmi1 avx2 bmi2

processor\t: 1
vendor_id\t: GenuineIntel
flags\t\t: fpu avx512f
"""
CPUINFO_ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"
SYSCTL_INTEL = """\
machdep.cpu.brand_string: Intel(R) Core(TM) i7-8569U CPU @ 2.80GHz
machdep.cpu.vendor: GenuineIntel
machdep.cpu.features: FPU SSE SSE4.1 SSE4.2 FMA AVX1.0 F16C
machdep.cpu.leaf7_features: BMI1 AVX2 BMI2
hw.optional.avx2_0: 1
"""
SYSCTL_APPLE = "machdep.cpu.brand_string: Apple M2\nhw.optional.neon: 1\nhw.optional.arm64: 1\n"
OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n# comment=1\nVERSION_ID="12"\nBROKEN\n'


def test_linux_processor():
    facts = ve.parse_proc_cpuinfo(CPUINFO_HASWELL)
    assert facts["model"].startswith("Intel(R) Core") and facts["vendor"] == "GenuineIntel"
    assert facts["features"]["avx2"] is True and facts["features"]["fma"] is True
    assert facts["features"]["avx512f"] is False
    assert ve.parse_proc_cpuinfo(CPUINFO_ARM) == {"vendor": "0x41", "model": "unknown", "features": {}}


def test_macos_processors():
    facts = ve.parse_sysctl(SYSCTL_INTEL)
    present = [name for name, found in facts["features"].items() if found]
    assert present == ["sse4_2", "avx", "avx2", "fma", "f16c", "bmi2"]
    assert ve.parse_sysctl(SYSCTL_APPLE) == {"vendor": "Apple", "model": "Apple M2", "features": {}}


def test_windows_processor_says_what_is_unknown_and_numpy_fills_it_in():
    facts = ve.windows_cpu(lambda number: int(number in (38, 39, 40)), "Intel64 Family 6")
    assert facts["features"]["avx2"] is True and facts["features"]["avx512f"] is False
    assert facts["features"]["fma"] == "unknown"
    filled = ve.fill_unknown_features(facts["features"], ["FMA3", "AVX2"])
    assert filled["fma"] is True and filled["f16c"] is False and filled["amx_tile"] == "unknown"
    assert ve.fill_unknown_features(facts["features"], []) == facts["features"]


def test_distribution():
    assert ve.parse_os_release(OS_RELEASE) == {
        "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)",
        "ID": "debian",
        "VERSION_ID": "12",
    }


def test_cpuid_agrees_with_the_system_where_glibc_tells_it():
    """On this machine; on an emulated processor they differ: see tests/integration/test_emulated_cpus.py."""
    features = ve.parse_proc_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8"))["features"]
    told = ve.cpuid_features()
    assert set(told) in (set(ve.CPUID_BITS), set())
    assert told == {name: features[name] for name in told}


# --- the fingerprint ------------------------------------------------------------------------------------------------


def hash_by_hand(number: int) -> int:
    """What Inputs.hashes() makes of a number, in Python's own integers."""
    mask = 2**64 - 1
    mixed = number * 0x9E3779B97F4A7C15 & mask
    mixed = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 & mask
    return mixed >> 40


def test_inputs_are_integers_hashes_and_exact():
    inputs = ve.Inputs(numpy)
    by_hand = [hash_by_hand(number) for number in range(5, 65)]
    assert inputs.hashes((3, 4, 5), 5).ravel().tolist() == by_hand
    assert inputs.floats(3, 4, 5, first=5).ravel().tolist() == [value / 2**24 - 0.5 for value in by_hand]
    assert inputs.pixels(60).tolist() == [hash_by_hand(number) >> 16 for number in range(1, 61)]
    assert inputs.floats(2).dtype == numpy.float32 and inputs.doubles(2).dtype == numpy.float64


def test_a_digest_covers_type_shape_and_bytes():
    array = numpy.arange(6, dtype=numpy.float32)
    others = [array.astype(numpy.float64), array.reshape(2, 3), array.reshape(3, 2), -array]
    digests = {ve.attempt(lambda value=value: value, numpy, ())["sha256"] for value in [array, *others]}
    assert len(digests) == 5
    expected = hashlib.sha256(b"<f4|6|" + array.tobytes()).hexdigest()
    assert ve.attempt(lambda: array, numpy, ()) == {"sha256": expected}


def test_an_operation_that_fails_records_its_error_in_one_line():
    def fails():
        raise RuntimeError("no\n  such kernel")

    assert ve.attempt(fails, numpy, ve.FAILURES) == {"error": "RuntimeError: no such kernel"}


# --- variables ------------------------------------------------------------------------------------------------------


def test_variables_are_those_that_libraries_read_but_for_pins_and_secrets(tmp_path):
    recorded = {
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
        "PYTHONOPTIMIZE": "1",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2",
        "LD_PRELOAD": "/x.so",
        "NVIDIA_TF32_OVERRIDE": "1",
    }
    others = {
        "OMP_NUM_THREADS": "3",
        "MY_PIN": "1",
        "YOLO_API_KEY": "a",
        "TORCH_TOKEN": "b",
        "PYTHON_PASSWORD": "c",
        "AWS_SECRET_ACCESS_KEY": "d",
        "HOME": "/h",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVPL_BLAS_DEBUG": "1",
    }
    assert ve.describe_variables({**others, **recorded}, ["MY_PIN"]) == recorded


def test_of_a_value_that_may_hold_a_secret_there_is_a_digest():
    values = {"PYTHON_A": "https://user:word@host", "MKL_B": "x" * 201, "MKL_C": "line\nline", "MKL_D": "sp\xe9cial"}
    shown = ve.describe_variables(values, ())
    assert {name: text.split()[0] for name, text in shown.items()} == dict.fromkeys(values, "sha256")
    assert shown["MKL_B"] == f"sha256 {hashlib.sha256(b'x' * 201).hexdigest()[:12]}"


def test_of_folders_of_libraries_those_count_that_exist(tmp_path):
    """cv2 names one that does not exist to every program that is started after it was loaded."""
    assert ve.describe_variables({"LD_LIBRARY_PATH": "/nowhere/lib64:"}, ()) == {}
    given = {"LD_LIBRARY_PATH": f"/nowhere:{tmp_path}:"}
    assert ve.describe_variables(given, ()) == {"LD_LIBRARY_PATH": str(tmp_path)}


# --- installed packages ---------------------------------------------------------------------------------------------


def test_record_rows():
    text = (
        'a/b.py,sha256=xyz,3\n"a/with, comma.py",sha384=q,1\na/__pycache__/b.pyc,,\r\nd.dist-info/RECORD,,\n\n'
        "a\\c.py,sha256=w,1\n"
    )
    rows = ve.parse_record(text)
    assert rows[0] == ("a/b.py", "sha256", "xyz")
    assert [row.path for row in ve.hashed_rows(rows)] == ["a/b.py", "a/with, comma.py", "a/c.py"]


def test_metadata_ends_at_the_first_empty_line():
    assert ve.parse_metadata("Name: A_b\nVersion: 1\n  folded: x\n\nName: no\n") == {"Name": "A_b", "Version": "1"}


@pytest.mark.parametrize(("name", "expected"), [("PyYAML", "pyyaml"), ("a__b..C", "a-b-c"), ("flask-openapi3",) * 2])
def test_names(name, expected):
    assert ve.normalise_name(name) == expected


def test_missing_files_collapse_to_the_outermost_folder_that_is_gone():
    paths = ("t/a.py", "t/include/x.h", "t/include/y/z.h", "t/lib/k", "t/lib/m")
    rows = [ve.RecordRow(path, "sha256", "x") for path in paths]
    missing = {"t/include/x.h", "t/include/y/z.h", "t/lib/k"}
    assert ve.collapse_missing(rows, missing) == ["t/include/", "t/lib/k"]
    assert ve.collapse_missing(rows, {row.path for row in rows}) == ["t/"]
    assert ve.collapse_missing(rows, set()) == []
    script = ve.RecordRow("../../../bin/t", "sha256", "x")
    assert ve.collapse_missing([script, *rows], {script.path}) == [script.path]


def test_digest_of_a_build_ignores_the_installer_and_scripts():
    rows = [ve.RecordRow("p/a.py", "sha256", "1"), ve.RecordRow("p-1.dist-info/METADATA", "sha256", "2")]
    installer, script = "p-1.dist-info/INSTALLER", ve.RecordRow("../../../bin/p", "sha256", "3")
    pip = [*rows, ve.RecordRow(installer, "sha256", "pip"), script]
    uv = [*reversed(rows), ve.RecordRow(installer, "sha256", "uv"), ve.RecordRow("p/a.pyc", "", "")]

    def digest(rows, editable=False):
        return ve.record_digest(ve.Distribution("p", "1", Path("/x"), editable, rows))

    assert digest(pip) == digest(uv)
    assert digest(pip) != digest([ve.RecordRow("p/a.py", "sha256", "9"), rows[1]])
    assert digest(None) is None and digest(rows, editable=True) is None


# --- pins -----------------------------------------------------------------------------------------------------------


def test_pins_are_read_in_their_order(tmp_path):
    path = tmp_path / "numerics.env"
    path.write_text("# comment\n\nB_1=a b=c\nA=\n", encoding="utf-8")
    assert list(ve.read_pins(path).items()) == [("B_1", "a b=c"), ("A", "")]


@pytest.mark.parametrize("line", ["NAME", "=x", "A B=1", "export A=1", "A=1\nA=2"])
def test_a_wrong_pins_file_is_refused_with_its_line(tmp_path, line):
    path = tmp_path / "numerics.env"
    path.write_text(f"# comment\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ve.VerifyError, match=r"line [34]"):
        ve.read_pins(path)


def test_every_pin_of_the_project_has_a_probe():
    assert set(ve.read_pins(ROOT / "lockfiles/numerics.env")) == set(ve.PROBES)


def test_policy_accepts_the_two_good_states_of_a_pin_and_no_other(policy):
    rules = [rule for rule in policy.rules if any(pattern[-1] == "state" for pattern in rule.patterns)]
    assert rules and all(rule.accepted == (ve.IN_EFFECT, ve.NOT_OBSERVABLE) for rule in rules)


def test_states_of_a_pin():
    seen, wrong, silent = ve.Effect("1", True, ""), ve.Effect("2", False, ""), ve.unobservable("")
    assert ve.pin_state("1", "1", seen) == "in effect"
    assert ve.pin_state("1", "1", silent) == "set, effect not observable"
    assert ve.pin_state("1", "1", wrong) == "no effect, 2"
    assert ve.pin_state("1", "3", seen) == "set to 3"
    assert ve.pin_state("1", None, seen) == "not set"


def test_a_pin_that_nothing_reads_is_said_to_be_unobservable():
    assert ve.probe_pin("SOME_OTHER_PIN", "1", "1", ())["state"] == "set, effect not observable"


def test_modules_that_are_left_out_are_not_imported():
    names = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "OPENCV_IPP", "OPENBLAS_CORETYPE")
    pins = dict.fromkeys(names, "1")
    probed = ve.probe_pins(pins, {}, without=("torch", "numpy", "scipy", "cv2"))
    assert [pin["observed"] for pin in probed] == [False] * len(pins)
    assert not any(pin["ok"] for pin in probed)


def test_public_names():
    assert all(hasattr(ve, name) for name in ve.__all__)
