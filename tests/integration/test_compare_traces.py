"""Comparing traces of real runs in which one thing was changed: the stage and the cause must be named rightly."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

import poseparity.engines.openpose.engine as openpose
import poseparity.stages.interpolate as interpolate
import poseparity.stages.normalise as normalise
from poseparity.compute.lanes import InPlace
from poseparity.inputs import Input
from poseparity.parity.traces import compare as traces
from poseparity.pipeline import Pipeline
from poseparity.records import Box, Size
from poseparity.stages.interpolate import Interpolate
from poseparity.stages.normalise import Normalise
from poseparity.stages.trim import Trim
from poseparity.trace.reading import load_trace
from tests.integration.test_cli import poseparity
from tests.integration.traces import trace_of, without_arrays

FRAMES = 14
FRAME_SIZE, CROP = Size(480, 360), Box(100, 90, 220, 210)  # of the demo clip, with all joints


@pytest.fixture(scope="module")
def short_clip(demo_clip, tmp_path_factory):
    """The middle of the demo clip, lossless enough that the figure is found."""
    path = tmp_path_factory.mktemp("clip") / "short.mp4"
    capture, writer = cv2.VideoCapture(str(demo_clip)), None
    for number in range(50 + FRAMES):
        _, frame = capture.read()
        if number >= 50:
            size = frame.shape[1::-1]
            writer = writer or cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30, size)
            writer.write(frame)
    writer.release()
    return path


@pytest.fixture(scope="module")
def with_bundle(pipeline):
    """The pipeline with another bundle: `with_bundle(crop={"padding": 0.1})`; only the stages named are made anew."""

    def make(stages=(), **tables):
        changes = {name: getattr(pipeline.bundle, name).model_copy(update=table) for name, table in tables.items()}
        made = Pipeline.__new__(Pipeline)
        vars(made).update(vars(pipeline))
        made.bundle = pipeline.bundle.model_copy(update={**changes, "sha256": "1" * 64})
        replaced = {stage.name: stage(made.bundle) for stage in stages}
        made.stages = tuple(replaced.get(stage.name, stage) for stage in pipeline.stages)
        return made

    return make


@pytest.fixture(scope="module")
def record(pipeline, short_clip, tmp_path_factory):
    """Run the short clip through a pipeline; the trace's path."""

    def run(other=pipeline):
        return trace_of(other, Input(short_clip, "video"), tmp_path_factory.mktemp("video"))

    return run


@pytest.fixture(scope="module")
def record_csv(pipeline, demo_result, tmp_path_factory):
    """Run the demo clip's skeleton, with gaps in the middle and at both ends, from where a CSV enters."""
    holed = demo_result.skeleton.keypoints.copy()
    holed[:4, 9], holed[40:44, 10], holed[-5:, 15] = 0, 0, 0

    def run(other=pipeline, keypoints=holed):
        from poseparity import skeleton_csv

        folder = tmp_path_factory.mktemp("csv")
        content = skeleton_csv.write(keypoints)
        return trace_of(other, Input(content, "csv", frame_size=FRAME_SIZE, crop=CROP), folder)

    return run


@pytest.fixture(scope="module")
def video(record):
    return record()


@pytest.fixture(scope="module")
def skeleton(record_csv):
    return record_csv()


def compared(a, b):
    comparison = traces.compare_trace_files(a, b)
    json.dumps(comparison.to_dict(), allow_nan=False)
    return comparison


def named(comparison) -> tuple[str, str]:
    """The first stage that differs, and the code of the first cause."""
    return comparison.first.stage, comparison.causes[0].code


def states(comparison) -> dict[str, str]:
    return {stage.name: stage.state for stage in comparison.stages}


def test_two_runs_are_identical_in_every_stage(video, record):
    comparison = compared(video, record())
    assert comparison.verdict == "identical" and comparison.exit_status == 0
    assert set(states(comparison).values()) == {"identical"}
    assert comparison.causes == () and comparison.warnings == ()


def test_a_video_and_its_csv_are_compared_from_the_stages_that_both_have(video, record_csv):
    keypoints = load_trace(video).result("pose", "keypoints")
    comparison = compared(video, record_csv(keypoints=keypoints))
    assert comparison.verdict == "identical"
    assert states(comparison)["pose"] == "only-in-one" and states(comparison)["inspect"] == "identical"
    assert any("compared from the first stage that both have, inspect" in note for note in comparison.notes)


def test_crop_padding(video, record, with_bundle):
    from poseparity.stages.crop import Crop

    comparison = compared(video, record(with_bundle([Crop], crop={"padding": 0.10})))
    assert named(comparison) == ("crop", "crop-padding")
    assert comparison.causes[0].evidence["a"] == 0.15 and comparison.causes[0].evidence["b"] == 0.1
    assert states(comparison)["detect"] == "identical"
    box = comparison.to_dict()["stages"][2]["values"][0]
    assert box["name"] == "box" and box["unit"] == "pixels" and box["largest"] >= 1
    assert [cause.code for cause in comparison.causes] == ["crop-padding"]


def test_a_parameter_without_effect_is_a_warning(skeleton, record_csv, with_bundle):
    comparison = compared(skeleton, record_csv(with_bundle([Trim], trim={"min_frames": 12})))
    assert comparison.verdict == "identical"
    assert [(each.code, each.stage) for each in comparison.warnings] == [("trimming", "trim")]


def test_a_crop_that_went_through_jpeg(video, record, monkeypatch):
    fit = openpose.fit_to_network

    def through_jpeg(crop, **size):
        content = cv2.imencode(".jpg", np.ascontiguousarray(crop), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        return fit(cv2.imdecode(content, cv2.IMREAD_COLOR), **size)

    monkeypatch.setattr(openpose, "fit_to_network", through_jpeg)
    changed = record()
    comparison = compared(video, changed)
    assert named(comparison) == ("pose", "jpeg")
    assert comparison.causes[0].evidence["side"] == "B" and comparison.causes[0].evidence["quality"] == 90
    assert compared(changed, video).causes[0].evidence["side"] == "A"
    blind = traces.compare_traces(without_arrays(video), without_arrays(changed))
    assert named(blind) == ("pose", "pixels-changed")
    assert "--trace-arrays" in blind.stages[3].values[0].note


def test_exchanged_colours_and_another_interpolation(video, record, monkeypatch):
    import poseparity.engines.openpose.image as image

    fit, resize = openpose.fit_to_network, cv2.resize

    def exchange(crop, **size):
        return fit(np.ascontiguousarray(crop[..., ::-1]), **size)

    with monkeypatch.context() as patch:
        patch.setattr(openpose, "fit_to_network", exchange)
        exchanged = record()
    with monkeypatch.context() as patch:
        patch.setattr(image.cv2, "resize", lambda crop, size, interpolation: resize(crop, size, interpolation=1))
        linear = record()
    assert named(compared(video, exchanged)) == ("pose", "colour-order")
    comparison = compared(video, linear)
    assert named(comparison) == ("pose", "resize-method")
    assert comparison.causes[0].evidence["method"] == "linear"


def test_interpolation_off(skeleton, record_csv, with_bundle):
    comparison = compared(skeleton, record_csv(with_bundle([Interpolate], interpolate={"method": "none"})))
    assert named(comparison) == ("interpolate", "interpolation-off")
    assert comparison.causes[0].evidence["side"] == "B"


def _held(keypoints, missing):
    result = keypoints.copy()
    for frame in range(1, len(result)):
        result[frame, missing[frame]] = result[frame - 1, missing[frame]]
    return result


def _ends_open(keypoints, missing):
    result = FILLED(keypoints, missing)
    ends = np.logical_and.accumulate(missing) | np.logical_and.accumulate(missing[::-1])[::-1]
    result[ends] = 0
    return result


FILLED = interpolate.filled


@pytest.mark.parametrize("filled", [_held, _ends_open])
def test_interpolation_from_one_side(skeleton, record_csv, monkeypatch, filled):
    monkeypatch.setattr(interpolate, "filled", filled)
    assert named(compared(skeleton, record_csv())) == ("interpolate", "interpolation-one-sided")


def test_interpolation_that_is_off_without_a_parameter(skeleton, record_csv, monkeypatch):
    monkeypatch.setattr(interpolate, "filled", lambda keypoints, missing: keypoints)
    assert named(compared(skeleton, record_csv())) == ("interpolate", "interpolation-off")


def test_trimming(skeleton, record_csv, with_bundle):
    comparison = compared(skeleton, record_csv(with_bundle([Trim], trim={"threshold": 0.0})))
    assert named(comparison) == ("trim", "trimming-off")
    values = {value.name: value for value in comparison.stages[2].values}
    assert values["keypoints"].differing_frames == 0  # the frames that both keep are the same
    comparison = compared(skeleton, record_csv(with_bundle([Trim], trim={"margin": 6})))
    assert named(comparison) == ("trim", "trimming")


def test_another_reference_box(skeleton, record_csv, with_bundle):
    comparison = compared(skeleton, record_csv(with_bundle([Normalise], normalise={"reference": "crop"})))
    assert named(comparison) == ("normalise", "img-shape")


def test_prenormalise_off(skeleton, record_csv, with_bundle, demo_bundle):
    transforms = demo_bundle.normalise.transforms[1:]
    comparison = compared(skeleton, record_csv(with_bundle([Normalise], normalise={"transforms": transforms})))
    assert named(comparison) == ("normalise", "prenormalise-off")
    assert [cause.code for cause in comparison.causes].count("transform-replaced") == 0


ANNOTATION = normalise.annotation


def _float32(skeleton, box, parameters):
    positions = skeleton.keypoints[None, ..., :2] - box[:2]
    return ANNOTATION(skeleton, box, parameters) | {"keypoint": positions.astype(np.float32)}


def _in_unit(skeleton, box, parameters):
    positions = skeleton.keypoints[None, ..., :2] / (FRAME_SIZE.width, FRAME_SIZE.height)
    return ANNOTATION(skeleton, box, parameters) | {"keypoint": positions.astype(np.float16)}


def _full_hd(skeleton, box, parameters):
    return ANNOTATION(skeleton, box, parameters) | {"img_shape": (1080, 1920)}


def _scores_one(skeleton, box, parameters):
    annotation = ANNOTATION(skeleton, box, parameters)
    return annotation | {"keypoint_score": np.ones_like(annotation["keypoint_score"])}


@pytest.mark.parametrize(
    ("annotation", "code"),
    [
        (_float32, "keypoint-precision"),
        (_in_unit, "coordinates-unit"),
        (_full_hd, "img-shape"),
        (_scores_one, "scores-one"),
    ],
)
def test_what_only_the_arrays_show_of_normalisation(skeleton, record_csv, monkeypatch, annotation, code):
    monkeypatch.setattr(normalise, "annotation", annotation)
    changed = record_csv()
    assert named(compared(skeleton, changed)) == ("normalise", code)
    blind = traces.compare_traces(without_arrays(skeleton), without_arrays(changed))
    assert named(blind) == ("normalise", "unknown")
    assert "--trace-arrays" in blind.causes[0].confirm


def _mean_centred(_transform, results):
    keypoints = results["keypoint"].astype(np.float32)
    return results | {"keypoint": keypoints - keypoints.mean(axis=(1, 2), keepdims=True)}


class PreNormalize2D:
    """A class that somebody registers over MMAction2's."""

    __call__ = _mean_centred


def test_mean_centring_and_a_replaced_transform(skeleton, record_csv, with_bundle, monkeypatch):
    replaced = with_bundle([Normalise])
    stage = next(stage for stage in replaced.stages if stage.name == "normalise")
    original = type(stage._transforms[0])
    stage._transforms[0] = PreNormalize2D()
    comparison = compared(skeleton, record_csv(replaced))
    assert named(comparison) == ("normalise", "transform-replaced")
    assert comparison.causes[1].code == "mean-centring"
    monkeypatch.setattr(original, "transform", _mean_centred)
    assert named(compared(skeleton, record_csv())) == ("normalise", "mean-centring")


def test_labels_in_another_order(skeleton, record_csv, with_bundle, demo_bundle):
    names = demo_bundle.labels.names
    relabelled = with_bundle(labels={"names": names[1:] + names[:1]})
    from poseparity.stages.recognise import Recognise

    stage = Recognise(relabelled.bundle, InPlace())
    relabelled.stages = (*relabelled.stages[:-1], stage)
    comparison = compared(skeleton, record_csv(relabelled))
    assert named(comparison) == ("recognise", "labels-order")
    assert [cause.code for cause in comparison.causes] == ["labels-order"]


def test_another_checkpoint(skeleton, record_csv, with_bundle, pipeline):
    import torch

    weights = dict(pipeline.bundle.weights)
    weights["recogniser"] = weights["recogniser"].model_copy(update={"sha256": "2" * 64})
    other = with_bundle()
    other.bundle = other.bundle.model_copy(update={"weights": weights})
    bias = pipeline.stages[-1].model.cls_head.fc.bias
    kept = bias.detach().clone()
    try:
        with torch.no_grad():
            bias += 0.01
        comparison = compared(skeleton, record_csv(other))
    finally:
        with torch.no_grad():
            bias.copy_(kept)
    assert named(comparison) == ("recognise", "weights")
    assert comparison.causes[0].evidence["architecture"] == "the same"


def test_other_inputs_are_told_first_and_how_they_differ(skeleton, record_csv, demo_result):
    keypoints = load_trace(skeleton).result("interpolate", "keypoints").copy()
    swapped = keypoints.copy()
    swapped[:, 1::2], swapped[:, 2::2] = keypoints[:, 2::2], keypoints[:, 1::2]
    comparison = compared(record_csv(keypoints=keypoints), record_csv(keypoints=swapped))
    codes = [cause.code for cause in comparison.causes]
    assert "input-differs" in codes[:2]
    assert any("swap" in code for code in codes)
    other = demo_result.skeleton.keypoints[::-1] * (1.0, 0.5, 1.0) + np.linspace(0, 40, 104)[:, None, None] * (1, 0, 0)
    comparison = compared(skeleton, record_csv(keypoints=other))
    assert comparison.causes[0].code == "input-differs"


def test_the_command_prints_text_json_and_statuses(video, skeleton, tmp_path):
    done = poseparity("compare", video, video)
    assert done.returncode == 0 and done.stdout.startswith("IDENTICAL: "), done.stderr
    (tmp_path / "answer.json").write_text(json.dumps({"prediction": {}, "trace": json.loads(skeleton.read_text())}))
    done = poseparity("compare", skeleton, tmp_path / "answer.json", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "identical"
    for other in (video.with_suffix(".npz"), tmp_path / "absent.json"):
        done = poseparity("compare", video, other)
        assert done.returncode == 2 and "fix: " in done.stderr and "Traceback" not in done.stderr


def test_comparing_imports_no_model_code(skeleton):
    program = (
        "import sys; from pathlib import Path; from poseparity.parity.traces.compare import compare_trace_files;"
        "compare_trace_files(*map(Path, sys.argv[1:])); print([m for m in ('torch', 'mmengine', 'cv2', 'scipy')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, skeleton, skeleton], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
