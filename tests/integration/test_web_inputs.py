"""Bad input: a clear 4xx with one line on the fix, and nothing left behind."""

from __future__ import annotations

import base64
import json
import socket
from http.client import HTTPResponse

import pytest

from poseparity.skeleton_csv import HEADER
from poseparity.web.schemas import MissingJoints
from tests.integration.conftest import STALL_SECONDS, UPLOAD_LIMIT
from tests.integration.web_server import error_of

ROW = ",".join(["1.5"] * len(HEADER))


@pytest.fixture(autouse=True)
def nothing_left_behind(server):
    before = server.left_behind()
    yield
    assert server.left_behind() == before


def csv_of(*rows: str, header: tuple[str, ...] = HEADER) -> bytes:
    return "\n".join([",".join(header), *rows, ""]).encode()


def with_index_in_front(video: bytes) -> bytes:
    """The same MP4 with its index (the moov box) moved before the frames, as streaming encoders write it."""
    boxes, position = [], 0
    while position < len(video):
        size = int.from_bytes(video[position : position + 4], "big")
        boxes.append(video[position : position + size])
        position += size
    (index,) = [box for box in boxes if box[4:8] == b"moov"]
    others = [box for box in boxes if box[4:8] != b"moov"]
    moved = boxes.index(index) > [box[4:8] for box in boxes].index(b"mdat")
    return b"".join([others[0], _shifted(index, len(index)) if moved else index, *others[1:]])


def _shifted(index: bytes, distance: int) -> bytes:
    """The index with each chunk offset (its stco box) moved."""
    result = bytearray(index)
    table = index.index(b"stco") + 8
    count = int.from_bytes(index[table : table + 4], "big")
    for entry in range(table + 4, table + 4 + 4 * count, 4):
        offset = int.from_bytes(index[entry : entry + 4], "big") + distance
        result[entry : entry + 4] = offset.to_bytes(4, "big")
    return bytes(result)


BOM = b"\xef\xbb\xbf"
# What was sent, under which name; the status, the code and a word of the message.
BAD_CSVS = {
    "empty": ("skeleton.csv", b"", 400, "empty-file", "empty"),
    "text-with-commas-named-mp4": ("a.mp4", b"dear client, these are notes\n" * 99, 400, "bad-csv-header", "header"),
    "missing-columns": ("a.csv", csv_of(*[ROW] * 3, header=HEADER[:-3]), 400, "bad-csv-header", "'RAnkle_x'"),
    "repeated-column": (
        "a.csv",
        csv_of(*[ROW + ",1"] * 3, header=(*HEADER, "LEye_x")),
        400,
        "bad-csv-header",
        "'LEye_x'",
    ),
    "infinite": ("a.csv", csv_of(ROW, ROW.replace("1.5", "inf", 1)), 400, "bad-csv", "'inf'"),
    "decimal-comma": (
        "a.csv",
        csv_of(ROW, ROW).replace(b",", b";").replace(b".", b","),
        400,
        "bad-csv",
        "have a point",
    ),
    "utf-16": ("a.csv", csv_of(ROW, ROW).decode().encode("utf-16"), 400, "bad-csv", "UTF-16"),
    "utf-16-unmarked": ("a.csv", csv_of(ROW, ROW).decode().encode("utf-16-le"), 400, "bad-csv", "UTF-16"),
    "normalised": (
        "a.csv",
        csv_of(",".join(["0.3"] * 51), ",".join(["0.4"] * 51)),
        400,
        "coordinates-normalised",
        "pixels",
    ),
    "text-in-a-number": ("a.csv", csv_of(ROW, ROW.replace("1.5", "left", 1)), 400, "bad-csv", "'left'"),
    "huge-value": ("a.csv", csv_of(ROW, ROW.replace("1.5", "9e5", 1)), 400, "bad-csv", "'9e5'"),
    "over-float16": ("a.csv", csv_of(ROW, ROW.replace("1.5", "-65504.5", 1)), 400, "bad-csv", "'-65504.5'"),
    "row-too-long": ("a.csv", csv_of(ROW, ROW + ",1"), 400, "bad-csv", "52 values"),
    "late-non-utf8": ("a.csv", csv_of(*[ROW] * 99) + b"\xff", 400, "bad-csv", "UTF-8"),
    "zero-rows": ("a.csv", csv_of(), 400, "too-few-frames", "0 frame"),
    "one-row": ("a.csv", csv_of(ROW), 400, "too-few-frames", "1 frame"),
    "9001-rows": ("a.csv", csv_of(*[ROW] * 9001), 413, "too-many-frames", "9000"),
}
# Over the legacy route these are other errors: whatever is sent there is a CSV.
ELSEWHERE = {
    "empty-video": ("clip.mp4", b"", 400, "empty-file", "empty"),
    "text-named-mp4": ("clip.mp4", b"these are notes\n" * 99, 400, "unreadable-video", "text"),
    "korean-named-mp4": ("clip.mp4", "골프 스윙 영상입니다 ".encode() * 999, 400, "unreadable-video", "골프"),
    "noise": ("clip.mp4", b"\0\1\2\3" * 999, 400, "unreadable-video", "video"),
    "header-only-video": ("clip.mp4", b"\0\0\0\x20ftypisom" + b"\0" * 999, 400, "unreadable-video", "video"),
    "non-utf8": ("a.csv", "코_x,코_y\n1,2\n".encode("cp949"), 400, "unreadable-video", "video"),
    "200000-rows": ("a.csv", csv_of(*["0" + ",0" * 50] * 200_000), 413, "too-many-frames", "9000"),
}
ON_THE_LEGACY_ROUTE = {
    "bom-only": (BOM, 400, "empty-file", "empty"),
    "korean": ("골프 스윙 영상입니다 ".encode() * 999, 400, "bad-csv-header", "'골프"),
    "noise": (b"\0\1\2\3" * 999, 400, "bad-csv", "NUL"),
    "non-utf8": ("코_x,코_y\n1,2\n".encode("cp949"), 400, "bad-csv", "UTF-8"),
    "200000-rows": (csv_of(*["0" + ",0" * 50] * 200_000), 413, "input-too-large", "bytes"),
} | {name: row[1:] for name, row in BAD_CSVS.items()}


def legacy(server, content: bytes, **fields):
    return server.post("/mmaction_stgcn_test", json={"csv_base64": base64.b64encode(content).decode(), **fields})


@pytest.mark.parametrize("sent", (BAD_CSVS | ELSEWHERE).values(), ids=(BAD_CSVS | ELSEWHERE).keys())
def test_bad_files_are_refused(server, sent):
    name, content, status, code, words = sent
    assert words in error_of(server.predict(name, content), status, code)["message"]


EIGHTEEN_JOINTS = csv_of(*[ROW + ",1,1,1"] * 3, header=(*HEADER, "Neck_x", "Neck_y", "Neck_c"))
TAKEN = {
    "tabs": (csv_of(ROW, ROW).replace(b",", b"\t"), []),
    "semicolons": (csv_of(ROW, ROW).replace(b",", b";"), []),
    "18-joints": (EIGHTEEN_JOINTS, ["extra-columns"]),
    "nan": (csv_of(ROW, ROW.replace("1.5", "nan", 1)), ["blank-cells"]),
    "blank": (csv_of(ROW, ROW.replace("1.5", "", 3)), ["blank-cells"]),
    "minus-one": (csv_of(ROW, ROW.replace("1.5,1.5,1.5", "-1,-1,0", 1)), ["zero-confidence"]),
}


@pytest.mark.parametrize("sent", TAKEN.values(), ids=TAKEN.keys())
def test_what_one_can_make_sense_of_is_taken_and_told_on_both_routes(server, sent):
    content, told = sent
    for response in (server.predict("clip.mp4", content), legacy(server, content)):
        assert response.status_code == 200, response.text
        # All joints of these rows are at one place, which is told of as well.
        assert [each["code"] for each in response.json()["warnings"]] == [*told, "constant-position"]


def test_what_a_refused_csv_was_taken_for_is_told_with_the_refusal(server):
    content = csv_of(*[ROW] * 20, *["," * 50] * 20)
    error = error_of(legacy(server, content), 422, "too-many-missing-joints")
    assert [each["code"] for each in error["details"]["warnings"]] == ["blank-cells", "constant-position"]


def test_a_lone_byte_order_mark_is_empty(server):
    error_of(server.predict("a.csv", BOM), 400, "empty-file")


@pytest.mark.parametrize("sent", ON_THE_LEGACY_ROUTE.values(), ids=ON_THE_LEGACY_ROUTE.keys())
def test_bad_files_are_refused_on_the_legacy_route(server, sent):
    content, status, code, words = sent
    assert words in error_of(legacy(server, content), status, code)["message"]


def test_a_truncated_video_is_refused(server, demo_clip):
    whole = demo_clip.read_bytes()
    if whole.index(b"moov") < whole.index(b"mdat"):
        pytest.fail("the demo clip has its index in front: cut it so that the index is lost")
    error_of(server.predict("clip.mp4", whole[: len(whole) // 2]), 400, "unreadable-video")


def test_a_truncated_video_that_has_its_index_is_refused(server, demo_clip):
    whole = with_index_in_front(demo_clip.read_bytes())
    error = error_of(server.predict("clip.mp4", whole[: 2 * len(whole) // 3]), 400, "truncated-video")
    assert error["details"]["decoded"] < error["details"]["declared"]


def test_a_video_with_its_index_in_front_is_whole(server, demo_clip):
    """Proves that the test above cuts a good video."""
    assert server.predict("clip.mp4", with_index_in_front(demo_clip.read_bytes())).status_code == 200


def test_a_playlist_cannot_name_other_files(server, demo_clip, tmp_path):
    """FFmpeg knows playlists by their content; the NUL byte hides that this one is text."""
    target = tmp_path / "other.mp4"
    target.write_bytes(demo_clip.read_bytes())
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n\0"
    error_of(server.predict("clip.mp4", playlist.encode()), 400, "unreadable-video")


@pytest.mark.parametrize("path", ["/v1/predictions", "/mmaction_stgcn_test"])
def test_an_announced_body_over_the_limit_is_refused_unread(server, path):
    """Only the head of the request is sent: whoever waited for the body would wait for ever."""
    kind = "multipart/form-data; boundary=B" if path.startswith("/v1") else "application/json"
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {UPLOAD_LIMIT + 1}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode())
        answer = HTTPResponse(connection)
        answer.begin()
        assert answer.status == 413
        assert json.loads(answer.read())["error"]["code"] == "input-too-large"


def test_an_upload_over_the_limit_is_refused(server):
    error = error_of(server.predict("clip.mp4", bytes(UPLOAD_LIMIT)), 413, "input-too-large")
    assert error["details"]["max_bytes"] == UPLOAD_LIMIT


def test_a_chunked_upload_over_the_limit_is_refused(server):
    def body():
        yield b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        for _ in range(UPLOAD_LIMIT // 2**20):
            yield bytes(2**20)
        yield b"\r\n--B--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    error_of(server.post("/v1/predictions", data=body(), headers=headers), 413, "input-too-large")


@pytest.mark.parametrize("closed", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["breaks-off", "stalls"])
def test_an_upload_that_does_not_come_to_its_end_is_given_up(server, closed):
    head = "POST /v1/predictions HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=B\r\n"
    part = '--B\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    with socket.create_connection(("127.0.0.1", server.port), timeout=6 * STALL_SECONDS) as connection:
        connection.sendall(f"{head}Content-Length: {2**20}\r\n\r\n{part}".encode() + bytes(2**19 + 2**18))
        if closed:
            connection.shutdown(socket.SHUT_WR)
        answer = HTTPResponse(connection)
        answer.begin()
        assert answer.status == 400
        assert json.loads(answer.read())["error"]["code"] in ("bad-request", "invalid-request")


def test_what_belongs_to_a_csv_is_refused_with_a_video(server, demo_clip):
    video = demo_clip.read_bytes()
    error = error_of(server.predict("clip.mp4", video, frame_size="640x480"), 400, "invalid-request")
    assert "frame_size came with a video" in error["message"]


@pytest.mark.parametrize("fields", [{"frame_size": "640"}, {"frame_size": "0x480"}, {"crop": "1,2,3"}, {"crop": "a"}])
def test_bad_sizes_and_crops_are_refused(server, fields):
    error_of(server.predict("a.csv", csv_of(ROW, ROW), **fields), 400, "bad-input")


def test_unknown_fields_are_refused_by_name(server):
    error = error_of(server.predict("a.csv", csv_of(ROW, ROW), tarce="1"), 400, "invalid-request")
    assert "'tarce'" in error["message"]
    query = {"params": {"tarce": "1"}, "files": {"file": ("a.csv", csv_of(ROW, ROW))}}
    assert "'tarce'" in error_of(server.post("/v1/predictions", **query), 400, "invalid-request")["message"]


def test_one_file_and_no_more(server):
    files = [("file", ("a.csv", csv_of(ROW, ROW))), ("file", ("b.csv", csv_of(ROW, ROW)))]
    error_of(server.post("/v1/predictions", files=files), 400, "invalid-request")
    error = error_of(server.post("/v1/predictions", files={"csv": (None, "1")}), 400, "invalid-request")
    assert "'file' is missing" in error["message"]
    error_of(server.post("/v1/predictions", files={"file": (None, "1")}), 400, "invalid-request")


def test_file_names_reach_no_file_system(server, tmp_path):
    error_of(server.predict(f"../../{tmp_path}/a\\..;$(id).mp4", b"notes"), 400, "unreadable-video")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["/v1/predictions", "/mmaction_stgcn_test"])
def test_too_many_missing_joints_are_refused_with_the_figures(server, path):
    content = csv_of(*[ROW] * 20, *[",".join(["0"] * len(HEADER))] * 20)
    response = server.predict("a.csv", content) if path.startswith("/v1") else legacy(server, content)
    error = error_of(response, 422, "too-many-missing-joints")
    assert "340 of 680 joints are missing (50.00%)" in error["message"]
    MissingJoints.model_validate(error["details"]["missing_joints"])
    assert error["details"]["missing_joints"]["empty_frames"] == {
        "count": 20,
        "stretches": [{"first_frame": 20, "frames": 20}],
        "stretches_not_listed": 0,
    }
    assert error["details"]["stage"] == "inspect"
