"""What differences between two environments are taken for, on a snapshot of this one in which facts are changed."""

from __future__ import annotations

import copy

import pytest

from poseparity.environment import snapshots
from poseparity.errors import TraceError
from poseparity.parity.traces.compare import compare_traces
from poseparity.trace.reading import TraceFile
from tests.conftest import DEMO_BUNDLE
from tests.handmade_traces import side, stage, value

NOT_SET = {"set": None, "ok": False, "state": "not set"}
THREADS = {"set": "2", "ok": False, "state": "set to 2"}
OPENCV = {"version": "4.11.0.86", "public_version": "4.11.0.86", "record_digest": "1" * 64}
NUMPY = {"version": "1.26.4", "public_version": "1.26.4", "record_digest": "2" * 64}
FAULTS = {
    "opencv": {"packages.opencv-python": OPENCV, "modules.cv2": {"version": "4.11.0"}},
    "numpy": {"packages.numpy": NUMPY, "modules.numpy": {"version": "1.26.4"}},
    "cv2-providers": {
        "packages.opencv-contrib-python": OPENCV,
        "packages.opencv-python.integrity": {"modified": ["cv2/cv2.abi3.so"]},
        "cv2_providers": {"count": 2, "names": ["opencv-contrib-python", "opencv-python"]},
        "modules.cv2": {"version": "4.11.0"},
    },
    "ipp": {"pins.by_name.OPENCV_IPP": NOT_SET, "modules.cv2.build": {"ipp": True}},
    "mkl-branch": {"pins.by_name.MKL_CBWR": NOT_SET},
    "threads": {
        "pins.by_name.OMP_NUM_THREADS": THREADS,
        "pins.by_name.OPENBLAS_NUM_THREADS": THREADS,
        "modules.torch.build": {"threads": 2},
        "modules.numpy.build.openblas": {"threads": 2},
    },
    "instruction-sets": {
        "pins.by_name.ATEN_CPU_CAPABILITY": NOT_SET,
        "pins.by_name.ONEDNN_MAX_CPU_ISA": NOT_SET,
        "pins.by_name.OPENCV_CPU_DISABLE": NOT_SET,
        "pins.by_name.NPY_DISABLE_CPU_FEATURES": NOT_SET,
        "modules.torch.build": {"cpu_capability": "AVX512", "onednn_convolution": "jit:avx512_core"},
        "modules.numpy.build.openblas": {"core": "SkylakeX"},
    },
    "torch": {"packages.torch": {"version": "2.12.0+cpu", "public_version": "2.12.0", "record_digest": "3" * 64}},
    "libm": {"libm": {"expf": "0123456789abcdef"}},
    "platform": {"os": {"system": "Darwin"}},
    "package-code": {"code": {"digest": "4" * 64}},
    "shadowed-module": {
        "imports": {"path": ["/extra", "<standard library>", "<site-packages>"]},
        "imports.folders": {"/extra": "1 files 5555"},
        "imports.shadowed": {"csv": "/extra/csv.py 5555"},
    },
    "byte-code": {
        "imports.bytecode": {"<standard library>/__pycache__/csv.cpython-311.pyc": "not what its source gives"}
    },
    "foreign-code": {"libraries": {"/extra/libplanted.so": "5555"}},
    "search-path": {"imports": {"path": ["<site-packages>", "<standard library>"]}},
    "variables": {"variables": {"MKL_ENABLE_INSTRUCTIONS": "AVX512"}},
}


@pytest.fixture(scope="module")
def environment():
    return snapshots.of(DEMO_BUNDLE)


def changed(environment: dict, changes: dict[str, dict]) -> dict:
    """A copy in which the tables at the given paths have other facts."""
    result = copy.deepcopy(environment)
    for path, facts in changes.items():
        table = result
        for key in path.split("."):
            table = table.setdefault(key, {})
        table.update(facts)
    return result


def compare(environment: dict, other: dict, place: str | None):
    """Two traces that differ first in the value `place`, STAGE.NAME, or nowhere where that is None."""
    names = ("detect.boxes", "pose.network_input", "recognise.logits")

    def made(changed: bool, facts: dict) -> TraceFile:
        values = [(*name.split("."), float(changed and name == place)) for name in names]
        return side(*(stage(name, value(each, number)) for name, each, number in values), environment=facts)

    return compare_traces(made(False, environment), made(True, other))


@pytest.mark.parametrize("code", FAULTS)
def test_each_is_named_first_where_something_differs_and_where_nothing_does(environment, code):
    other = changed(environment, FAULTS[code])
    for place in ("detect.boxes", "recognise.logits"):
        comparison = compare(environment, other, place)
        assert comparison.first.stage == place.partition(".")[0]
        assert comparison.causes[0].code == code
    lucky = compare(environment, other, None)
    assert lucky.verdict == "identical" and lucky.exit_status == 0
    assert lucky.warnings[0].code == code and "no effect on this input" in lucky.summary


def test_a_module_in_anothers_place_is_named_before_what_comes_with_it(environment):
    shadowed, path = compare(environment, changed(environment, FAULTS["shadowed-module"]), "detect.boxes").causes[:2]
    assert (shadowed.code, path.code) == ("shadowed-module", "search-path")
    assert shadowed.title.endswith("in place of a module: csv absent in A, /extra/csv.py 5555 in B")


def test_a_variable_is_named_with_its_values(environment):
    cause = compare(environment, changed(environment, FAULTS["variables"]), "detect.boxes").causes[0]
    assert cause.title.endswith(": MKL_ENABLE_INSTRUCTIONS absent in A, AVX512 in B")


def test_what_the_stage_computes_with_ranks_the_causes(environment):
    other = changed(environment, FAULTS["opencv"] | FAULTS["mkl-branch"])
    assert compare(environment, other, "recognise.logits").causes[0].code == "mkl-branch"
    assert compare(environment, other, "pose.network_input").causes[0].code == "opencv"


def test_a_fingerprint_names_operations_and_their_library(environment):
    def with_digest(digest: str) -> dict:
        operations = {
            "cv2.resize.cubic": {"library": "opencv-python", "sha256": digest},
            "torch.matmul": {"library": "torch", "sha256": "0" * 64},
            "torch.sqrt": {"library": "torch", "sha256": "0" * 64},
        }
        return changed(environment, {"fingerprint": {"format": 1, "operations": operations, "seconds": 1.0}})

    comparison = compare(with_digest("1" * 64), with_digest("2" * 64), "pose.network_input")
    assert comparison.causes[0].code == "operations"
    assert comparison.causes[0].evidence["what"] == ["cv2.resize.cubic"]
    both = changed(with_digest("2" * 64), FAULTS["ipp"])
    ipp = compare(with_digest("1" * 64), both, "pose.network_input").causes[0]
    assert ipp.code == "ipp" and ipp.evidence["operations"] == ["cv2.resize.cubic"]


def test_what_is_wrong_on_both_sides_explains_less(environment):
    unpinned = changed(environment, FAULTS["mkl-branch"])
    cause = compare(unpinned, unpinned, "recognise.logits").causes[0]
    assert cause.code == "mkl-branch" and cause.score < 0.5


def test_an_environment_that_is_none_and_one_that_is_absent(environment):
    with pytest.raises(TraceError, match="is no snapshot"):
        compare(environment, {"kind": "something"}, "pose.network_input")
    comparison = compare(environment, None, "pose.network_input")
    assert comparison.environment == () and comparison.causes[0].code == "pixels-changed"
    assert any("environments are not compared" in note for note in comparison.notes)
