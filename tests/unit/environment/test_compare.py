"""The judgement of lockfiles/parity.toml on snapshots that differ in one fact or a few."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from poseparity.environment.compare import compare_snapshots, overall
from poseparity.environment.report import operation_in, render
from poseparity.environment.snapshot import load_snapshot
from tests.unit.environment.support import (
    OTHER_ANSWERS,
    answer_otherwise,
    by_verdict,
    module,
    operation,
    package,
    put,
    write_json,
)


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
    assert overall(findings) == "mismatch"
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
    assert overall(findings) == "match"


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
    assert len(render(findings, False, None).splitlines()) == 1


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
    assert overall(findings) == "tolerance"


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
    findings = compare_snapshots(snapshot, server, policy)
    assert by_verdict(findings, "error") == []
    assert by_verdict(findings, "tolerance") == ["modules.torch.version", "packages.torch.version"]


@pytest.mark.parametrize("version", ["2.12.0+cpu", "2.12.0"])
def test_another_version_of_pytorch_is_a_mismatch_for_any_device(snapshot, policy, version):
    put("packages.torch", package("2.13.0+cpu"))(snapshot)
    server = copy.deepcopy(snapshot)
    put("packages.torch", package(version))(server)
    findings = compare_snapshots(snapshot, server, policy)
    assert by_verdict(findings, "error") == ["packages.torch.public_version"]
    assert by_verdict(findings, "tolerance") == []


def test_another_build_of_the_same_pytorch_is_a_mismatch(snapshot, policy):
    put("packages.torch", package("2.13.0+cpu"))(snapshot)
    server = copy.deepcopy(snapshot)
    put("packages.torch.record_digest", "other")(server)
    assert by_verdict(compare_snapshots(snapshot, server, policy), "error") == ["packages.torch.record_digest"]


def test_another_architecture_needs_no_avx2(compare):
    def change(snapshot):
        put("machine.architecture", "aarch64")(snapshot)
        put("cpu.features", {})(snapshot)

    assert by_verdict(compare(change), "error") == []


def operations_by_verdict(findings: list[dict], verdict: str) -> set[str]:
    return {operation_in(path) for path in by_verdict(findings, verdict) if path.startswith("fingerprint.")}


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
    assert overall(findings) == "tolerance"


def test_pytorch_for_a_gpu_may_answer_otherwise_on_the_cpu_and_opencv_may_not(snapshot, policy):
    put("packages.torch", package("2.13.0+cpu"))(snapshot)
    put("modules.torch", module("2.13.0+cpu", "torch"))(snapshot)
    server = copy.deepcopy(snapshot)
    put("packages.torch", package("2.13.0"))(server)
    put("modules.torch", module("2.13.0", "torch"))(server)
    answer_otherwise(server)
    findings = compare_snapshots(snapshot, server, policy)
    assert operations_by_verdict(findings, "tolerance") == {"torch.linear", "torch.matmul"}
    assert operations_by_verdict(findings, "error") == {"cv2.resize.cubic"}


@pytest.mark.parametrize("skipped_here", [True, False])
def test_a_fingerprint_on_one_side_only_is_a_mismatch_with_the_reason(snapshot, policy, skipped_here):
    other = copy.deepcopy(snapshot)
    put("fingerprint", {"skipped": "the process ended"})(other)
    sides = (other, snapshot) if skipped_here else (snapshot, other)
    findings = compare_snapshots(*sides, policy)
    assert "fingerprint.skipped" in by_verdict(findings, "error")
    assert "the process ended" in render(findings, False, None)


OLD = ("imports", "variables", "libraries")


def older(snapshot: dict) -> dict:
    """As the releases took it that did not look at imports, variables and libraries."""
    interpreter = {key: value for key, value in snapshot["interpreter"].items() if key != "optimize"}
    return {**{key: value for key, value in snapshot.items() if key not in OLD}, "interpreter": interpreter}


def test_an_older_local_snapshot_is_compared_and_what_must_not_be_is_judged_all_the_same(snapshot, policy, tmp_path):
    reference = load_snapshot(Path(write_json(tmp_path / "old.json", older(snapshot))))
    findings = compare_snapshots(reference, snapshot, policy)
    assert by_verdict(findings, "allowed") == ["imports", "interpreter.optimize", "libraries", "variables"]
    assert overall(findings) == "match" and render(findings, False, None).count(" absent ") == 4
    put("imports.shadowed.csv", "/extra/csv.py aa")(snapshot)
    assert by_verdict(compare_snapshots(reference, snapshot, policy), "error") == ["imports.shadowed.csv"]


def test_a_server_that_says_nothing_of_what_the_local_side_knows_is_a_mismatch(snapshot, policy):
    findings = compare_snapshots(snapshot, older(snapshot), policy)
    assert by_verdict(findings, "error") == ["imports", "interpreter.optimize", "libraries", "variables"]
    assert compare_snapshots(older(snapshot), older(snapshot), policy) == []


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
