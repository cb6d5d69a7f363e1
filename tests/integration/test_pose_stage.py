"""The pose stage: which of two figures it follows through a video, and the COCO network in a bundle."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import save_file

from poseparity.bundle.bundle import MANIFEST, Bundle, load_bundle
from poseparity.compute.lanes import InPlace
from poseparity.engines.build import build_engine
from poseparity.engines.openpose.coco import CocoNetwork, convolutions
from poseparity.engines.openpose_binary.program import Installation
from poseparity.errors import BundleError
from poseparity.pipeline import Pipeline
from poseparity.records import Box, CroppedVideo, VideoFile
from poseparity.stages.decode import Decode, frames
from poseparity.stages.pose import Pose
from tests.integration.caffe_files import as_state, random_layers

LIMITS = {"max_frames": 1000, "max_pixels": 10**6}
HALF = (100, 380)  # columns of the demo clip's picture that hold its figure
NOBODY, SMALL, LARGE = 0, 0.85, 1


def write_video(path: Path, pictures: list[np.ndarray]) -> Path:
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


@pytest.fixture(scope="module")
def pictures(demo_clip) -> list[np.ndarray]:
    """The first two pictures of the demo clip."""
    capture = cv2.VideoCapture(str(demo_clip))
    return [capture.read()[1] for _ in range(2)]


def standing(picture: np.ndarray, scale: float) -> np.ndarray:
    """A rendered figure of this size, on grey."""
    height, width = picture.shape[:2]
    canvas = np.full_like(picture, 128)
    if scale:
        figure = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        left = (width - figure.shape[1]) // 2
        canvas[height - figure.shape[0] :, left : left + figure.shape[1]] = figure
    return canvas[:, slice(*HALF)]


@pytest.fixture(scope="module")
def two_figures(pictures, tmp_path_factory) -> CroppedVideo:
    """One figure on the left, nobody, then a larger one beside it on the right, twice."""
    scenes = [(LARGE, NOBODY), (NOBODY, NOBODY), (SMALL, LARGE), (SMALL, LARGE)]
    drawn = [np.hstack([standing(pictures[0], scale) for scale in scene]) for scene in scenes]
    path = write_video(tmp_path_factory.mktemp("video") / "two.avi", drawn)
    video = Decode(**LIMITS)(VideoFile(path))
    return CroppedVideo(video, Box(0, 0, video.size.width, video.size.height), frames_sampled=4, frames_with_person=3)


def pose_stage(bundle: Bundle) -> Pose:
    return Pose(bundle, build_engine(bundle, Installation(), InPlace()))


def sides(bundle: Bundle, rule: str, cropped: CroppedVideo) -> list[str]:
    """Where the followed figure's joints are in every frame."""
    parameters = bundle.pose.model_copy(update={"follow": rule})
    skeleton = pose_stage(bundle.model_copy(update={"pose": parameters}))(cropped)
    found = []
    for joints, missing in zip(skeleton.keypoints, skeleton.missing, strict=True):
        on_the_right = joints[~missing, 0] > HALF[1] - HALF[0]
        found.append({(): "nobody", (False,): "left", (True,): "right"}.get(tuple(np.unique(on_the_right)), "both"))
    return found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("nearest", ["left", "nobody", "left", "left"]), ("largest", ["left", "nobody", "right", "right"])],
)
def test_the_stage_follows_whom_the_bundle_says(demo_bundle, two_figures, rule, expected):
    assert sides(demo_bundle, rule, two_figures) == expected


def test_frames_with_several_persons_are_counted(demo_bundle, two_figures):
    assert pose_stage(demo_bundle)(two_figures).several_persons == 2


def whole(path: Path) -> CroppedVideo:
    """A video whose crop is the frame."""
    video = Decode(max_frames=1000, max_pixels=10**7)(VideoFile(path))
    return CroppedVideo(video, Box(0, 0, video.size.width, video.size.height))


def test_what_the_engine_makes_of_one_figure_is_one_person(demo_bundle, pictures, tmp_path):
    """A figure, and a pair of legs beside it: a "person" of the network's, and none."""
    canvas = standing(pictures[0], LARGE)
    scene = np.hstack([canvas, np.full_like(canvas, 128)])
    legs = slice(200, 300)
    scene[legs, canvas.shape[1] :] = canvas[legs]
    stage = pose_stage(demo_bundle)
    cropped = whole(write_video(tmp_path / "legs.avi", [scene] * 3))
    found = [len(persons) for persons in stage.engine.persons(frame for _, frame in frames(cropped.video))]
    assert min(found) > 1, "this is a test where the engine finds something beside the figure"
    skeleton = stage(cropped)
    assert (skeleton.several_persons, skeleton.notices) == (0, ())


def test_two_figures_side_by_side_are_told_with_what_that_does(demo_bundle, pictures, tmp_path):
    pair = np.hstack([standing(pictures[0], SMALL), standing(pictures[0], LARGE)])
    swapped = np.hstack([standing(pictures[0], LARGE), standing(pictures[0], SMALL)])
    parameters = demo_bundle.pose.model_copy(update={"follow": "largest"})
    stage = pose_stage(demo_bundle.model_copy(update={"pose": parameters}))
    skeleton = stage(whole(write_video(tmp_path / "pair.avi", [pair, pair, swapped, swapped])))
    assert skeleton.several_persons == 4
    assert [notice.code for notice in skeleton.notices] == ["several-persons", "one-person", "identity-change"]
    assert "2 persons in 4 of 4 frames; the skeleton follows one by [pose] follow = largest" in str(skeleton.notices)
    assert "it changes in frame 2; [pose] follow = largest" in skeleton.notices[-1].message


def test_a_model_of_one_person_is_not_said_to_lack_one(demo_bundle, two_figures):
    transforms = tuple(
        {**step, "num_person": 1} if step["type"] == "FormatGCNInput" else step
        for step in demo_bundle.normalise.transforms
    )
    normalise = demo_bundle.normalise.model_copy(update={"transforms": transforms})
    skeleton = pose_stage(demo_bundle.model_copy(update={"normalise": normalise}))(two_figures)
    assert [notice.code for notice in skeleton.notices if notice.code != "identity-change"] == ["several-persons"]


def test_one_real_person_is_one_and_two_are_two(demo_bundle, real_data):
    """The network knows rendered figures: of real people it also finds parts, and a face in a clock on the wall.

    It used to be all 103 frames of the one who drinks, and all 72 of the two who embrace.
    """
    stage = pose_stage(demo_bundle)
    drinking = stage(whole(real_data / "video/ntu_S001C001P001R001A001_rgb.avi"))
    assert drinking.several_persons == 0
    assert "several-persons" not in [notice.code for notice in drinking.notices]
    embracing = stage(whole(real_data / "video/demo_skeleton.mp4"))
    assert 30 <= embracing.several_persons <= 72
    assert embracing.company.mixed[40:].mean() > 0.5, "from there on they stand in each other's arms"


def test_every_video_is_followed_from_its_own_beginning(demo_bundle, two_figures):
    parameters = demo_bundle.pose.model_copy(update={"follow": "nearest"})
    stage = pose_stage(demo_bundle.model_copy(update={"pose": parameters}))
    first, again = stage(two_figures), stage(two_figures)
    assert first.keypoints.tobytes() == again.keypoints.tobytes()


def test_a_rule_that_nobody_knows_is_refused_when_the_bundle_is_loaded(demo_bundle, tmp_path):
    folder = shutil.copytree(demo_bundle.folder, tmp_path / "bundle")
    replace_in_manifest(folder, {"min_score = 0.4": 'min_score = 0.4\nfollow = "tallest"'})
    with pytest.raises(BundleError, match=r"pose\.follow: Input should be 'score', 'largest', 'most_confident' or"):
        load_bundle(folder)


def replace_in_manifest(folder: Path, changes: dict[str, str]) -> None:
    manifest = folder / MANIFEST
    text = manifest.read_text(encoding="utf-8")
    for found, wanted in changes.items():
        assert text.count(found) == 1, found
        text = text.replace(found, wanted)
    manifest.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def coco_bundle(demo_bundle, tmp_path_factory) -> Iterator[Bundle]:
    """The demo bundle with the COCO network in its pose stage: random weights, thresholds that find parts, no limit."""
    folder = shutil.copytree(demo_bundle.folder, tmp_path_factory.mktemp("coco") / "bundle")
    weights, pose = folder / "pose.safetensors", demo_bundle.weights["pose"]
    save_file(as_state(random_layers(convolutions(), seed=5)), weights)
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    table = text[text.index("[pose]") : text.index("[interpolate]")]
    coco = (
        "[pose]\nnet_height = 64\nwidth_multiple = 16\npaf_share = 0.0\nmin_parts = 1\nmin_score = 0.0\n"
        '[pose.network]\nkind = "coco"\n\n'
        "[quality]\nmax_missing_share = 1\n\n"
    )
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    size = weights.stat().st_size
    replace_in_manifest(folder, {table: coco, pose.sha256: digest, f"bytes = {pose.bytes}": f"bytes = {size}"})
    yield load_bundle(folder)
    weights.unlink()


def test_a_bundle_with_the_coco_network_answers(coco_bundle, pictures, tmp_path):
    pipeline = Pipeline(coco_bundle, **LIMITS)
    stage = next(stage for stage in pipeline.stages if isinstance(stage, Pose))
    assert isinstance(stage.engine.network, CocoNetwork)
    result = pipeline.run_video(write_video(tmp_path / "clip.avi", pictures))
    assert result.skeleton.frame_count == 2
    assert not result.skeleton.missing.all()
    assert result.prediction.scores.sum() == pytest.approx(1, abs=1e-5)
