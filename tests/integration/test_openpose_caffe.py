"""OpenPose's network from a .caffemodel: against OpenCV's own Caffe importer, and the files that it must refuse."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from poseparity.bundle.tables import OpenPoseParameters
from poseparity.bundle.weights import check_state
from poseparity.engines.openpose.coco import convolutions
from poseparity.engines.openpose.convolution import use_nnpack
from poseparity.engines.openpose.decode import decode_persons
from poseparity.engines.openpose.layout import HEATMAPS
from poseparity.engines.openpose.network import build_network
from poseparity.errors import BundleError
from poseparity.importing.parts import pose_part
from poseparity.importing.readers import caffe
from tests.integration.caffe_files import as_state, prototxt, random_layers, write_caffemodel
from tests.planted import figure, network_output

NET = (64, 112)  # width, height: 112 output cells, fewer than the 128 channels that the last layers are fitted from
OTHER = (48, 64)
PERSON = figure(30, 14, scale=0.7)
PARAMETERS = OpenPoseParameters(network={"kind": "coco"}, net_height=NET[1], width_multiple=16)
OUTPUT_TOLERANCE = 1e-4
PIXEL_TOLERANCE = 0.01
GPU_TOLERANCE = 1e-3  # other algorithms and another order of summation, TF32 off


@dataclass(frozen=True)
class Model:
    """A model file, the network that was built from it, and a picture in which it sees PERSON."""

    path: Path
    network: torch.nn.Module
    picture: np.ndarray


def random_picture(seed: int, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (1, 3, height, width)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Iterator[Model]:
    """A file with the official names and shapes, 209 MB."""
    path = tmp_path_factory.mktemp("caffe") / "made_for_this_test.caffemodel"
    layers, picture = random_layers(convolutions(), seed=1), random_picture(2, NET)
    fit_last_layers(layers, picture)
    write_caffemodel(path, layers)
    yield Model(path, coco_network(caffe.read_caffemodel(path)), picture)
    path.unlink()


@pytest.fixture(params=["direct", "fast"])
def network(model, request) -> torch.nn.Module:
    """The model's network with each way to compute its convolutions; both have the same weights in memory."""
    if request.param == "direct":
        return model.network
    with torch.device("meta"):
        network = build_network({"kind": "coco", "convolution": "fast"}).eval()
    network.load_state_dict(model.network.state_dict(), assign=True)
    use_nnpack(network)
    return network


def coco_network(state: dict[str, torch.Tensor]) -> torch.nn.Module:
    network = build_network({"kind": "coco"}).eval()
    check_state(network, state, Path("state"))
    network.load_state_dict(state)
    return network


def fit_last_layers(layers: dict[str, list[np.ndarray]], picture: np.ndarray) -> None:
    """Choose the last layers' weights so that the network sees PERSON in this picture: the rest stays random."""
    network, inputs = coco_network(as_state(layers)), {}
    wanted = network_output([PERSON], NET)
    for branch, channels in (("L1", wanted[HEATMAPS:]), ("L2", wanted[:HEATMAPS])):
        name = f"Mconv7_stage6_{branch}"
        network.layers[name].register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0][0]}))
        run(network, picture)
        cells = inputs[name].numpy().reshape(128, -1).astype(np.float64)
        cells = np.vstack([cells, np.ones(cells.shape[1])])
        # Small singular values are left out: weights that undo them would magnify rounding, in any implementation.
        fitted = np.linalg.lstsq(cells.T, channels.reshape(len(channels), -1).T, rcond=4e-3)[0].T
        layers[name] = [fitted[:, :-1, None, None].astype(np.float32), fitted[:, -1].astype(np.float32)]


def run(network: torch.nn.Module, picture: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network(torch.from_numpy(picture))[0].numpy()


def run_opencv(path: Path, picture: np.ndarray) -> np.ndarray:
    """OpenCV's reader of the file, OpenCV's network, OpenCV's arithmetic."""
    height, width = picture.shape[2:]
    network = cv2.dnn.readNetFromCaffe(
        np.frombuffer(prototxt(width, height).encode(), np.uint8), np.fromfile(path, np.uint8)
    )
    network.setInput(picture)
    return network.forward()[0]


def test_heatmaps_and_fields_equal_those_of_opencv(model, network):
    ours, theirs = run(network, model.picture), run_opencv(model.path, model.picture)
    assert ours.shape == theirs.shape == (57, NET[1] // 8, NET[0] // 8)
    assert 0.5 < np.abs(ours).max() < 5, "the comparison is of values of order 1"
    assert np.abs(ours - theirs).max() < OUTPUT_TOLERANCE


def test_another_picture_of_another_size_gives_equal_output_too(model, network):
    picture = random_picture(3, OTHER)
    ours, theirs = run(network, picture), run_opencv(model.path, picture)
    assert 0.5 < np.abs(ours).max() < 50
    assert np.abs(ours - theirs).max() < OUTPUT_TOLERANCE


def test_decoded_joints_equal_those_of_opencv(model, network):
    (ours,) = decode_persons(run(network, model.picture), NET, PARAMETERS)
    (theirs,) = decode_persons(run_opencv(model.path, model.picture), NET, PARAMETERS)
    assert (ours[:, 2] > 0).sum() >= 14
    present = ours[:, 2] > 0
    np.testing.assert_array_equal(present, theirs[:, 2] > 0)
    assert np.abs(ours - theirs)[:, :2].max() < PIXEL_TOLERANCE
    assert np.abs(ours[present, :2] - PERSON[present]).max() < 4, "half a cell: the fitted network sees this person"


def test_the_gpu_computes_what_the_cpu_computes(model, cuda):
    with torch.inference_mode(), torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
        on_gpu = copy.deepcopy(model.network).to(cuda)(torch.from_numpy(model.picture).to(cuda))[0].cpu().numpy()
    on_cpu = run(model.network, model.picture)
    assert np.abs(on_gpu - on_cpu).max() < GPU_TOLERANCE
    (ours,), (theirs,) = (decode_persons(output, NET, PARAMETERS) for output in (on_gpu, on_cpu))
    assert np.abs(ours - theirs)[:, :2].max() < PIXEL_TOLERANCE


def test_conversion_keeps_every_bit_and_says_what_the_file_is(model, tmp_path):
    target = tmp_path / "pose.safetensors"
    source = caffe.convert(model.path, target)
    stored, state = load_file(target), model.network.state_dict()
    target.unlink()
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[name], state[name]) for name in state)
    assert (source.name, source.bytes, source.official) == (model.path.name, model.path.stat().st_size, False)


def test_bundle_import_takes_the_file_as_its_pose_network(model, tmp_path):
    part = pose_part(model.path, None, "none: made for this test")
    entry = part.write(tmp_path)["pose"]
    parameters = OpenPoseParameters(**part.tables["pose"])
    assert (parameters.net_height, parameters.width_multiple) == (368, 16)
    assert parameters.network == {"kind": "coco", "convolution": "fast"}
    state = load_file(tmp_path / entry["file"])
    (tmp_path / entry["file"]).unlink()
    check_state(build_network(parameters.network), state, tmp_path / entry["file"])
    assert (entry["source"], entry["licence"]) == (model.path.name, "none: made for this test")
    assert "not the official file" in part.notes[0]


def test_the_official_file_is_told_by_its_md5(tmp_path, monkeypatch):
    path = tmp_path / "model.caffemodel"
    path.write_bytes(b"content")
    assert not caffe.identify(path).official
    monkeypatch.setattr(caffe, "OFFICIAL_MD5", hashlib.md5(b"content").hexdigest())
    assert caffe.identify(path).official
    assert caffe.identify(path).sha256 == hashlib.sha256(b"content").hexdigest()


def refused(path: Path) -> str:
    with pytest.raises(BundleError) as error:
        caffe.read_caffemodel(path)
    assert caffe.OFFICIAL_NAME in error.value.fix and caffe.OFFICIAL_MD5 in error.value.fix
    assert str(error.value).startswith(path.name)
    return str(error.value)


def test_a_file_that_lacks_its_end_is_refused(model, tmp_path):
    path = tmp_path / "part.caffemodel"
    with model.path.open("rb") as file:
        path.write_bytes(file.read(10_000_000))
    assert "cut short" in refused(path) and "bytes left" in refused(path)


@pytest.fixture
def few_layers() -> dict[str, list[np.ndarray]]:
    """The first two layers: what is wrong with them is found before the others are missed."""
    return random_layers(convolutions()[:2], seed=4)


@pytest.mark.parametrize("v1", [False, True], ids=["today's layers", "V1 layers"])
def test_both_formats_of_layers_are_read(tmp_path, few_layers, v1):
    path = write_caffemodel(tmp_path / "few.caffemodel", few_layers, v1=v1)
    assert "layer conv2_1 is missing" in refused(path)
    # The whole of the COCO network in the old format costs another 209 MB; these two layers pass through the same code.
    found = caffe._read_layers(caffe._mapped(path))
    assert found.keys() == few_layers.keys()
    for conv in convolutions()[:2]:
        read = caffe._parameters(conv, found, path.name)
        for values, written in zip(read.values(), few_layers[conv.name], strict=True):
            assert values.tobytes() == written.tobytes() and values.shape == written.shape


def test_a_layer_of_another_shape_is_named_with_both_shapes(tmp_path, few_layers):
    few_layers["conv1_2"][0] = few_layers["conv1_2"][0][:, :32]
    message = refused(write_caffemodel(tmp_path / "x.caffemodel", few_layers))
    assert "weight of layer conv1_2 has shape (64, 32, 3, 3), expected (64, 64, 3, 3)" in message


def test_a_layer_without_its_bias_is_named(tmp_path, few_layers):
    del few_layers["conv1_1"][1]
    message = refused(write_caffemodel(tmp_path / "x.caffemodel", few_layers))
    assert "layer conv1_1 has 1 arrays, expected a weight and a bias" in message


def test_weights_that_are_no_numbers_are_refused(tmp_path, few_layers):
    few_layers["conv1_2"][1][7] = np.nan
    message = refused(write_caffemodel(tmp_path / "x.caffemodel", few_layers))
    assert "bias of layer conv1_2 holds values that are no finite numbers" in message


@pytest.mark.parametrize(
    ("name", "shape", "model_name"),
    [
        ("Mconv1_stage0_L2_0", (96, 128, 3, 3), "BODY_25"),
        ("conv5_5_CPM_L1", (28, 512, 1, 1), "MPI"),
        ("conv6_1_CPM", (512, 128, 1, 1), "hand or face"),
    ],
)
def test_openposes_other_models_are_told_by_name(tmp_path, few_layers, name, shape, model_name):
    few_layers[name] = [np.zeros(shape, np.float32), np.zeros(shape[0], np.float32)]
    message = refused(write_caffemodel(tmp_path / "pose_iter_584000.caffemodel", few_layers))
    assert f"it looks like OpenPose's {model_name} model, which has other joints" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title>", "text that begins with '<!DOCTYPE html>"),
        ("\ufeff<html lang='ko'>오류".encode()[:-1], "begins with \"<html lang='ko'>오\""),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1234", "text that begins with 'version https"),
        (b'name: "VGG"\ninput: "image"', "text that begins with 'name: "),
        (b"\x00" * 100, "it holds no layer with weights"),
        (b"\xff" * 100, "more than 10 bytes"),
        (b"PK\x03\x04" + bytes(range(256)), "no Caffe model"),
        (b"\xa2\x06\xff", "ends within a number"),
        (b"\xa2\x06\x10\x0a\x02hi", "16 bytes has only 4 bytes left"),
        (b"\xa0\x06\x01", "wire type 0, expected 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_model_is_refused(tmp_path, content, words):
    path = tmp_path / "pose_iter_440000.caffemodel"
    path.write_bytes(content)
    assert words in refused(path)


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"\x2a\x04\x00\x00\x80\x3f\x3a\x03\x0a\x01\x02", r"layer hi holds 1 numbers where its shape is \(2,\)"),
        (b"\x2a\x03\x00\x00\x80", "3 bytes are no whole number of floats"),
        (b"\x2a\x04\x00\x00\x80\x3f\x3a\x2a\x0a\x28" + b"\x01" * 40, "holds 1 numbers where its shape is"),
        (b"\x2a\x00\x3a\x02\x0a\x00", r"holds 0 numbers where its shape is \(\)"),
        (b"\x3a\x0c\x0a\x0a" + b"\xff" * 9 + b"\x01", "holds 0 numbers where its shape is"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_array_that_contradicts_its_shape_is_refused(tmp_path, blob, words):
    layer = b"\x0a\x02hi\x3a" + bytes([len(blob)]) + blob
    path = tmp_path / "x.caffemodel"
    path.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    with pytest.raises(BundleError, match=words):
        caffe.read_caffemodel(path)


def test_no_damage_gives_anything_but_a_clear_refusal(tmp_path):
    arrays = [np.ones((2, 1, 1, 1), np.float32), np.ones(2, np.float32)]
    layers = {"conv1_1": arrays, "conv5_5_CPM_L1": arrays}
    whole = bytearray(write_caffemodel(tmp_path / "x.caffemodel", layers).read_bytes())
    generator = np.random.default_rng(6)
    path = tmp_path / "damaged.caffemodel"
    for _ in range(500):
        damaged = whole.copy()
        for position in generator.integers(len(whole), size=generator.integers(1, 4)):
            damaged[position] = generator.integers(256)
        path.write_bytes(damaged[: generator.integers(len(whole) // 2, len(whole) + 1)])
        refused(path)
