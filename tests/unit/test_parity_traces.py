"""Comparing traces that are made by hand: what is called equal, how far apart, and what a damaged trace is told."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zipfile
from fnmatch import fnmatchcase

import numpy as np
import pytest

from poseparity.bundle import tables
from poseparity.bundle.bundle import DetectParameters, InterpolateParameters, NormaliseParameters, TrimParameters
from poseparity.errors import TraceError
from poseparity.parity.traces import compare as traces
from poseparity.parity.traces import report as trace_report
from poseparity.parity.traces import tolerance
from poseparity.parity.traces.causes import catalogue, from_environment, from_parameters
from poseparity.parity.traces.page import drawings, page
from poseparity.trace.reading import TraceFile, load_trace, parse_trace
from tests.handmade_traces import compared, document, side, stage, value


def only_value(comparison) -> dict:
    return comparison.to_dict()["stages"][0]["values"][0]


def test_equal_bits_are_identical_whatever_time_they_took():
    comparison = compared([stage("crop", value("box", [1, 2]))], [stage("crop", value("box", [1, 2])) | {"seconds": 9}])
    assert (comparison.verdict, comparison.first, comparison.exit_status) == ("identical", None, 0)


def test_a_small_difference_is_within_the_tolerance_of_its_unit():
    for difference, state in ((0.05, "within-tolerance"), (0.2, "diverged")):
        comparison = compared(
            [stage("crop", value("box", [1.0, 2.0]))], [stage("crop", value("box", [1.0, 2.0 + difference]))]
        )
        assert comparison.verdict == state and comparison.exit_status == 1
        assert only_value(comparison)["largest"] == pytest.approx(difference)


def test_whole_numbers_and_unknown_units_have_no_tolerance():
    assert tolerance.tolerance_of("frames") == tolerance.tolerance_of("furlongs") == 0
    comparison = compared([stage("x", value("n", 3, unit="frames"))], [stage("x", value("n", 4, unit="frames"))])
    assert comparison.verdict == "diverged"


def test_every_unit_of_the_pipeline_has_its_tolerance():
    from poseparity.stages.decode import Decode

    units = {*Decode.observed.values(), "pixels", "normalised", "logits", "probability", "confidence", "frames"}
    assert units <= tolerance.tolerances().keys()


def test_without_arrays_the_frames_are_known_and_the_size_is_not():
    keypoints = np.ones((6, 17, 3))
    moved = keypoints.copy()
    moved[2:4, 5, 0] += 7
    made = [[stage("pose", value("keypoints", each, by_frame=True, data=False))] for each in (keypoints, moved)]
    comparison = compared(*made)
    found = only_value(comparison)
    assert (found["state"], found["first_frame"], found["differing_frames"], found["frames"]) == ("diverged", 2, 2, 6)
    assert found["largest"] is None and "--trace-arrays" in found["note"]
    assert any("counts as diverged" in note for note in comparison.notes)


def test_frames_are_laid_over_each_other_where_trimming_cut_others():
    whole = np.random.default_rng(0).random((8, 2, 3)) + 1
    trimmed = [
        [stage("trim", value("first_frame", first, unit="frames"), value("keypoints", whole[first:], by_frame=True))]
        for first in (1, 3)
    ]
    found = compared(*trimmed).to_dict()["stages"][0]["values"][1]
    assert (found["differing_frames"], found["frames"]) == (0, 5)
    assert found["note"] == "7 frames in A, 5 in B"


def test_a_joint_that_one_side_misses_is_counted_and_not_measured():
    keypoints = np.full((3, 17, 3), 100.0)
    other = keypoints.copy()
    other[1, 4] = 0
    other[2, 5, 0] += 0.05
    found = only_value(
        compared(*([stage("pose", value("keypoints", each, by_frame=True))] for each in (keypoints, other)))
    )
    assert found["state"] == "diverged" and found["largest"] == pytest.approx(0.05) and found["frame"] == 2
    assert found["note"] == "1 joints are missing in one only"


def test_confidences_are_no_pixels():
    keypoints = np.full((3, 17, 3), 100.0)
    other, both = keypoints.copy(), keypoints.copy()
    other[1, 4, 2] += 0.05
    both[1, 4] += 0.05
    mine, *theirs = ([stage("pose", value("keypoints", each, by_frame=True))] for each in (keypoints, other, both))
    alone, beside = (only_value(compared(mine, each)) for each in theirs)
    assert (alone["state"], alone["unit"], alone["frame"], alone["note"]) == ("diverged", "confidence", 1, "")
    assert alone["largest"] == pytest.approx(0.05)
    assert (beside["state"], beside["unit"], beside["note"]) == ("diverged", "pixels", "confidence by 0.05")


def test_other_shapes_types_and_what_is_no_number():
    shapes = compared([stage("x", value("v", [1.0]))], [stage("x", value("v", [1.0, 2.0]))])
    assert only_value(shapes)["note"] == "shape 1 in A, 2 in B"
    types = compared([stage("x", value("v", np.float32([1])))], [stage("x", value("v", np.float64([1])))])
    assert only_value(types)["state"] == "within-tolerance" and only_value(types)["note"] == "type <f4 in A, <f8 in B"
    nothing = compared([stage("x", value("v", [np.nan]))], [stage("x", value("v", [1.0]))])
    assert only_value(nothing)["state"] == "diverged" and only_value(nothing)["largest"] is None
    json.dumps(nothing.to_dict(), allow_nan=False)


def test_the_first_stage_is_in_the_order_of_the_pipeline_and_later_parameters_follow():
    names = ("decode", "crop", "pose")
    a = [stage(name, value("v", 1.0), size=1) for name in names]
    b = [a[0], stage("crop", value("v", 5.0), size=1), stage("pose", value("v", 9.0), size=2)]
    comparison = compared(a, b)
    assert comparison.to_dict()["first"] == {"stage": "crop", "value": "v", "frame": None}
    later = [cause for cause in comparison.causes if cause.stage == "pose"]
    assert later[0].evidence["parameter"] == "pose.size" and later[0].score < 0.3
    assert comparison.causes[0].code == "unknown"


def test_a_parameter_before_the_first_stage_had_no_effect():
    a = [stage("crop", value("v", 1.0), padding=0.1), stage("pose", value("v", 1.0), net_height=1)]
    b = [stage("crop", value("v", 1.0), padding=0.2), stage("pose", value("v", 9.0), net_height=2)]
    comparison = compared(a, b)
    assert [cause.code for cause in comparison.causes] == ["pose-network-size"]
    assert [cause.code for cause in comparison.warnings] == ["crop-padding"]


CODE = {"module": "m", "sha256": "c" * 64}
OTHER_CODE = {"module": "n", "sha256": "d" * 64}
IN_TORCH = {"engine": "openpose", "net_height": 368, "follow": "score", "weights_sha256": "a" * 64}
EXECUTABLE = {"engine": "openpose-binary", "net_resolution": "-1x368", "follow": "score", "flags": ["--display=0"],
              "executable_sha256": None, "model_sha256": "b" * 64}  # fmt: skip


def causes_between(a: dict, b: dict, name: str = "pose") -> list[tuple[str, object]]:
    """Code and parameter of each cause where a stage with other parameters made something else."""
    comparison = compared([stage(name, value("v", 1.0), **a)], [stage(name, value("v", 9.0), **b)])
    return [(cause.code, cause.evidence.get("parameter")) for cause in comparison.causes]


def test_another_engine_is_told_and_not_what_follows_from_it():
    codes = {"code": CODE, "engine_code": CODE}, {"code": CODE, "engine_code": OTHER_CODE}
    a, b = IN_TORCH | codes[0], EXECUTABLE | codes[1]
    assert causes_between(a, b) == [("pose-engine", "pose.engine")]
    also = causes_between(a, b | {"follow": "largest", "code": OTHER_CODE})
    assert set(also) == {("pose-engine", "pose.engine"), ("pose-follow", "pose.follow"), ("stage-code", None)}


def test_another_strategy_is_told_and_not_what_follows_from_it():
    yolo = {"strategy": "yolo", "padding": 0.15}
    two_pass = {"strategy": "two_pass", "padding": 0.15, "sample_share": 0.25, "engine": IN_TORCH, "engine_code": CODE}
    whole = [("crop-strategy", "crop.strategy")]
    assert causes_between(yolo, two_pass, "crop") == whole
    assert causes_between(two_pass, {"strategy": "none"}, "crop") == whole
    assert set(causes_between(yolo, two_pass | {"padding": 0.1}, "crop")) == {*whole, ("crop-padding", "crop.padding")}


@pytest.mark.parametrize(
    ("changes", "code", "parameter"),
    [
        ({"net_height": 432}, "pose-network-size", "pose.net_height"),
        ({"weights_sha256": "e" * 64}, "weights", None),
        (EXECUTABLE, "pose-engine", "pose.engine"),
    ],
)
def test_the_first_pass_of_a_crop_has_the_causes_of_the_pose_engine(changes, code, parameter):
    a = {"strategy": "two_pass", "engine": IN_TORCH}
    b = {"strategy": "two_pass", "engine": changes if "engine" in changes else {**IN_TORCH, **changes}}
    comparison = compared([stage("crop", value("v", 1.0), **a)], [stage("crop", value("v", 9.0), **b)])
    assert [(cause.code, cause.evidence.get("parameter")) for cause in comparison.causes] == [(code, parameter)]
    assert code != "weights" or "the weights of the pose network differ" in comparison.causes[0].title


CONVOLUTION = [("pose-convolution", "pose.network.convolution")]


def with_network(**table: object) -> dict:
    return {**IN_TORCH, "network": {"kind": "coco", **table}}


def test_another_convolution_is_no_other_architecture():
    direct, fast = with_network(convolution="direct"), with_network(convolution="fast")
    assert causes_between(direct, fast) == CONVOLUTION
    comparison = compared([stage("pose", value("v", 1.0), **direct)], [stage("pose", value("v", 9.0), **fast)])
    assert "pose.network.convolution is direct in A and fast in B" in comparison.causes[0].title
    weights = fast | {"weights_sha256": "e" * 64}
    comparison = compared([stage("pose", value("v", 1.0), **direct)], [stage("pose", value("v", 9.0), **weights)])
    told = {cause.code: cause.title for cause in comparison.causes}
    assert told.keys() == {"pose-convolution", "weights"} and "the architecture is the same" in told["weights"]


def test_a_trace_from_before_there_was_a_choice_of_convolutions_was_made_with_the_direct_one():
    before, direct, fast = with_network(), with_network(convolution="direct"), with_network(convolution="fast")
    assert causes_between(before, direct) == causes_between(before, before)
    assert causes_between(before, fast) == CONVOLUTION
    first_pass = [{"strategy": "two_pass", "engine": table} for table in (before, direct, fast)]
    assert causes_between(*first_pass[:2], "crop") == causes_between(first_pass[0], first_pass[0], "crop")
    assert causes_between(first_pass[0], first_pass[2], "crop") == CONVOLUTION


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"executable_sha256": "1" * 64}, "pose-program", "another build of OpenPose"),
        ({"model_sha256": "1" * 64}, "weights", "of the pose network differ .* the architecture is the same"),
        ({"net_resolution": "-1x432", "flags": ["--net_resolution=-1x432"]}, "pose-network-size", "-1x368 in A"),
        ({"flags": ["--display=1"]}, "pose-flags", "--display=0 in A, --display=1 in B"),
        ({"engine_code": OTHER_CODE}, "stage-code", "n, sha256 cccccccccccc in A, dddddddddddd in B"),
    ],
)
def test_what_differs_between_two_of_openposes_executables(changes, code, words):
    a = EXECUTABLE | {"code": CODE, "engine_code": {**OTHER_CODE, "sha256": CODE["sha256"]}}
    comparison = compared([stage("pose", value("v", 1.0), **a)], [stage("pose", value("v", 9.0), **a | changes)])
    (found,) = comparison.causes
    assert found.code == code
    assert re.search(words, found.title), found.title


def test_a_parameter_is_called_as_in_bundle_toml():
    assert from_parameters.parameter_of("inspect", "max_missing_share") == "quality.max_missing_share"
    assert from_parameters.parameter_of("crop", "engine.net_height") == "pose.net_height"
    assert from_parameters.parameter_of("crop", "padding") == "crop.padding"


def test_other_inputs_and_other_bundles_are_told_first_of_all():
    other = {"input": {"name": "other.mp4", "kind": "video", "bytes": 6, "sha256": "1" * 64}}
    comparison = compared([stage("crop", value("v", 1.0))], [stage("crop", value("v", 9.0))], **other)
    assert comparison.causes[0].code == "input-differs"
    bundles = {"bundle": {"name": "demo", "version": "2", "sha256": "1" * 64}}
    comparison = compared([stage("crop", value("v", 1.0))], [stage("crop", value("v", 1.0))], **bundles)
    assert [cause.code for cause in comparison.warnings] == ["bundle-differs"]


def test_a_golden_trace_says_nothing_of_code_and_of_its_bundle():
    golden = side(stage("crop", value("v", 1.0), padding=0.1))
    bundle = golden.trace.bundle.model_copy(update={"sha256": None})
    golden = TraceFile("golden.json", golden.trace.model_copy(update={"bundle": bundle, "poseparity": None}))
    code = {"module": "m", "sha256": "c" * 64}
    comparison = traces.compare_traces(golden, side(stage("crop", value("v", 1.0), padding=0.1, code=code)))
    assert comparison.verdict == "identical" and comparison.warnings == ()
    assert "golden" in trace_report.render(comparison)
    assert "golden trace" in page.render_page(comparison, drawings.Figures([]))
    other = side(stage("crop", value("v", 2.0), padding=0.2, code=code))
    assert [cause.code for cause in traces.compare_traces(golden, other).causes] == ["crop-padding"]


def test_code_weights_and_labels_are_told_once_each():
    a = [stage("recognise", value("v", 1.0), weights_sha256="a" * 64, code={"module": "m", "sha256": "c" * 64})]
    b = [stage("recognise", value("v", 9.0), weights_sha256="b" * 64, code={"module": "m", "sha256": "d" * 64})]
    scores = [{"label": "b", "score": 0.75}, {"label": "a", "score": 0.25}]
    comparison = compared(a, b, prediction={"index": 0, "label": "b", "scores": scores})
    assert {cause.code for cause in comparison.causes} == {"weights", "labels-order", "stage-code"}
    assert comparison.causes[-1].code == "stage-code"
    assert "aaaaaaaaaaaa in A, bbbbbbbbbbbb in B" in next(c.title for c in comparison.causes if c.code == "weights")


def test_text_for_a_terminal_holds_nothing_that_moves_its_cursor():
    evil = "\x1b[2J\rgone"
    comparison = compared(
        [stage(evil, value(evil, 1.0, unit=evil), x=evil)], [stage(evil, value(evil, 2.0, unit=evil))]
    )
    text = trace_report.render(comparison)
    assert "\x1b" not in text and "\r" not in text and "gone" in text


# --- the catalogue ---------------------------------------------------------------------------------------------------


def test_every_code_that_is_used_is_in_the_catalogue():
    used = {group.code for group in from_environment.GROUPS} | {code for _, code in from_parameters._CODES}
    assert used <= catalogue.CATALOGUE.keys()


def forms_of_tables() -> list[tuple[str, type]]:
    """The tables whose parameters causes are looked for in, in each of their forms."""
    several = (("crop", tables.STRATEGIES), ("pose", tables.ENGINES))
    fields = {
        "detect": DetectParameters,
        "interpolate": InterpolateParameters,
        "trim": TrimParameters,
        "normalise": NormaliseParameters,
    }
    return [*fields.items(), *((name, form) for name, forms in several for form in forms.values())]


@pytest.mark.parametrize(("table", "form"), forms_of_tables())
def test_every_parameter_of_a_bundle_has_a_cause_of_its_own(table, form):
    # Told as parameters, by their paths.
    generic = {f"{of}.{name}" for of in ("detect", "pose") for name in ("classes", "person_class")} | {"pose.network"}
    for name in form.model_fields:
        path = f"{table}.{name}"
        special = (table, name) in from_parameters._SPECIAL
        assert path in generic or special or any(fnmatchcase(path, p) for p, _ in from_parameters._CODES), path


# --- damaged and hostile traces --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b'{"format": "poseparity-trace/1"', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'"text"', "is no trace"),
        (b'{"format": "poseparity-trace/2"}', "poseparity-trace/2"),
        (b'{"prediction": {}, "frames": {}}', "an answer without a trace"),
        (b'{"trace": 5}', "is no trace"),
        (json.dumps(document(bundle={"name": "x"})).encode(), "is damaged: bundle.version"),
        (json.dumps(document()).encode(), "it has no stages"),
    ],
)
def test_what_is_no_trace_is_refused_with_a_fix(content, message):
    with pytest.raises(TraceError, match=message) as caught:
        parse_trace(content, "b.json")
    assert str(caught.value).startswith("b.json") and caught.value.fix


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "|O"}, "expected numbers"),
        ({"dtype": "<f8,<f8"}, "expected numbers"),
        ({"frames": ["0" * 12]}, "1 frames, shape"),
        ({"data": "!!!"}, "trace.json is damaged"),
        ({"shape": [5]}, "trace.json is damaged"),
        ({"shape": [None]}, "trace.json is damaged"),
        ({"data": base64.b64encode(np.ones(2)).decode()}, "is not what its sha256 says"),
    ],
)
def test_a_value_that_is_not_what_it_says_is_refused(change, message):
    with pytest.raises(TraceError, match=message):
        side(stage("crop", value("box", [1.0, 3.0]) | change))


def with_arrays(tmp_path, content: bytes, *, name: str = "trace.npz", sha256: str | None = None):
    keypoints = np.ones((3, 17, 3))
    (tmp_path / "trace.npz").write_bytes(content)
    arrays = {"file": name, "sha256": sha256 or hashlib.sha256(content).hexdigest()}
    stages = stage("pose", value("keypoints", keypoints, by_frame=True, data=False))
    (tmp_path / "trace.json").write_text(json.dumps(document(stages, arrays=arrays)))
    return load_trace(tmp_path / "trace.json")


def npz(name: str, array) -> bytes:
    with io.BytesIO() as file:
        np.savez_compressed(file, **{name: array})
        return file.getvalue()


def test_arrays_are_read_and_held_to_their_digests(tmp_path):
    found = with_arrays(tmp_path, npz("pose.keypoints", np.ones((3, 17, 3))))
    assert found.result("pose", "keypoints").shape == (3, 17, 3)
    found = with_arrays(tmp_path, npz("pose.keypoints", np.zeros((3, 17, 3))))
    with pytest.raises(TraceError, match="is not what its sha256 says"):
        found.result("pose", "keypoints")


def test_arrays_that_would_run_code_or_fill_the_memory_are_refused(tmp_path):
    found = with_arrays(tmp_path, npz("pose.keypoints", np.array([{"an": "object"}], dtype=object)))
    with pytest.raises(TraceError, match="cannot be read"):
        found.result("pose", "keypoints")
    header = (
        b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }".ljust(118)
    )
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("pose.keypoints.npy", header)
        found = with_arrays(tmp_path, file.getvalue())
    with pytest.raises(TraceError, match="cannot be read"):
        found.result("pose", "keypoints")


def test_arrays_elsewhere_absent_or_changed(tmp_path):
    for name in ("../trace.npz", "/etc/passwd", "a\\b.npz", "trace.txt"):
        with pytest.raises(TraceError, match=r"expected the name of a \.npz beside it"):
            with_arrays(tmp_path, b"x", name=name)
    with pytest.raises(TraceError, match="names 111111111111"):
        with_arrays(tmp_path, b"x", sha256="1" * 64)
    found = with_arrays(tmp_path, b"x", name="other.npz")
    assert found.arrays is None and "do not lie beside it" in found.notes[0]
    found = with_arrays(tmp_path, b"this is no zip")
    with pytest.raises(TraceError, match=r"it is no \.npz"):
        found.result("pose", "keypoints")


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("poseparity.trace.reading.MOST_BYTES", 1000)
    (tmp_path / "a.json").write_text("{" + " " * 2000)
    with pytest.raises(TraceError, match="more than 1000 bytes"):
        load_trace(tmp_path / "a.json")
