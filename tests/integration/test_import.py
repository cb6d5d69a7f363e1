"""`poseparity bundle import` on what MMAction2's own training wrote: the scores are MMAction2's, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from poseparity import skeleton_csv
from poseparity.bundle.bundle import Bundle, InterpolateParameters, TrimParameters, load_bundle
from poseparity.errors import ImportRefused, PoseParityError
from poseparity.importing.readers import config_process
from poseparity.importing.readers.config import read_config, understood
from poseparity.keypoints import Coco17
from poseparity.pipeline import Pipeline, PipelineResult
from poseparity.records import Size, VideoFile
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from tests.conftest import DEMO_BUNDLE
from tests.integration.real_videos import REAL_VIDEOS, check_outcome, outcome
from tests.mmaction2_bundles import import_by_fork, label_of_mmaction2, request_for, scores_of_mmaction2
from tests.mmaction2_run import LABELS, VARIANTS, TrainingRun, run_of

# Nearly every test here starts MMAction2 in a process of its own.
pytestmark = pytest.mark.slow

POSEPARITY = Path(sys.executable).with_name("poseparity")
FRAME = Size(1920, 1080)
PADDING = 0.10


@pytest.fixture(scope="session")
def answer_on_the_clip(demo_result):
    """What MMAction2 says of the demo clip."""

    def answer(run: TrainingRun) -> str:
        return label_of_mmaction2(run, demo_result.kept)

    return answer


@pytest.fixture(scope="session")
def pipeline_of(imported_bundle):
    """`pipeline_of(name)`: the pipeline of the bundle that was imported from that training run, loaded once."""
    return cache(lambda name: load_pipeline(load_settings(bundle=imported_bundle(name).folder)))


@dataclass(frozen=True)
class Imported:
    """A training run, and the pipeline of the bundle made from it."""

    run: TrainingRun
    pipeline: Pipeline


@pytest.fixture
def imported(name, imported_bundle, pipeline_of) -> Imported:
    """What the test's `name` says."""
    return Imported(imported_bundle(name).run, pipeline_of(name))


def check(found: Imported, content: bytes, frame_size: Size) -> PipelineResult:
    """The bundle's scores of a skeleton CSV are those of MMAction2, bit for bit."""
    result = found.pipeline.run_csv(content, frame_size=frame_size)
    assert scores_of_mmaction2(found.run, result.kept).tobytes() == result.prediction.scores.tobytes()
    return result


@pytest.mark.parametrize("name", VARIANTS)
def test_scores_are_those_of_mmaction2(name, imported, imported_bundle, demo_result):
    notes = imported_bundle(name).notes
    assert any("message_hub" in note and "ema_state_dict" in note for note in notes)
    assert any("the neck" in note for note in notes) == ("openpose" in name)
    result = check(imported, demo_result.csv, demo_result.skeleton.frame_size)
    assert result.kept.keypoints.tobytes() == demo_result.kept.keypoints.tobytes()


@pytest.mark.parametrize("name", VARIANTS)
def test_scores_of_a_real_golf_swing_are_those_of_mmaction2(name, imported, real_data):
    result = check(imported, (real_data / "golf/skeleton2d.csv").read_bytes(), FRAME)
    assert result.skeleton.frame_count == 179


def windows(frames: int) -> Iterator[slice]:
    """Whole and part of a recording: its ends, its middle, the shortest, and some of any length."""
    rng = np.random.default_rng(11)
    yield from (slice(0, frames), slice(0, 2), slice(frames - 3, frames), slice(0, frames // 2), slice(60, 120))
    for _ in range(25):
        first, last = sorted(rng.choice(frames, 2, replace=False))
        yield slice(first, max(last, first + 2))


@pytest.mark.parametrize("name", VARIANTS)
def test_with_trimming_and_interpolation_off_every_window_is_inference_skeleton_s(name, imported, real_data):
    """Static ends and missing joints go through as they are; trim.threshold = 0, as README once said it, is off too."""
    bundle = imported.pipeline.bundle
    off = {"interpolate": InterpolateParameters(method="none"), "trim": TrimParameters(method="none")}
    keypoints = skeleton_csv.read((real_data / "golf/skeleton2d.csv").read_bytes(), max_frames=9000)
    still = np.concatenate([keypoints[:1]] * 30 + [keypoints] + [keypoints[-1:]] * 30)
    zero = bundle.trim.model_copy(update={"threshold": 0.0})
    for trim in (off["trim"], zero):
        changed = Pipeline(bundle.model_copy(update={**off, "trim": trim}), max_frames=9000, max_pixels=10**7)
        for window in windows(len(still)):
            content = skeleton_csv.write(still[window])
            result = check(Imported(imported.run, changed), content, FRAME)
            assert result.kept.frame_count == window.stop - window.start
            assert result.kept.missing.sum() == (~still[window].any(axis=-1)).sum()


@pytest.mark.parametrize("name", ["stgcn-openpose", "stgcn++-openpose-bm"])
def test_a_shoulder_that_was_never_seen_takes_the_neck_with_it(name, imported, demo_result):
    keypoints = demo_result.skeleton.keypoints.copy()
    keypoints[:, Coco17.L_SHOULDER] = 0
    result = check(imported, skeleton_csv.write(keypoints), demo_result.skeleton.frame_size)
    assert result.kept.missing[:, Coco17.L_SHOULDER].all()


@pytest.fixture(scope="session")
def real_videos(pipeline, real_data) -> dict[str, PipelineResult | PoseParityError]:
    """What the demo bundle makes of each real video: it knows rendered figures, and need not find anybody."""
    return {name: outcome(pipeline, real_data / name) for name in REAL_VIDEOS}


@pytest.mark.parametrize("name", VARIANTS)
def test_real_videos(name, imported, real_videos, demo_bundle):
    """The eyes of these bundles are the demo bundle's, so what they see is what it saw; the answer is their own."""
    assert eyes(imported.pipeline.bundle) == eyes(demo_bundle)
    for seen in real_videos.values():
        if isinstance(seen, PipelineResult):
            check(imported, seen.csv, seen.skeleton.frame_size)


def eyes(bundle: Bundle) -> tuple:
    """All that decides which skeleton a video gives, or which error."""
    weights = [bundle.weights[name].sha256 for name in ("detector", "pose")]
    return bundle.detect, bundle.crop, bundle.pose, bundle.quality, weights


@dataclass(frozen=True)
class ByCommand:
    """A bundle that the command made, the training run that it was made of, and what the command printed."""

    run: TrainingRun
    folder: Path
    printed: str


@pytest.fixture(scope="session")
def by_command(training_runs, tmp_path_factory, demo_clip, answer_on_the_clip) -> ByCommand:
    run, folder = run_of(training_runs, "stgcn-j"), tmp_path_factory.mktemp("command")
    labels, output = folder / "labels.txt", folder / "bundle"
    labels.write_text("\n".join(LABELS))
    done = subprocess.run(
        [
            POSEPARITY, "bundle", "import", output, "--name", "golf", "--licence", "CC0-1.0", "--labels", labels,
            "--recogniser-config", run.config, "--recogniser-checkpoint", run.checkpoint, "--like", DEMO_BUNDLE,
            "--clip", demo_clip, "--clip-label", answer_on_the_clip(run), "--set", f"crop.padding={PADDING}",
        ],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return ByCommand(run, output, done.stdout)


def test_one_command(by_command, answer_on_the_clip):
    warning = "the config is Python and is run in a process of its own: import only configs that you trust"
    assert warning in by_command.printed
    assert f"the clip is recognised as '{answer_on_the_clip(by_command.run)}'" in by_command.printed
    bundle = load_bundle(by_command.folder)
    assert bundle.crop.padding == PADDING
    assert (
        f"crop.padding={PADDING}, interpolate.method=linear, trim.method=motion, trim.threshold=" in by_command.printed
    )
    assert bundle.labels.names == LABELS
    assert bundle.detect == load_bundle(DEMO_BUNDLE).detect
    assert {path.name for path in by_command.folder.parent.iterdir()} == {"bundle", "labels.txt"}


@pytest.fixture(scope="session")
def found_by_command(by_command) -> Imported:
    return Imported(by_command.run, load_pipeline(load_settings(bundle=by_command.folder)))


def test_a_real_golf_swing_by_command(found_by_command, real_data):
    check(found_by_command, (real_data / "golf/skeleton2d.csv").read_bytes(), FRAME)


@pytest.mark.parametrize("video", REAL_VIDEOS)
def test_a_real_video_by_command(video, found_by_command, real_data):
    """The files themselves, from the first stage on: the crop, the counts and the answer follow from the boxes."""
    pipeline, path = found_by_command.pipeline, real_data / video
    decode, detect = pipeline.stages[:2]
    decoded = decode(VideoFile(path))
    if result := check_outcome(pipeline, path, decoded, list(detect(decoded).boxes)):
        scores = scores_of_mmaction2(found_by_command.run, result.kept)
        assert scores.tobytes() == result.prediction.scores.tobytes()


@pytest.mark.slow
def test_nothing_appears_when_the_clip_gets_another_label(training_runs, tmp_path, demo_clip, 
                                                          answer_on_the_clip):  # fmt: skip
    run = run_of(training_runs, "stgcn-j")
    wrong = next(label for label in LABELS if label != answer_on_the_clip(run))
    with pytest.raises(ImportRefused, match=f"the clip is recognised as .* expected '{wrong}'"):
        import_by_fork(request_for(run, tmp_path / "bundle", clip=demo_clip, clip_label=wrong))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"output": Path(__file__)}, "exists"),
        ({"output": Path("/nowhere/bundle")}, "is no folder"),
        ({"name": "My Model"}, "the name is"),
        ({"like": None}, "no clip is given"),
        ({"clip": Path(__file__)}, "one of --clip and --clip-label"),
        ({"clip": Path("/nowhere.mp4"), "clip_label": "squat"}, "is no file"),
        ({"clip": Path(__file__), "clip_label": "juggle"}, "the clip's label is 'juggle'"),
        ({"clip": Path(__file__), "clip_label": "squat", "like": None}, "no pose network is given"),
        ({"labels": ("a", "b")}, "the clip's label is 'golf_swing', the model's labels are a, b"),
        ({"settings": ("crop.padding=-1",)}, "crop.padding: .*found -1"),
    ],
)
def test_a_request_that_cannot_be_met(changes, words, training_runs, tmp_path):
    with pytest.raises(ImportRefused, match=words) as error:
        changes = {"output": tmp_path / "bundle", **changes}
        import_by_fork(request_for(run_of(training_runs, "stgcn-j"), **changes))
    assert error.value.fix
    assert list(tmp_path.iterdir()) == []


# `_base_` makes a config of the usual kind, whose imports mmengine runs at once; without it they are lazy.
BASE = "_base_ = []\n"
OWN_TRANSFORM = """
import importlib
theirs = importlib.import_module('mmaction.datasets.transforms').PreNormalize2D
importlib.import_module('mmaction.registry').TRANSFORMS.register_module(
    name='PreNormalize2D', force=True, module=type('MeanCentre', (theirs,), {}))
del theirs
"""
PATCHED = """
import importlib
importlib.import_module('mmaction.datasets.transforms').PreNormalize2D.transform = lambda self, results: results
"""
PATCHED_FUNCTION = """
import importlib
importlib.import_module('mmaction.models.utils.graph').normalize_digraph = lambda A, dim=0: A
"""
CHANGED_FUNCTION = """
import importlib
target = importlib.import_module('mmcv.transforms').BaseTransform.__call__
target.__code__ = (lambda self, results: results).__code__
del target
"""


@pytest.mark.parametrize(
    "addition, words",
    [
        (OWN_TRANSFORM, "replaces PreNormalize2D of MMAction2 by code of its own"),
        (PATCHED, "replaces PreNormalize2D, .*PreNormalize2D.transform of MMAction2 by code of its own"),
        (PATCHED_FUNCTION, r"replaces mmaction\.models\.utils\.graph\.normalize_digraph of MMAction2"),
        (CHANGED_FUNCTION, r"replaces mmcv\.transforms\.base\.BaseTransform\.__call__ of MMAction2"),
        ("custom_imports = dict(imports=['my_transforms'])", r"\(custom_imports\): \['my_transforms'\]"),
        ("x = 1 / 0", "cannot be evaluated: ZeroDivisionError"),
    ],
)
def test_a_config_with_code_of_its_own_is_refused_by_name(training_runs, tmp_path, addition, words):
    config = tmp_path / "config.py"
    config.write_text(BASE + run_of(training_runs, "stgcn-j").config.read_text() + "\n" + addition)
    with pytest.raises(ImportRefused, match=words) as error:
        read_config(config)
    assert error.value.fix


@pytest.mark.parametrize(
    "addition, words",
    [
        ("import pathlib\nmodel['backbone']['type'] = pathlib.Path", "model.backbone.type is pathlib.Path"),
        ("default_scope = 'mine'", "default_scope is 'mine'"),
        ("test_pipeline = test_pipeline[1:]", "test_pipeline and test_dataloader.dataset.pipeline differ"),
        ("model = None", "has no model"),
        ("model['backbone']['_scope_'] = 'mmpose'", "model.backbone has the _scope_ 'mmpose', expected 'mmaction'"),
    ],
)
def test_a_config_that_says_what_no_bundle_can_do(training_runs, tmp_path, addition, words):
    """These replace nothing, so the process of their own can be spared."""
    config, answer = tmp_path / "config.py", tmp_path / "answer.json"
    config.write_text(BASE + run_of(training_runs, "stgcn-j").config.read_text() + "\n" + addition)
    config_process.main(config, answer)
    with pytest.raises(ImportRefused, match=words) as error:
        understood(config, json.loads(answer.read_text()))
    assert error.value.fix


@pytest.mark.slow
def test_a_config_runs_in_another_process(training_runs, tmp_path):
    config, trace = tmp_path / "config.py", tmp_path / "pid"
    code = f"import os\nimport pathlib\npathlib.Path({str(trace)!r}).write_text(str(os.getpid()))\ndel os, pathlib\n"
    config.write_text(BASE + code + run_of(training_runs, "stgcn-j").config.read_text())
    read_config(config)
    assert int(trace.read_text()) != os.getpid()


def test_a_config_may_build_on_one_of_mmaction2s(tmp_path):
    """Fine-tuning begins like this; mmengine looks for the base with pkg_resources, which newer setuptools lack."""
    config = tmp_path / "golf.py"
    official = "mmaction::skeleton/stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py"
    config.write_text(f"_base_ = {official!r}\nmodel = dict(cls_head=dict(num_classes=2))\n")
    found = read_config(config)
    assert (found.model["backbone"]["type"], found.model["cls_head"]["num_classes"]) == ("STGCN", 2)
    assert found.pipeline[0] == {"type": "PreNormalize2D"}


def test_an_img_shape_of_the_config_needs_a_decision(training_runs, tmp_path):
    run = run_of(training_runs, "stgcn-j")
    config = tmp_path / "config.py"
    shaped = run.config.read_text().replace("type='PreNormalize2D'", "type='PreNormalize2D', img_shape=(1080, 1920)")
    config.write_text(shaped)
    changed = replace(run, config=config)
    with pytest.raises(ImportRefused, match="counts only where annotations have no img_shape") as error:
        import_by_fork(request_for(changed, tmp_path / "bundle"))
    assert "--reference frame" in error.value.fix
