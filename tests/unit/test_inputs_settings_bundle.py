"""What comes from outside and is refused with what was found, what was expected and the fix."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from poseparity import numerics
from poseparity.bundle.bundle import MANIFEST, load_bundle
from poseparity.bundle.tables import OpenPoseBinaryParameters
from poseparity.errors import BundleError, InputError, PinError, PoseParityError, SettingsError
from poseparity.inputs import kind_of, parse_box, parse_size
from poseparity.records import Box, Size
from poseparity.settings import Settings, load_settings


def all_errors(parent=PoseParityError):
    return {parent}.union(*(all_errors(child) for child in parent.__subclasses__()))


def test_the_error_tree_in_the_docstring_names_every_error():
    from poseparity import errors

    assert all(kind.__name__ in errors.__doc__ for kind in all_errors())


@pytest.mark.parametrize(
    "content, kind",
    [
        (b"\x00\x00\x00\x20ftypisom", "video"),
        (b"RIFF\xff\xff\xff\xffAVI LIST", "video"),
        (b"Nose_x,Nose_y\n1,2\n", "csv"),
        (b"\xef\xbb\xbfNose_x,Nose_y\n", "csv"),
        (b"Nose_x\tNose_y\r\n1\t2\r\n", "csv"),
        (b"Nose_x;Nose_y\r1;2\r", "csv"),
        (b"\n  \nNose_x,Nose_y\n", "csv"),
        ("Nose_x,Nose_y\n".encode("utf-16"), "csv"),  # refused by its reader, which knows why
        ("Nose_x\tNose_y\n".encode("utf-16-be"), "csv"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "video"),
        ("ü,".encode() * 2047 + b"," + "ü".encode(), "csv"),  # the 4096th byte is the first half of a letter
    ],
)
def test_a_file_is_told_by_its_content(tmp_path, content, kind):
    path = tmp_path / "name.that.says.nothing"
    path.write_bytes(content)
    assert kind_of(path) == kind


NEITHER = [
    (b"", "empty"),
    (b"\xef\xbb\xbf\n", "empty"),
    (b"hello world\n", "'hello world'"),
    ("골프 스윙 메모 ".encode() * 9, "골프"),
]


@pytest.mark.parametrize("content, words", NEITHER)
def test_neither_video_nor_csv(tmp_path, content, words):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        kind_of(path)


def test_sizes_and_boxes():
    assert parse_size("1920x1080") == Size(1920, 1080)
    assert parse_box("0, 8,640,480") == Box(0, 8, 640, 480)


BAD_SIZES = ["", "1920", "1920*1080", "-1x5", "0x5", "1.5x2", "ax2", "1x2x3", "²x2", "9" * 5000 + "x1", "100001x1"]


@pytest.mark.parametrize("text", BAD_SIZES)
def test_bad_sizes_are_refused(text):
    with pytest.raises(InputError, match="frame size") as error:
        parse_size(text)
    assert len(str(error.value)) < 150


def test_an_unknown_setting_is_refused(monkeypatch):
    monkeypatch.setenv("POSEPARITY_WORKRES", "2")
    with pytest.raises(SettingsError, match="POSEPARITY_WORKRES is set but is no setting"):
        load_settings()


def test_a_setting_out_of_its_limits_is_refused(monkeypatch):
    monkeypatch.setenv("POSEPARITY_PORT", "0")
    with pytest.raises(SettingsError, match="POSEPARITY_PORT='0'"):
        load_settings()


def test_every_setting_says_what_it_is():
    assert all(field.description for field in Settings.model_fields.values())


def test_the_pins_file_is_read_in_order_and_a_broken_line_is_named(tmp_path):
    path = tmp_path / "numerics.env"
    path.write_text("# comment\nA=1\n\nB=x=y\n")
    assert numerics.read_pins(path) == {"A": "1", "B": "x=y"}
    path.write_text("export A=1\n")
    with pytest.raises(PinError, match="line 1: found 'export A=1', expected a new NAME=VALUE"):
        numerics.read_pins(path)


def test_unset_pins_names_those_that_differ():
    pins = numerics.read_pins()
    assert numerics.unset_pins(pins) == {}
    assert numerics.unset_pins({**pins, "OMP_NUM_THREADS": "4"}) == {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def copied_bundle(demo_bundle, tmp_path) -> Path:
    return Path(shutil.copytree(demo_bundle.folder, tmp_path / "bundle"))


def edit(bundle: Path, old: str, new: str) -> None:
    manifest = bundle / MANIFEST
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))


def test_a_folder_without_a_manifest(tmp_path):
    with pytest.raises(BundleError, match=r"holds no bundle\.toml"):
        load_bundle(tmp_path)


def test_one_flipped_bit_in_the_weights_is_noticed(copied_bundle, demo_bundle):
    path = copied_bundle / demo_bundle.weights["pose"].file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"has sha256 .* expected .*its content changed"):
        load_bundle(copied_bundle)


def test_weights_cut_short_or_absent(copied_bundle, demo_bundle):
    path = copied_bundle / demo_bundle.weights["detector"].file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError, match="bytes, expected"):
        load_bundle(copied_bundle)
    path.unlink()
    with pytest.raises(BundleError, match="is missing"):
        load_bundle(copied_bundle)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("format = 1", "format = 2", "format"),
        ("padding", "pading", "crop"),
        ("sample_share = 0.25", "sample_share = 25", "sample_share"),
        ('names = ["', 'names = ["one_more", "', "labels.names has"),
        ("max_missing_share = 0.", "max_missing_share = 2.", "max_missing_share"),
        ('layout = "coco"', 'layout = "openpose"', "joints is 'coco17', the model's graph is {'layout': 'openpose'"),
        ("[quality]", "[qualities]", "quality"),
        ("[labels]", "[labels", "is not TOML"),
        ("[weights.pose]", "[weights.legs]", "weights"),
        ('strategy = "yolo"\n', 'strategy = "three_pass"\n', "crop: strategy should be 'yolo' or 'none' or 'two_pass'"),
        ('strategy = "yolo"\n', 'strategy = "two_pass"\n', "crop.sample_share: Field required"),
        ('"yolo"\npadding = 0.15', '"none"', r"\[detect\] does not belong .*strategy is \"none\""),
        ('strategy = "yolo"\n', 'strategy = "none"\n', "crop.padding: Extra inputs"),
        ('strategy = "yolo"\n', "strategy = []\n", "crop: strategy should be"),
        ('engine = "openpose"\n', 'engine = "mediapipe"\n', "pose: engine should be 'openpose' or 'openpose-binary'"),
        ('engine = "openpose"\n', 'engine = "ultralytics"\n', "pose.architecture: Field required"),
    ],
)
def test_a_wrong_manifest_is_named_by_its_key(copied_bundle, old, new, words):
    edit(copied_bundle, old, new)
    with pytest.raises(BundleError, match=words):
        load_bundle(copied_bundle)


def half(bundle: Path, wanted: str) -> None:
    """The demo bundle's manifest without what follows a header, up to the next one."""
    manifest = bundle / MANIFEST
    before, _, after = manifest.read_text().partition(f"[{wanted}]")
    manifest.write_text(before + after[after.index("\n[") :])


def test_a_detector_is_there_whole_or_not_at_all(copied_bundle):
    half(copied_bundle, "detect")
    with pytest.raises(BundleError, match=r'\[detect\] is missing: crop.strategy is "yolo"'):
        load_bundle(copied_bundle)
    edit(copied_bundle, '"yolo"\npadding = 0.15', '"none"')
    with pytest.raises(BundleError, match="weights has detector, which nothing uses"):
        load_bundle(copied_bundle)
    half(copied_bundle, "weights.detector")
    assert load_bundle(copied_bundle).detect is None


def test_a_bundle_from_before_there_was_a_choice_is_what_it_was(copied_bundle, demo_bundle):
    for line in ('strategy = "yolo"\n', 'engine = "openpose"\n', "rect = false\n"):
        edit(copied_bundle, line, "")
    older = load_bundle(copied_bundle)
    assert (older.detect, older.crop, older.pose) == (demo_bundle.detect, demo_bundle.crop, demo_bundle.pose)


@pytest.mark.parametrize("resolution", ["368", "-1x-1", "-1x184", "0x368", "656X368"])
def test_a_net_resolution_that_openpose_cannot_have(resolution):
    table = {"engine": "openpose-binary", "version": "x", "model_sha256": "0" * 64, "net_resolution": resolution}
    with pytest.raises(ValueError, match="net_resolution"):
        OpenPoseBinaryParameters(**table)
    assert OpenPoseBinaryParameters(**{**table, "net_resolution": "656x368"})
