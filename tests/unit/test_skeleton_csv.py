"""The skeleton CSV: the same bits back, and a clear word on everything that is not one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from poseparity import skeleton_csv
from poseparity.errors import InputError, InputTooLarge

finite = st.floats(min_value=0, max_value=9999, width=64)


@given(arrays(np.float64, st.tuples(st.integers(2, 5), st.just(17), st.just(3)), elements=finite))
def test_reading_back_gives_the_same_bits(keypoints):
    again = skeleton_csv.read(skeleton_csv.write(keypoints), max_frames=10)
    assert again.tobytes() == keypoints.tobytes()


def test_float32_values_keep_their_bits():
    keypoints = np.random.default_rng(1).random((4, 17, 3), dtype=np.float32).astype(np.float64) * 640
    assert skeleton_csv.read(skeleton_csv.write(keypoints), max_frames=10).tobytes() == keypoints.tobytes()


def test_a_missing_joint_is_written_as_zeros():
    assert skeleton_csv.write(np.zeros((2, 17, 3))).decode().splitlines()[1] == ",".join(["0"] * 51)


def test_byte_order_mark_crlf_blank_lines_and_another_column_order_are_accepted():
    keypoints = np.arange(2 * 51, dtype=np.float64).reshape(2, 17, 3)
    lines = [line.split(",") for line in skeleton_csv.write(keypoints).decode().splitlines()]
    text = "\r\n\r\n".join(",".join(reversed(line)) for line in lines) + "\r\n\r\n"
    np.testing.assert_array_equal(skeleton_csv.read(b"\xef\xbb\xbf" + text.encode(), max_frames=5), keypoints)


def good(rows: int = 3) -> str:
    return skeleton_csv.write(np.ones((rows, 17, 3))).decode()


def header_without(name: str) -> str:
    return good().replace(name, "", 1).replace(",,", ",")


BAD = {
    "empty": ("", "empty"),
    "byte order mark only": ("\ufeff", "empty"),
    "too large for float16": (good().replace("1.0", "65505", 1), "'65505'"),
    "long text": (good().replace("1.0", "x" * 5000, 1), "is not a number"),
    "white space": (" \n\n", "empty"),
    "no rows": (good().splitlines()[0] + "\n", "0 frame"),
    "one row": ("\n".join(good().splitlines()[:2]), "1 frame"),
    "missing column": (header_without("Nose_y"), "'Nose_y'"),
    "18 joints": (good().replace("RAnkle_c", "RAnkle_c,Neck_x,Neck_y,Neck_c"), "'Neck_x'"),
    "repeated column": (good().replace("RAnkle_c", "RAnkle_c,Nose_x"), "repeats 'Nose_x'"),
    "NaN": (good().replace("1.0", "nan", 1), "line 2, column Nose_x: 'nan'"),
    "infinity": (good().replace("1.0", "inf", 1), "'inf'"),
    "text": (good().replace("1.0", "abc", 1), "'abc' is not a number"),
    "underscore": (good().replace("1.0", "1_0", 1), "'1_0'"),
    "huge": (good().replace("1.0", "1e300", 1), "'1e300'"),
    "short row": (good().rstrip("\n").rsplit(",", 1)[0], "line 4 has 50 values"),
    "negative confidence": (good().replace("1.0,1.0,1.0", "1.0,1.0,-1.0", 1), "negative confidence"),
    "quote": (good().replace("1.0", '"1', 1), "not CSV"),
    "NUL": (good() + "\0", "NUL"),
}


@pytest.mark.parametrize("text, words", BAD.values(), ids=BAD.keys())
def test_bad_content_is_refused_with_what_was_found(text, words):
    with pytest.raises(InputError) as error:
        skeleton_csv.read(text.encode(), max_frames=10)
    assert words in str(error.value)
    assert "\n" not in str(error.value) + error.value.fix
    assert len(str(error.value)) < 250
    assert error.value.fix


def test_bytes_that_are_not_utf8_are_refused():
    with pytest.raises(InputError, match="UTF-8"):
        skeleton_csv.read(good().encode("utf-16"), max_frames=10)


def test_too_many_rows_are_refused_before_they_are_held():
    with pytest.raises(InputTooLarge, match="more than 10 frames"):
        skeleton_csv.read(good(11).encode(), max_frames=10)
