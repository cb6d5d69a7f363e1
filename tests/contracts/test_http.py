"""The HTTP contract that needs no models: one error shape, request ids, and a truthful /openapi.json."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest
from flask import Request
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader
from jsonschema import Draft202012Validator

from poseparity.errors import CapacityError, InputError, NoPersonFound
from poseparity.inputs import parse_box, parse_size
from poseparity.missing import LISTED_STRETCHES, missing_joints
from poseparity.records import Notice, Prediction, Skeleton
from poseparity.settings import Settings
from poseparity.web import create_app
from poseparity.web.routes.legacy import legacy_reply
from poseparity.web.schemas import LegacyReply, LegacyRequest

# Routes are fixed names: existing clients and the documentation rely on them.
ROUTES = {
    ("/v1/predictions", "post"),
    ("/mmaction_stgcn_test", "post"),
    ("/health", "get"),
    ("/healthz", "get"),
    ("/readyz", "get"),
    ("/v1/environment", "get"),
}


@pytest.fixture
def app():
    return create_app(Settings(max_upload_bytes=100_000))


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def openapi(client) -> dict:
    return client.get("/openapi.json").get_json()


def upload(content: bytes = b"x", name: str = "a.csv") -> dict:
    return {"file": (io.BytesIO(content), name)}


def error_of(response, status: int, code: str) -> dict:
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    answer = response.get_json()
    assert set(answer) == {"error", "request_id"}
    assert set(answer["error"]) == {"code", "message", "fix", "details"}
    assert answer["error"]["code"] == code
    assert answer["request_id"] == response.headers["X-Request-Id"]
    assert answer["error"]["message"] and answer["error"]["fix"]
    return answer["error"]


def test_an_unknown_route(client):
    assert "/nowhere" in error_of(client.get("/nowhere"), 404, "not-found")["message"]


def test_a_wrong_method(client):
    response = client.delete("/v1/predictions")
    error_of(response, 405, "method-not-allowed")
    assert set(response.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize(
    "path, body",
    [
        ("/v1/predictions", {"json": {"file": "x"}}),
        ("/v1/predictions", {"data": b"x", "content_type": "video/mp4"}),
        ("/v1/predictions", {}),
        ("/mmaction_stgcn_test", {"data": b"{}", "content_type": "text/plain"}),
        ("/mmaction_stgcn_test", {"data": upload(), "content_type": "multipart/form-data"}),
    ],
)
def test_a_wrong_content_type(client, path, body):
    error_of(client.post(path, **body), 415, "unsupported-media-type")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b'"text"', b"null", b"\xff"])
def test_a_body_that_is_no_json_object(client, body):
    response = client.post("/mmaction_stgcn_test", data=body, content_type="application/json")
    error_of(response, 400, "invalid-request")


@pytest.mark.parametrize(
    "body", [b"", b"--B", b"--B\r\n\r\n", b"not multipart at all", b"--B\r\nContent-Disposition: form-data\r\n\r\nx"]
)
def test_a_broken_form(client, body):
    response = client.post("/v1/predictions", data=body, content_type="multipart/form-data; boundary=B")
    error_of(response, 400, "invalid-request")


def test_a_form_without_a_boundary(client):
    response = client.post("/v1/predictions", data=b"x", content_type="multipart/form-data")
    error_of(response, 400, "invalid-request")


@pytest.mark.parametrize("path", ["/v1/predictions", "/mmaction_stgcn_test"])
def test_a_body_over_the_limit(client, path):
    body = {"data": upload(bytes(100_001))} if path.startswith("/v1") else {"json": {"csv_base64": "A" * 100_001}}
    assert error_of(client.post(path, **body), 413, "input-too-large")["details"] == {"max_bytes": 100_000}


def test_too_many_form_parts(client):
    fields = upload() | {f"field{number}": "x" for number in range(40)}
    error_of(client.post("/v1/predictions", data=fields), 413, "input-too-large")


def test_the_legacy_body_is_limited_by_the_longest_csv(app):
    client = create_app(Settings(max_frames=2)).test_client()
    response = client.post("/mmaction_stgcn_test", json={"csv_base64": "A" * 200_000})
    assert error_of(response, 413, "input-too-large")["details"]["max_bytes"] < 100_000


def coming(body, kind: str) -> dict:
    """The environment of a request whose body is still to be received."""
    return {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_LENGTH": "9999", "CONTENT_TYPE": kind}


class Unread(io.RawIOBase):
    """A body that nobody may read."""

    def read(self, size=-1):
        raise AssertionError("the body was read")


@pytest.mark.parametrize(
    "path, kind",
    [("/v1/predictions", "multipart/form-data; boundary=B"), ("/mmaction_stgcn_test", "application/json")],
)
def test_without_a_free_place_the_body_is_not_read(app, path, kind):
    inference = app.extensions["inference"]
    with ExitStack() as places:
        for _ in range(Settings().requests_at_once + Settings().queue_limit):
            places.enter_context(inference.place())
        client = app.test_client()
        response = client.post(path, environ_overrides=coming(Unread(), kind))
        error_of(response, 429, "queue-full")
        assert int(response.headers["Retry-After"]) >= 1
    for _ in range(1 + Settings().requests_at_once + Settings().queue_limit):
        error_of(client.post(path, data=b"no", content_type=kind), 400, "invalid-request")


def test_uploads_that_are_held_leave_no_room_for_more(app):
    """The models are not loaded: what was received is refused, and its room is free again."""
    client = app.test_client()
    for _ in range(5):
        error_of(client.post("/v1/predictions", data=upload(b"n" * 90_000)), 400, "unreadable-video")
    with app.extensions["uploads"].room(350_000):
        response = client.post("/v1/predictions", data=upload(bytes(90_000)))
        error = error_of(response, 429, "uploads-full")
        assert error["details"] == {"retry_after_s": 5, "max_bytes": 400_000, "held_bytes": 350_000}
        assert int(response.headers["Retry-After"]) == 5
        error_of(client.post("/v1/predictions", data=upload(b"notes")), 400, "unreadable-video")
        kind = "multipart/form-data; boundary=B"
        chunked = {"wsgi.input": Unread(), "wsgi.input_terminated": True, "CONTENT_TYPE": kind}
        error_of(client.post("/v1/predictions", environ_overrides=chunked), 429, "uploads-full")
    with app.extensions["uploads"].room(100_000) as really:
        really(10)
        with app.extensions["uploads"].room(399_990):
            pass


def test_the_largest_upload_has_room_whatever_the_setting_says():
    client = create_app(Settings(max_upload_bytes=100_000, max_held_bytes=1)).test_client()
    error_of(client.post("/v1/predictions", data=upload(b"n" * 90_000)), 400, "unreadable-video")


class NoRoomLeft(Request):
    def _get_file_stream(self, *_, **__):
        return Path("/dev/full").open("wb", buffering=0)  # the kernel's own "No space left on device"


def test_without_room_for_the_upload(app):
    app.request_class = NoRoomLeft
    error = error_of(app.test_client().post("/v1/predictions", data=upload()), 507, "no-room-for-upload")
    assert "TMPDIR" in error["fix"]


def test_another_error_of_the_system_is_unexpected(app):
    def view():
        raise FileNotFoundError(2, "secret")

    app.add_url_rule("/raises", view_func=view)
    error_of(app.test_client().get("/raises"), 500, "internal-error")


@pytest.mark.parametrize(
    "path, kind",
    [("/v1/predictions", "multipart/form-data; boundary=B"), ("/mmaction_stgcn_test", "application/json")],
)
def test_an_upload_that_trickles_is_given_up(path, kind):
    """A byte now and then never stalls; Gunicorn's own reader waits for all that was announced."""
    client = create_app(Settings(timeout_s=1)).test_client()
    ours, theirs = socket.socketpair()
    done = threading.Event()

    def trickle():
        while not done.wait(0.1):
            with suppress(OSError):  # the other end is shut, as it should be
                theirs.send(b"-")

    sender = threading.Thread(target=trickle)
    sender.start()
    try:
        body = Body(LengthReader(SocketUnreader(ours), 9999))
        response = client.post(path, environ_overrides={"gunicorn.socket": ours, **coming(body, kind)})
    finally:
        done.set()
        sender.join()
        ours.close()
        theirs.close()
    assert error_of(response, 408, "upload-too-slow")["details"] == {"max_seconds": 1}


@pytest.mark.parametrize(
    "crop", [[-1, 0, 1, 1], [0, 0, 0, 1], [0, 0, 1, 100_001], [10**400, 0, 1, 1], [0, -(10**400), 1, 1], [1, 2, 3]]
)
def test_a_crop_out_of_its_limits(client, crop):
    response = client.post("/mmaction_stgcn_test", json={"csv_base64": "YQ==", "crop_bbox": crop})
    error = error_of(response, 400, "invalid-request")
    assert "'crop_bbox" in error["message"]
    assert len(error["message"]) < 200


@pytest.mark.parametrize("body", [b"[" * 50_000, b'{"csv_base64": ' + b"[" * 50_000, b'{"csv_base64": ' + b"1" * 5_000])
def test_json_that_python_cannot_read(client, body):
    response = client.post("/mmaction_stgcn_test", data=body, content_type="application/json")
    error_of(response, 400, "invalid-request")


@pytest.mark.parametrize("text", ["1" * 5_000, "[" * 50_000, "x" * 50_000])
@pytest.mark.parametrize("name", ["frame_size", "csv", "q" * 5_000])
def test_a_field_that_is_too_long(client, name, text):
    error = error_of(client.post("/v1/predictions", data=upload() | {name: text}), 400, "invalid-request")
    assert len(error["message"]) < 200


def test_messages_repeat_little_of_what_was_sent(client):
    long = "x" * 1_000
    answers = [
        client.get(f"/{long}"),
        client.post("/v1/predictions", data=b"", content_type=long),
        client.post("/v1/predictions", data=upload() | {long: "1"}),
        client.post("/mmaction_stgcn_test", json={"csv_base64": [long]}),
    ]
    for answer in answers:
        assert answer.status_code in (400, 404, 415)
        assert "x" * 61 not in answer.text


def test_before_the_models_are_loaded(client):
    response = client.get("/readyz")
    error_of(response, 503, "not-ready")
    assert int(response.headers["Retry-After"]) >= 1
    assert client.get("/healthz").get_json() == {"status": "alive"}
    assert client.get("/health").get_json() == {"status": "ok", "ready": False}
    error_of(client.post("/v1/predictions", data=upload(b"a,b\n1,2\n")), 503, "not-ready")


@pytest.mark.parametrize(
    "error, status, code",
    [
        (NoPersonFound("nobody", fix="step in", details={"frames": {"decoded": 3}}), 422, "no-person-found"),
        (CapacityError("full", fix="wait", details={"retry_after_s": 7}), 429, "queue-full"),
    ],
)
def test_errors_of_the_pipeline_keep_their_words(app, error, status, code):
    def view():
        raise error

    app.add_url_rule("/raises", view_func=view)
    response = app.test_client().get("/raises")
    assert error_of(response, status, code) == error.to_dict()
    assert response.headers.get("Retry-After") == ("7" if status == 429 else None)


def test_an_unexpected_error_is_logged_with_its_traceback_and_hides_its_words(app, caplog):
    def view():
        raise ZeroDivisionError("secret")

    app.add_url_rule("/raises", view_func=view)
    with caplog.at_level(logging.ERROR):
        response = app.test_client().get("/raises", headers={"X-Request-Id": "abc"})
    error = error_of(response, 500, "internal-error")
    assert "abc" in error["fix"]
    assert "secret" not in response.text
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


def test_the_legacy_answer_of_a_two_class_bundle_holds_a_boolean_and_the_name():
    prediction = Prediction(labels=("false", "true"), scores=np.array([0.25, 0.75], dtype=np.float32))
    reply = legacy_reply(prediction, [Notice("a-code", "words")])
    assert reply == {
        "message": "OK",
        "result": {"num_samples": 1, "predictions": [True]},
        "parsed": {
            "status": "ok",
            "orig_pred_index": 1,
            "pred_index": 1,
            "prediction": "true",
            "raw_probs": [0.25, 0.75],
            "probs": [0.25, 0.75],
            "binary_probs": [0.25, 0.75],
            "confidence": 0.75,
            "reduced_confidence": 0.75,
            "topk": [{"index": 1, "label": "true", "prob": 0.75}, {"index": 0, "label": "false", "prob": 0.25}],
        },
        "warnings": [{"code": "a-code", "message": "words"}],
    }
    assert LegacyReply.model_validate(reply).model_dump(mode="json") == reply
    other = legacy_reply(Prediction(labels=("false", "true"), scores=np.array([0.75, 0.25], dtype=np.float32)))
    assert other["result"]["predictions"] == [False] and other["parsed"]["prediction"] == "false"
    assert other["parsed"]["binary_probs"] == [0.75, 0.25] and other["warnings"] == []


def test_the_legacy_answer_of_more_classes_is_a_name():
    prediction = Prediction(labels=tuple("abcdef"), scores=np.array([0.1, 0.3, 0.2, 0.1, 0.2, 0.1], dtype=np.float32))
    reply = legacy_reply(prediction)
    assert reply["result"]["predictions"] == ["b"] and reply["parsed"]["prediction"] == "b"
    assert "binary_probs" not in reply["parsed"]
    assert [rank["label"] for rank in reply["parsed"]["topk"]] == ["b", "c", "e", "a", "d"]


NO_FRAME_SIZES = [
    *["", "640", "640x", "x480", "0x480", "640x480x3", "-640x480", "640.5x480", "1000000x1", "9" * 5000 + "x1"],
    *["\u0666\u0664\u0660x480", 5, True, 640.5, 1e400, {}, {"width": 640}, {"width": 640, "height": None}],
    *[[640], [640, 0], [640, 480.5], [640, "480"], [True, 480], [640, 480, 3]],
    *[[100_001, 480], [[640], 480], [10**400, 1], {"width": 640, "height": 480, "depth": 3}],
]


@pytest.mark.parametrize("sent", NO_FRAME_SIZES)
def test_a_frame_size_of_the_legacy_route_that_is_none(client, sent):
    response = client.post("/mmaction_stgcn_test", json={"csv_base64": "YQ==", "frame_size": sent})
    error = error_of(response, 400, "invalid-request")
    assert error["message"].startswith("the field 'frame_size' is ")
    assert '"1920x1080", [1920, 1080] or {"width": 1920, "height": 1080}' in error["message"]
    assert "Value error" not in error["message"] and len(error["message"]) < 220


FRAME_SIZES = ["640x480", " 640 X 480 ", [640, 480], [640.0, 480.0], {"width": 640, "height": 480.0}]


@pytest.mark.parametrize("sent", FRAME_SIZES)
def test_the_forms_of_a_frame_size_of_the_legacy_route(sent):
    assert LegacyRequest(csv_base64="", frame_size=sent).frame_size == (640, 480)
    assert LegacyRequest(csv_base64="", frame_size=None, crop_bbox=None).frame_size is None


def test_openapi_describes_the_legacy_route(openapi):
    schemas = openapi["components"]["schemas"]
    request = schemas["LegacyRequest"]
    assert set(request["properties"]) == {"csv_base64", "crop_bbox", "frame_size"}
    assert request["required"] == ["csv_base64"] and request["additionalProperties"] is True
    kinds = {each.get("type", each.get("$ref")) for each in request["properties"]["frame_size"]["anyOf"]}
    assert kinds == {"string", "array", "#/components/schemas/FrameSizeBody", "null"}
    parsed = schemas["LegacyParsed"]["properties"]
    prediction = Prediction(labels=("a", "b"), scores=np.array([0.25, 0.75], dtype=np.float32))
    assert set(parsed) == set(legacy_reply(prediction)["parsed"])
    assert set(schemas["LegacyReply"]["properties"]) == set(legacy_reply(prediction))
    assert all("description" in parsed[name] for name in set(parsed) - {"status"})


@pytest.mark.parametrize(
    "settings, told",
    [
        ({}, True),
        ({"host": "127.0.0.2"}, True),
        ({"host": "::1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "192.0.2.1"}, False),
        ({"host": "0.0.0.0", "environment_route": True}, True),
        ({"environment_route": False}, False),
    ],
)
def test_the_environment_is_told_where_only_this_machine_asks(settings, told):
    chosen = Settings(**settings)
    assert chosen.tells_its_environment is told
    if not told:
        error = error_of(create_app(chosen).test_client().get("/v1/environment"), 403, "not-offered")
        assert "POSEPARITY_ENVIRONMENT_ROUTE" in error["fix"]


@pytest.mark.parametrize("sent, kept", [("abc-1.2_3", True), ("a" * 64, True), ("a" * 65, False), ("a b", False)])
def test_a_request_id_is_kept_when_it_is_sane(client, sent, kept):
    answered = client.get("/healthz", headers={"X-Request-Id": sent}).headers["X-Request-Id"]
    assert (answered == sent) is kept
    assert re.fullmatch("[A-Za-z0-9._-]{1,64}", answered)


def test_every_request_has_its_own_id(client):
    ids = {client.get("/healthz").headers["X-Request-Id"] for _ in range(5)}
    assert len(ids) == 5


def test_openapi_lists_the_routes_and_no_others(app, openapi):
    documented = {(path, method) for path, methods in openapi["paths"].items() for method in methods}
    served = {
        (rule.rule, method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule != "/openapi.json"
    }
    assert documented == served == ROUTES


def test_openapi_gives_every_operation_the_one_error_shape(openapi):
    shape = {"$ref": "#/components/schemas/ErrorReply"}
    for methods in openapi["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            assert "default" in operation["responses"]
            for status, response in operation["responses"].items():
                found = response["content"]["application/json"]["schema"]
                assert (found == shape) is (status != "200")


def test_openapi_names_every_field_of_the_upload(openapi):
    body = openapi["paths"]["/v1/predictions"]["post"]["requestBody"]
    assert set(body["content"]) == {"multipart/form-data"}
    form = openapi["components"]["schemas"]["PredictionForm"]
    assert set(form["properties"]) == {"file", "frame_size", "crop", "csv", "trace"}
    (query,) = openapi["paths"]["/v1/predictions"]["post"]["parameters"]
    assert (query["in"], query["name"], query["required"]) == ("query", "trace", False)
    assert form["required"] == ["file"]
    assert form["additionalProperties"] is False
    assert form["properties"]["file"]["format"] == "binary"


def is_valid(openapi: dict, name: str, value: object) -> bool:
    schema = {"$ref": f"#/components/schemas/{name}", "components": openapi["components"]}
    return Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize("sent", FRAME_SIZES)
def test_openapi_allows_what_is_taken(openapi, sent):
    assert is_valid(openapi, "LegacyRequest", {"csv_base64": "YQo=", "frame_size": sent})


@pytest.mark.parametrize("sent", [size for size in NO_FRAME_SIZES if size is not None])
def test_openapi_forbids_a_frame_size_that_is_refused(openapi, sent):
    assert not is_valid(openapi, "LegacyRequest", {"csv_base64": "YQo=", "frame_size": sent})


def test_openapi_forbids_an_empty_csv(openapi):
    assert not is_valid(openapi, "LegacyRequest", {"csv_base64": ""})


@pytest.mark.parametrize(
    "field, right, wrong",
    [
        ("frame_size", ["1920x1080", "1x100000"], [None, "", "null", "0x480", "640", "100001x1", "1.5x2"]),
        ("crop", ["320,80,640,900", "0,0,1,1"], [None, "", "null", "1,2,3", "1,2,0,4", "-1,0,1,1"]),
    ],
)
def test_openapi_describes_the_forms_texts_as_they_are_read(openapi, field, right, wrong):
    read = {"frame_size": parse_size, "crop": parse_box}[field]
    for text in right:
        assert read(text) and is_valid(openapi, "PredictionForm", {"file": "", field: text})
    for text in wrong:
        assert not is_valid(openapi, "PredictionForm", {"file": "", field: text})
        if text is not None:
            with pytest.raises(InputError):
                read(text)


def test_openapi_is_valid(openapi):
    """What OpenAPI 3.1 asks of the whole, and JSON Schema of each schema; null is allowed nowhere but in schemas."""
    assert set(openapi) <= {"openapi", "info", "tags", "paths", "components"}
    assert {"title", "version"} <= set(openapi["info"])
    assert set(openapi["components"]) <= {"schemas", "securitySchemes"}
    assert all(isinstance(part, dict) for part in openapi["components"].values())
    for schema in openapi["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    operations = [operation for methods in openapi["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert not [name for name, value in operation.items() if value is None]
        for parameter in operation.get("parameters", []):
            assert {"name", "in", "schema"} <= set(parameter)
        for response in operation["responses"].values():
            assert isinstance(response["description"], str)


def test_openapi_refers_only_to_what_it_defines(openapi):
    names = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(openapi))
    assert set(names) <= set(openapi["components"]["schemas"])
    assert openapi["openapi"].startswith("3.")


def test_openapi_describes_missing_joints_as_they_are_answered(openapi):
    schemas = openapi["components"]["schemas"]
    keypoints = np.ones((4, 17, 3))
    keypoints[2] = 0
    found = missing_joints(Skeleton(keypoints))
    assert set(schemas["MissingJoints"]["properties"]) == set(schemas["MissingJoints"]["required"]) == set(found)
    assert set(schemas["EmptyFrames"]["properties"]) == set(found["empty_frames"])
    assert set(schemas["JointStretch"]["properties"]) == set(found["stretches"][0])
    assert set(schemas["FrameStretch"]["properties"]) == set(found["empty_frames"]["stretches"][0])
    assert f"at most {LISTED_STRETCHES}" in schemas["MissingJoints"]["properties"]["stretches"]["description"]


def test_openapi_says_that_an_input_may_be_refused_for_what_is_missing(openapi):
    for path in ("/v1/predictions", "/mmaction_stgcn_test"):
        assert "422" in openapi["paths"][path]["post"]["responses"]
