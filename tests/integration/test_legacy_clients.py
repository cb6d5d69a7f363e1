"""Clients of the replaced service, as they are, against bundles of every kind."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import requests
import torch
from werkzeug.serving import make_server

from poseparity import skeleton_csv
from poseparity.bundle.bundle import Bundle
from poseparity.bundle.toml import weights_entry, write_weights
from poseparity.inputs import parse_size
from poseparity.pipeline import Pipeline
from poseparity.records import Box
from poseparity.serving.process import predict
from poseparity.serving.work import Answer, Loaded, Predict
from poseparity.settings import Settings
from poseparity.stages.recognise import build_model
from poseparity.web import create_app
from tests.bundle_variants import CROPS, middle_of, variant
from tests.conftest import ROOT
from tests.integration.web_server import Server
from tests.small_recogniser import MODEL, PIPELINE

REFERENCES = ("frame", "crop", "skeleton", "fixed")
LABELS = {
    2: ("bad", "good"),
    5: ("worst", "bad", "normal", "good", "best"),
    60: tuple(f"action {number}" for number in range(60)),
}
SIZE, CROP = "480x360", [80, 20, 260, 330]
DOCUMENT = ROOT / "docs/legacy-clients.md"


# --- the clients, written from what is known of them -----------------------------------------------------------------


def verdict_of(url: str, content: bytes, **keys) -> tuple[int, bool | str]:
    """The client that waits for a verdict: it reads `result` and knows nothing else."""
    payload = {"csv_base64": base64.b64encode(content).decode("utf-8"), **keys}
    answer = requests.post(f"{url}/mmaction_stgcn_test", json=payload, timeout=300).json()
    if answer.get("message") != "OK":
        raise RuntimeError(answer.get("error", answer))
    return answer["result"]["num_samples"], answer["result"]["predictions"][0]


def forwarded_by(url: str, content: bytes, crop: list[int] | None = None, **keys) -> dict:
    """The client that forwards `parsed` to a page."""
    payload = {"csv_base64": base64.b64encode(content).decode(), "crop_bbox": crop, **keys}
    request = urllib.request.Request(
        f"{url}/mmaction_stgcn_test",
        data=json.dumps(payload).encode(),
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    try:
        with urllib.request.urlopen(request, timeout=300) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        refusal = json.load(error)
        raise RuntimeError(refusal.get("error", refusal)) from error
    assert answer["parsed"]["status"] == "ok"
    return answer["parsed"] | {"told": [each["code"] for each in answer.get("warnings", [])]}


def page(parsed: dict) -> str:
    """What the page makes of it: the prediction is shown where it is truthy."""
    shown = "" + parsed["prediction"] if parsed["prediction"] else "unknown"
    return f"{shown} ({parsed['confidence']:.3f})"


# --- bundles ---------------------------------------------------------------------------------------------------------


def normalise_table(reference: str) -> dict:
    table = {"reference": reference, "transforms": PIPELINE}
    return table | ({"size": [1920, 1080]} if reference == "fixed" else {})


def bundle_of(demo: Bundle, folder: Path, classes: int, reference: str, **tables) -> Bundle:
    """A bundle with an untrained recogniser of that many classes, and no detector, for time."""
    folder.mkdir(exist_ok=True)
    model = {**MODEL, "cls_head": {**MODEL["cls_head"], "num_classes": classes}}
    torch.manual_seed(classes)
    weights = folder / "other.safetensors"
    write_weights(weights, build_model(model).state_dict())
    return variant(
        demo,
        folder,
        weights={"recogniser": weights_entry(weights, source="random", licence="CC0-1.0")},
        labels={"names": LABELS[classes]},
        recognise={"model": model},
        normalise=normalise_table(reference),
        crop=CROPS["two_pass"],
        demo={"clip": demo.demo.clip, "label": LABELS[classes][0]},
        **tables,
    )


@pytest.fixture(scope="module")
def pipeline_of(demo_bundle, tmp_path_factory) -> Callable[..., Pipeline]:
    @cache
    def pipeline_of(classes: int, reference: str, frame_size: tuple[int, int] | None = None) -> Pipeline:
        folder = tmp_path_factory.mktemp("bundle")
        usual = {"input": {"frame_size": list(frame_size)}} if frame_size else {}
        bundle = bundle_of(demo_bundle, folder, classes, reference, **usual)
        return Pipeline(bundle, max_frames=1000, max_pixels=10**7)

    return pipeline_of


class Here:
    """Computes in this process: random weights recognise nothing as the bundle says, so no service would start."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def require_loaded(self) -> Loaded:
        return Loaded(self._pipeline.bundle.identity(), [])

    def refuse_hopeless(self) -> None:
        pass

    def predict(self, work: Predict, video: BinaryIO | None, look: Callable[[], None]) -> Answer:
        return predict(work, self._pipeline, Settings())


@pytest.fixture
def serve(pipeline_of) -> Iterator[Callable[..., str]]:
    """`serve(classes, reference)`: the URL of the application on that bundle, in this process."""
    servers = []

    def serve(*kind) -> str:
        app = create_app(Settings())
        app.extensions["inference"]._supervisor = Here(pipeline_of(*kind))
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


# --- CSVs ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(demo_result) -> bytes:
    return demo_result.csv


def odd(content: bytes) -> bytes:
    """The same table as a spreadsheet and a script have left it."""
    header, *rows = [line.split(",") for line in content.decode().splitlines()]
    table = [["frame", *(f" {name} " for name in header[::-1])]]
    table += [[str(number), *row[::-1]] for number, row in enumerate(rows)]
    return ("\ufeff" + "".join("\t".join(row) + "\t\r\n" for row in table) + "\r\n\r\n").encode()


def blanked(content: bytes) -> bytes:
    """Missing joints as blank cells, and one more than there was."""
    header, *rows = [line.split(",") for line in content.decode().splitlines()]
    for row in rows:
        for start in range(0, 51, 3):
            if row[start : start + 3] == ["0"] * 3:
                row[start : start + 3] = ["", "NaN", ""]
    rows[30][27:30] = [""] * 3
    return "\n".join(",".join(row) for row in [header, *rows]).encode()


def without_a_joint(content: bytes) -> bytes:
    """The plain CSV that `blanked` has the meaning of."""
    keypoints = skeleton_csv.read(content, max_frames=1000)
    keypoints[30, 9] = 0
    return skeleton_csv.write(keypoints)


# --- every kind of bundle --------------------------------------------------------------------------------------------

KINDS = [(classes, reference) for classes in LABELS for reference in REFERENCES]


@pytest.mark.parametrize("classes, reference", KINDS)
def test_both_clients_work_with_every_kind_of_bundle(serve, pipeline_of, plain, classes, reference):
    url = serve(classes, reference)
    result = pipeline_of(classes, reference).run_csv(plain, frame_size=parse_size(SIZE), crop=Box(*CROP))
    prediction = result.prediction
    for content, told in ((plain, []), (odd(plain), ["extra-columns"])):
        samples, verdict = verdict_of(url, content, crop_bbox=CROP, frame_size=SIZE)
        assert samples == 1
        assert verdict is (prediction.index == 1) if classes == 2 else verdict == prediction.label
        parsed = forwarded_by(url, content, CROP, frame_size=SIZE)
        assert np.array(parsed["probs"], dtype=np.float32).tobytes() == prediction.scores.tobytes()
        assert page(parsed) == f"{prediction.label} ({prediction.scores[prediction.index]:.3f})"
        assert parsed["told"] == told
        assert_parsed(parsed, LABELS[classes])


def assert_parsed(parsed: dict, labels: tuple[str, ...]) -> None:
    probs, index = parsed["probs"], parsed["pred_index"]
    assert parsed["raw_probs"] == probs and len(probs) == len(labels)
    assert parsed["orig_pred_index"] == index == int(np.argmax(probs))
    assert type(parsed["prediction"]) is str and parsed["prediction"] == labels[index]
    assert parsed["confidence"] == parsed["reduced_confidence"] == probs[index]
    assert parsed.get("binary_probs") == (probs if len(labels) == 2 else None)
    best = sorted(range(len(labels)), key=lambda each: -probs[each])[:5]
    assert [(rank["index"], rank["prob"]) for rank in parsed["topk"]] == [(each, probs[each]) for each in best]


@pytest.mark.parametrize("reference", REFERENCES)
def test_blank_cells_are_missing_joints(serve, plain, reference):
    url = serve(5, reference)
    found = forwarded_by(url, blanked(plain), CROP, frame_size=SIZE)
    expected = forwarded_by(url, without_a_joint(plain), CROP, frame_size=SIZE)
    assert (found.pop("told"), expected.pop("told")) == (["blank-cells"], [])
    assert found == expected


# --- what a client did not send --------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame_size", [None, SIZE])
def test_without_a_crop_that_of_the_joints_is_taken_and_told(serve, pipeline_of, plain, frame_size):
    url = serve(2, "crop")
    joints = skeleton_csv.read(plain, max_frames=1000)
    seen = joints[joints.any(axis=-1)]
    low, high = seen[:, :2].min(axis=0), seen[:, :2].max(axis=0)
    pad = pipeline_of(2, "crop").bundle.crop.padding * (high - low)
    x, y = np.floor(np.maximum(low - pad, 0)).astype(int).tolist()
    right, bottom = np.ceil(high + pad).astype(int).tolist()
    if frame_size:
        right, bottom = min(right, 480), min(bottom, 360)
    crop = [x, y, right - x, bottom - y]
    found = forwarded_by(url, plain, frame_size=frame_size)
    expected = forwarded_by(url, plain, crop, frame_size=frame_size)
    assert (found.pop("told"), expected.pop("told")) == (["crop-assumed"], [])
    assert found == expected
    payload = {"csv_base64": base64.b64encode(plain).decode(), "frame_size": frame_size}
    (warning,) = requests.post(f"{url}/mmaction_stgcn_test", json=payload, timeout=60).json()["warnings"]
    assert ",".join(map(str, crop)) in warning["message"] and "send crop_bbox" in warning["message"]


def test_the_other_route_refuses_to_assume_a_crop(serve, plain):
    response = requests.post(f"{serve(2, 'crop')}/v1/predictions", files={"file": ("a.csv", plain)}, timeout=60)
    assert response.status_code == 400 and response.json()["error"]["code"] == "reference-unknown"


def test_the_bundles_own_frame_size_is_taken_and_told(serve, plain):
    url = serve(2, "frame", (480, 360))
    found, expected = forwarded_by(url, plain), forwarded_by(url, plain, frame_size=[480, 360])
    assert (found.pop("told"), expected.pop("told")) == (["frame-size-assumed"], [])
    assert found == expected
    other = forwarded_by(url, plain, frame_size={"width": 640, "height": 480})
    assert other["probs"] != expected["probs"], "the request's own size counts more than the bundle's"


def test_without_any_frame_size_the_error_names_the_field_and_the_bundles_key(serve, plain):
    with pytest.raises(RuntimeError) as caught:
        verdict_of(serve(2, "frame"), plain)
    error = caught.value.args[0]
    assert error["code"] == "reference-unknown"
    assert "frame_size in a request" in error["fix"] and "frame_size under [input] in bundle.toml" in error["fix"]


def test_unknown_keys_are_told_with_the_other_warnings(serve, plain):
    keys = {"dataset": "golf", "crop_box": [1, 2, 3, 4], "x" * 500: None, **{f"key{number}": 1 for number in range(50)}}
    payload = {"csv_base64": base64.b64encode(odd(plain)).decode(), **keys}
    answer = requests.post(f"{serve(5, 'skeleton')}/mmaction_stgcn_test", json=payload, timeout=60).json()
    unknown, extra = answer["warnings"]
    assert (unknown["code"], extra["code"]) == ("unknown-keys", "extra-columns")
    assert "'dataset', 'crop_box', " in unknown["message"] and len(unknown["message"]) < 400
    assert "known are csv_base64, crop_bbox, frame_size" in unknown["message"]


def test_a_frame_that_cannot_be_right_is_refused_where_it_counts(serve, plain):
    with pytest.raises(RuntimeError, match="joints-outside-frame"):
        verdict_of(serve(2, "frame"), plain, frame_size="100x100")
    assert forwarded_by(serve(2, "skeleton"), plain, frame_size="100x100")["told"] == ["joints-outside-frame"]


# --- a deployed one, and what is documented --------------------------------------------------------------------------


def test_both_clients_against_a_deployed_service(demo_bundle, demo_clip, plain, tmp_path):
    middle_of(demo_clip, tmp_path / "clip.avi", frames=6)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "clip.avi").rename(tmp_path / "bundle/clip.avi")
    tables = {"quality": {"max_missing_share": 0.9}}
    bundle = bundle_of(demo_bundle, tmp_path / "bundle", 2, "crop", **tables)
    pipeline = Pipeline(bundle, max_frames=1000, max_pixels=10**7)
    label = pipeline.run_video(bundle.folder / "clip.avi").prediction.label
    manifest = bundle.folder / "bundle.toml"
    own = f'clip = "{bundle.demo.clip}"\nlabel = "{bundle.demo.label}"'
    assert own in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(own, f'clip = "clip.avi"\nlabel = "{label}"'))
    prediction = pipeline.run_csv(plain, crop=Box(*CROP)).prediction
    with Server(tmp_path, bundle=bundle.folder) as server:
        server.wait_ready()
        assert verdict_of(server.url, odd(plain), crop_bbox=CROP) == (1, prediction.index == 1)
        parsed = forwarded_by(server.url, odd(plain), CROP)
        assert np.array(parsed["probs"], dtype=np.float32).tobytes() == prediction.scores.tobytes()
        assert page(parsed).startswith(f"{prediction.label} (0.")
        assert forwarded_by(server.url, plain)["told"] == ["crop-assumed"]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)


def test_the_documents_example_prints_what_it_says(server, plain, tmp_path):
    (example,), (printed,) = blocks("python"), blocks("text")
    assert example.count("http://127.0.0.1:19031") == 1
    (tmp_path / "skeleton.csv").write_bytes(plain)
    script = example.replace("http://127.0.0.1:19031", server.url)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


def test_the_document_names_every_field_and_every_warning(server):
    text = DOCUMENT.read_text(encoding="utf-8")
    (example,) = blocks("json")
    schemas = requests.get(f"{server.url}/openapi.json", timeout=60).json()["components"]["schemas"]
    assert set(json.loads(example)) == set(schemas["LegacyReply"]["properties"])
    assert set(json.loads(example)["parsed"]) == set(schemas["LegacyParsed"]["properties"])
    for name in (*schemas["LegacyParsed"]["properties"], *schemas["LegacyResult"]["properties"]):
        assert f"parsed.{name}`" in text or f"result.{name}`" in text, name
    for name in schemas["LegacyRequest"]["properties"]:
        assert f"| `{name}` |" in text
    package = ROOT / "service/poseparity"
    sources = [package / name for name in ("plausible.py", "csv_input.py", "skeleton_csv.py", "web/routes/legacy.py")]
    codes = {code for path in sources for code in re.findall(r'Notice\(\s*"([a-z-]+)"', path.read_text("utf-8"))}
    assert len(codes) >= 8
    assert all(f"`{code}`" in text for code in codes)
