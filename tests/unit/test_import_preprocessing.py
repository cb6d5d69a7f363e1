"""What `bundle import` finds out, is told, or takes for granted of what a model saw; and files of training data."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from poseparity import skeleton_csv
from poseparity.errors import ImportRefused
from poseparity.importing.preprocessing import decide
from poseparity.importing.readers.training_data import TrainingData, read_training_data
from poseparity.records import Size

CENTRING = [{"type": "PreNormalize2D"}]
PLAIN = [{"type": "GenSkeFeat", "dataset": "coco", "feats": ["b"]}]
HD = (1080, 1920)


def annotations(path: Path, *, protocol: int = 4, **changes) -> Path:
    """An annotation file as MMAction2's PoseDataset reads it."""
    rng = np.random.default_rng(3)
    entries = []
    for index in range(3):
        keypoint = rng.uniform((100, 50), (1700, 1000), (1, 20 + index, 17, 2)).astype(np.float32)
        entry = {
            "frame_dir": f"clip{index}",
            "label": index % 2,
            "img_shape": HD,
            "original_shape": HD,
            "total_frames": 20 + index,
            "keypoint": keypoint,
            "keypoint_score": rng.uniform(0.1, 0.9, keypoint.shape[:3]).astype(np.float32),
        }
        entry |= {name: change(entry, index) for name, change in changes.items()}
        entries.append({name: value for name, value in entry.items() if value is not None})
    content = {"split": {"train": [entry["frame_dir"] for entry in entries]}, "annotations": entries}
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def unit(entry, _index) -> np.ndarray:
    return (entry["keypoint"].astype(np.float64) / (1920, 1080)).astype(np.float32)


def ones(entry, _index) -> np.ndarray:
    return np.ones(entry["keypoint"].shape[:3], np.float32)


def half(entry, _index) -> np.ndarray:
    return entry["keypoint"].astype(np.float16)


def several_sizes(_entry, index) -> tuple[int, int]:
    return 720 + index, 1280


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_real_annotation_file_of_every_protocol(tmp_path, protocol):
    found = read_training_data(annotations(tmp_path / "train.pkl", protocol=protocol))
    assert (found.coordinates, found.ones, found.precision) == ("pixels", False, "float32")
    assert found.size == Size(1920, 1080)
    assert found.skeletons == 3 and 49 < found.lowest < found.highest < 1701


@pytest.mark.parametrize(
    "changes, coordinates, confidence, precision, reference",
    [
        ({}, "pixels", "estimated", "float32", "frame"),
        ({"keypoint": unit, "keypoint_score": ones}, "unit", "ones", "float32", "fixed"),
        ({"keypoint": lambda entry, _: unit(entry, 0) * 2 - 1}, "signed", "estimated", "float32", "fixed"),
        ({"keypoint": half}, "pixels", "estimated", "float16", "frame"),
        ({"keypoint": unit, "img_shape": several_sizes}, "unit", "estimated", "float32", "frame"),
        ({"keypoint": lambda entry, _: unit(entry, 0) - np.float32(0.06)}, "unit", "estimated", "float32", "fixed"),
    ],
)
def test_what_training_read_is_found(tmp_path, changes, coordinates, confidence, precision, reference):
    data = read_training_data(annotations(tmp_path / "train.pkl", **changes))
    for transforms in (PLAIN, CENTRING + PLAIN):
        seen = decide(transforms, {}, data)
        found = [seen.normalise[name] for name in ("coordinates", "confidence", "precision", "reference")]
        assert found == [coordinates, confidence, precision, reference]
        assert seen.normalise.get("size") == ([1920, 1080] if reference == "fixed" else None)
        assert any("train.pkl: 3 skeletons" in note for note in seen.notes)
        assert not any("nobody has said" in note for note in seen.notes)


def test_annotations_without_img_shape_were_centred_by_the_configs(tmp_path):
    data = read_training_data(annotations(tmp_path / "train.pkl", img_shape=lambda *_: None))
    assert decide(CENTRING + PLAIN, {}, data).normalise["size"] == [1920, 1080], "MMAction2's own default"
    shaped = [{"type": "PreNormalize2D", "img_shape": [720, 1280]}]
    assert decide(shaped, {}, data).normalise["size"] == [1280, 720]


def test_a_training_skeleton_tells_range_and_confidences(tmp_path):
    keypoints = np.random.default_rng(1).uniform(0.2, 0.9, (30, 17, 3))
    keypoints[..., 2] = 1
    (tmp_path / "skeleton.csv").write_bytes(skeleton_csv.write(keypoints))
    seen = decide(PLAIN, {}, read_training_data(tmp_path / "skeleton.csv"))
    assert (seen.normalise["coordinates"], seen.normalise["confidence"]) == ("unit", "ones")
    assert any("nobody has said reference=frame, precision=float16" in note for note in seen.notes)


def test_without_prenormalize_the_import_asks_and_never_guesses():
    with pytest.raises(ImportRefused, match="no PreNormalize2D") as error:
        decide(PLAIN, {"confidence": "ones"}, None)
    for option in ("--coordinates pixels, unit", "--confidence", "--precision", "--training-data"):
        assert option in error.value.fix
    seen = decide(PLAIN, {"coordinates": "unit", "confidence": "ones", "precision": "float32"}, None)
    assert [seen.normalise[name] for name in ("coordinates", "confidence", "precision")] == ["unit", "ones", "float32"]
    assert any("nobody has said reference=frame" in note for note in seen.notes)


def test_with_prenormalize_what_is_taken_for_granted_is_said():
    seen = decide(CENTRING + PLAIN, {}, None)
    wanted = {"reference": "frame", "coordinates": "pixels", "confidence": "estimated", "precision": "float16"}
    assert seen.normalise == wanted
    granted = "nobody has said reference=frame, coordinates=pixels, confidence=estimated, precision=float16"
    assert any(granted in note for note in seen.notes)


def test_prenormalize_after_unit_coordinates_is_taken_as_said():
    """Some divide twice: into [0, 1] first, then by PreNormalize2D as if those were pixels."""
    seen = decide(CENTRING + PLAIN, {"coordinates": "unit", "reference": "fixed", "size": [1920, 1080]}, None)
    assert (seen.normalise["coordinates"], seen.normalise["reference"]) == ("unit", "fixed")


@pytest.mark.parametrize(
    "chosen", [{"coordinates": "pixels"}, {"precision": "float16"}, {"coordinates": "unit", "confidence": "estimated"}]
)
def test_what_is_said_must_not_contradict_the_file(tmp_path, chosen):
    data = read_training_data(annotations(tmp_path / "train.pkl", keypoint=unit, keypoint_score=ones))
    with pytest.raises(ImportRefused, match=r"is given, and train\.pkl: 3 skeletons"):
        decide(PLAIN, chosen, data)


def test_a_reference_that_is_said_comes_before_the_files(tmp_path):
    data = read_training_data(annotations(tmp_path / "train.pkl", keypoint=unit))
    seen = decide(PLAIN, {"reference": "crop"}, data)
    assert seen.normalise["reference"] == "crop" and "size" not in seen.normalise


class Attack:
    def __init__(self, function, *args) -> None:
        self.parts = function, args

    def __reduce__(self):
        return self.parts


def no_list(_path: Path) -> bytes:
    return pickle.dumps({"annotations": 3})


def attack(path: Path) -> bytes:
    return pickle.dumps({"annotations": [{"keypoint": Attack(exec, f"open({str(path / 'ran')!r}, 'w')")}]})


def objects(_path: Path) -> bytes:
    return pickle.dumps({"annotations": [{"keypoint": np.array([[None]])}]})


def three_dimensions(_path: Path) -> bytes:
    return pickle.dumps({"annotations": [{"keypoint": np.zeros((1, 5, 25, 3), np.float32)}]})


def other_scores(_path: Path) -> bytes:
    entry = {"keypoint": np.ones((1, 5, 17, 2), np.float32), "keypoint_score": np.ones((1, 5), np.float32)}
    return pickle.dumps({"annotations": [entry]})


def no_shape(_path: Path) -> bytes:
    return pickle.dumps({"annotations": [{"keypoint": np.ones((1, 5, 17, 2), np.float32), "img_shape": "HD"}]})


def cut_short(path: Path) -> bytes:
    return annotations(path / "x.pkl").read_bytes()[:-600]


def a_shape_that_lies(path: Path) -> bytes:
    content = pickle.dumps({"annotations": [{"keypoint": np.zeros((1, 5, 17, 2), np.float32)}]}, protocol=2)
    assert content.count(b"(K\x01K\x05K\x11K\x02t") == 1
    return content.replace(b"(K\x01K\x05K\x11K\x02t", b"(K\x01K\xffK\x11K\x02t")


def between(_path: Path) -> bytes:
    return pickle.dumps({"annotations": [{"keypoint": np.full((1, 5, 17, 2), 2.0, np.float32)}]})


def nobody(_path: Path) -> bytes:
    return pickle.dumps({"annotations": [{"keypoint": np.zeros((1, 5, 17, 2), np.float32)}]})


@pytest.mark.parametrize(
    "make, words",
    [
        (no_list, "no list of annotations"),
        (attack, "names builtins.exec"),
        (objects, "expected numbers"),
        (three_dimensions, r"shape \(1, 5, 25, 3\), expected"),
        (other_scores, "keypoint_score has"),
        (no_shape, "img_shape is 'HD'"),
        (cut_short, "no annotation file"),
        (a_shape_that_lies, "bytes for an array of the shape"),
        (between, "neither pixels nor clearly shares"),
        (nobody, "holds no joint"),
        (lambda _path: b"hello", "neither a pickle nor a skeleton CSV"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_and_nothing_in_it_runs(tmp_path, make, words):
    path = tmp_path / "data.pkl"
    path.write_bytes(make(tmp_path))
    with pytest.raises(ImportRefused, match=words) as error:
        read_training_data(path)
    assert error.value.fix
    assert not (tmp_path / "ran").exists()


def test_arrays_are_those_that_numpy_reads(tmp_path):
    """Fortran order, big-endian, views and scalars, as pickles of real data sets hold them."""
    base = np.random.default_rng(2).uniform(0, 500, (1, 6, 17, 2))
    for keypoint in (np.asfortranarray(base), base.astype(">f4"), base[:, ::2], np.float16(base)):
        entry = {"keypoint": keypoint, "img_shape": (np.int64(1080), np.float32(1920)), "total_frames": np.int32(6)}
        path = tmp_path / "x.pkl"
        path.write_bytes(pickle.dumps([entry]))
        found = read_training_data(path)
        assert (found.lowest, found.highest) == (float(keypoint.min()), float(keypoint.max()))
        assert found.size == Size(1920, 1080)


def test_the_words_of_a_file():
    data = TrainingData("a.pkl", 5, "unit", 0.1, 0.9, True, "float32", frozenset([None]))
    assert str(data) == "a.pkl: 5 skeletons in [0, 1] (0.1 to 0.9), all confidences 1, float32"
