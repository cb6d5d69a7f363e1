"""The service as clients see it: a real Gunicorn, real HTTP, the demo bundle."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests

from poseparity.environment.fingerprint import take_fingerprint
from poseparity.environment.snapshot import check_snapshot, load_snapshot
from poseparity.inputs import Input
from poseparity.numerics import read_pins
from poseparity.trace.recording import record
from poseparity.web import schemas
from tests import hostile_media
from tests.integration.web_server import error_of


def scores_of(answer: dict) -> bytes:
    """The scores' float32 bits."""
    return np.array([entry["score"] for entry in answer["prediction"]["scores"]], dtype=np.float32).tobytes()


@pytest.fixture(scope="module")
def answer(server, demo_clip) -> dict:
    """The answer to the demo clip, with its skeleton CSV."""
    response = server.predict("clip.mp4", demo_clip.read_bytes(), csv="1")
    assert response.status_code == 200, response.text
    return response.json()


def test_it_is_alive_from_the_start_and_ready_after_loading(starting_server):
    _, seen = starting_server
    assert {alive for alive, _ in seen} == {200}
    assert {ready for _, ready in seen[:-1]} == {503}
    assert seen[-1] == (200, 200)


def test_the_demo_clip_is_recognised(answer, demo_bundle):
    assert answer["prediction"]["label"] == demo_bundle.demo.label
    assert answer["bundle"] == demo_bundle.identity()
    schemas.PredictionReply.model_validate(answer)


def test_the_service_computes_what_the_library_computes(answer, demo_result):
    assert answer["skeleton_csv"].encode() == demo_result.csv
    assert scores_of(answer) == demo_result.prediction.scores.tobytes()


def test_the_csv_of_the_answer_gives_the_same_scores(server, answer):
    again = server.predict("skeleton.csv", answer["skeleton_csv"].encode()).json()
    schemas.PredictionReply.model_validate(again)
    assert scores_of(again) == scores_of(answer)
    assert again["skeleton_csv_sha256"] == answer["skeleton_csv_sha256"]
    assert "skeleton_csv" not in again and "trace" not in again


@pytest.mark.parametrize("where", ["query", "field"])
def test_a_trace_comes_on_request_with_the_librarys_digests(server, demo_result, pipeline, where):
    content = demo_result.csv
    options = {"params": {"trace": "1"}} if where == "query" else {"data": {"trace": "1"}}
    response = server.post("/v1/predictions", files={"file": ("up/../a.csv", content)}, **options)
    assert response.status_code == 200, response.text
    trace = schemas.PredictionReply.model_validate(response.json()).trace
    assert trace.input.model_dump() == {"name": "a.csv", "kind": "csv", "bytes": len(content),
                                        "sha256": hashlib.sha256(content).hexdigest()}  # fmt: skip
    _, expected = record(pipeline, Input(content, "csv"), environment={})
    assert [stage.digest for stage in trace.stages] == [stage.digest for stage in expected.stages]
    assert [stage.parameters for stage in trace.stages] == [stage.parameters for stage in expected.stages]
    assert check_snapshot(trace.environment, "the trace")


def test_names_do_not_decide(server, demo_clip, answer):
    video = server.predict("notes.csv", demo_clip.read_bytes()).json()
    assert scores_of(video) == scores_of(answer)
    csv = server.predict("clip.mp4", b"\xef\xbb\xbf" + answer["skeleton_csv"].encode()).json()
    assert scores_of(csv) == scores_of(answer)


def test_a_chunked_upload_is_read(server, answer):
    content = answer["skeleton_csv"].encode()
    body = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + content + b"\r\n--B--\r\n"
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    response = server.post("/v1/predictions", data=pieces, headers=headers)
    assert scores_of(response.json()) == scores_of(answer)


def test_frame_size_and_crop_come_back(server, answer):
    again = server.predict("a.csv", answer["skeleton_csv"].encode(), frame_size="640x480", crop="1,2,30,40").json()
    assert again["frame_size"] == {"width": 640, "height": 480}
    assert again["crop"] == {"x": 1, "y": 2, "width": 30, "height": 40}


def test_health_answers_while_it_computes(server, demo_clip):
    busy = threading.Thread(target=server.predict, args=("clip.mp4", demo_clip.read_bytes()))
    busy.start()
    answered = 0
    while busy.is_alive():
        assert server.get("/healthz").json() == {"status": "alive"}
        assert server.get("/readyz").status_code == 200
        answered += busy.is_alive()
        time.sleep(0.05)
    assert answered >= 3, "health was not answered before the clip was"


def test_requests_wait_for_the_slot_and_are_all_answered_alike(server, answer):
    content = answer["skeleton_csv"].encode()
    with ThreadPoolExecutor(5) as clients:
        answers = list(clients.map(lambda _: server.predict("a.csv", content).json(), range(5)))
    assert {scores_of(each) for each in answers} == {scores_of(answer)}


def old_client(url: str, content: bytes, **fields: object) -> requests.Response:
    """A client of the replaced service, as it was: nothing here may be changed to suit the new one."""
    payload = {"csv_base64": base64.b64encode(content).decode("utf-8"), **fields}
    return requests.post(f"{url}/mmaction_stgcn_test", json=payload, timeout=300)


def assert_legacy(reply: dict, labels: tuple[str, ...]) -> None:
    assert set(reply) == {"message", "result", "parsed", "warnings"}
    assert reply["message"] == "OK"
    assert set(reply["result"]) == {"num_samples", "predictions"}
    assert reply["result"]["num_samples"] == 1
    parsed = reply["parsed"]
    assert set(parsed) == {
        *("status", "orig_pred_index", "pred_index", "prediction", "raw_probs", "probs", "confidence"),
        *("reduced_confidence", "topk"),
    }
    assert reply["result"]["predictions"] == [parsed["prediction"]] == [labels[parsed["pred_index"]]]
    assert len(parsed["probs"]) == len(labels)
    assert parsed["confidence"] == max(parsed["probs"]) == parsed["topk"][0]["prob"]
    schemas.LegacyReply.model_validate(reply)


def test_the_legacy_route_answers_an_old_client(server, answer, demo_bundle):
    response = old_client(server.url, answer["skeleton_csv"].encode(), crop_bbox=[10, 20, 300, 400], dataset="golf")
    assert response.status_code == 200, response.text
    assert_legacy(response.json(), demo_bundle.labels.names)
    assert np.array(response.json()["parsed"]["probs"], dtype=np.float32).tobytes() == scores_of(answer)
    assert [warning["code"] for warning in response.json()["warnings"]] == ["unknown-keys"]


def test_the_legacy_route_answers_an_old_client_with_a_real_swing(server, real_data, pipeline, demo_bundle):
    content = (real_data / "golf/skeleton2d.csv").read_bytes()
    response = old_client(server.url, content, crop_bbox=None, frame_size=None)
    assert response.status_code == 200, response.text
    assert_legacy(response.json(), demo_bundle.labels.names)
    expected = pipeline.run_csv(content).prediction.scores
    assert np.array(response.json()["parsed"]["probs"], dtype=np.float32).tobytes() == expected.tobytes()
    assert response.json()["warnings"] == []


@pytest.mark.parametrize(
    "body, code",
    [
        ({}, "invalid-request"),
        ({"csv_base64": 5}, "invalid-request"),
        ({"csv_base64": "no base64!"}, "bad-base64"),
        ({"csv_base64": ""}, "empty-file"),
        ({"csv_base64": base64.b64encode(b"a,b\n1,2\n").decode()}, "bad-csv-header"),
        ({"csv_base64": "YQ==", "crop_bbox": [1, 2, 3]}, "invalid-request"),
        ({"csv_base64": "YQ==", "crop_bbox": [1, 2, 0, 3]}, "invalid-request"),
        ({"csv_base64": "YQ==", "frame_size": "1920"}, "invalid-request"),
    ],
)
def test_the_legacy_route_refuses(server, body, code):
    error_of(server.post("/mmaction_stgcn_test", json=body), 400, code)


def test_legacy_health(server):
    assert server.get("/health").json() == {"status": "ok", "ready": True}


def test_the_environment_is_a_snapshot_that_compare_reads(server, demo_bundle, tmp_path):
    response = server.get("/v1/environment")
    assert response.status_code == 200, response.text
    found = schemas.EnvironmentReply.model_validate(response.json())
    assert {pin.name for pin in found.service.pins} == set(read_pins())
    assert all(pin.ok for pin in found.service.pins)
    path = tmp_path / "server.json"
    path.write_bytes(response.content)
    snapshot = load_snapshot(path)
    assert snapshot["packages"]["numpy"]["version"] == np.__version__
    # What the service's own modules set for themselves must not reach the operations.
    alone = take_fingerprint()["operations"]
    assert {name: facts["sha256"] for name, facts in snapshot["fingerprint"]["operations"].items()} == {
        name: facts["sha256"] for name, facts in alone.items()
    }
    # It holds the moment when it was taken: an equal answer was not taken again.
    assert server.get("/v1/environment").json() == response.json()


def test_request_ids_come_back_and_reach_the_log(server):
    response = server.get("/nowhere", headers={"X-Request-Id": "from-the-proxy_1.2"})
    assert response.headers["X-Request-Id"] == response.json()["request_id"] == "from-the-proxy_1.2"
    (line,) = [line for line in server.log_lines("request") if line["request_id"] == "from-the-proxy_1.2"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/nowhere", 404)


def test_every_line_of_the_log_is_json(server, demo_clip):
    """Also after a video of which FFmpeg complains."""
    clip = demo_clip.read_bytes()
    damaged = hostile_media.corrupted(clip[:-20_000], 3, 3, 0.5) + clip[-20_000:]
    answer = server.predict("clip.mp4", damaged).json()
    assert answer["warnings"][0]["code"] == "damaged-video"
    assert server.log_lines("ready")
    assert [line for line in server.log().splitlines() if not line.startswith('{"')] == []
    assert "Traceback" not in server.log()


def test_the_log_says_where_an_input_is_wrong_and_not_what_it_holds(server, demo_result):
    secret = "c2VjcmV0"
    lines = demo_result.csv.decode().splitlines()
    lines[7] = lines[7].replace(",", f",{secret},", 1)
    cells = demo_result.csv.decode().splitlines()
    cells[9] = f"{secret},{cells[9].split(',', 1)[1]}"
    for content in ("\n".join(lines), "\n".join(cells), f"{secret} are notes\n", f"{secret},b\n1,2\n"):
        assert secret in server.predict("a.csv", content.encode()).text or content.startswith("Nose")
    assert secret not in server.log()
    refused = [line["details"] for line in server.log_lines("refused")]
    assert {"line": 8} in refused and {"line": 10, "column": "Nose_x"} in refused
