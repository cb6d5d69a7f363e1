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
    "no header": (good().split("\n", 1)[1], "missing: 'Nose_x'"),
    "columns separated by spaces": (good().replace(",", " "), "missing: 'Nose_x'"),
    "repeated column": (good().replace("RAnkle_c", "RAnkle_c,Nose_x"), "repeats 'Nose_x'"),
    "infinity": (good().replace("1.0", "inf", 1), "'inf'"),
    "text": (good().replace("1.0", "abc", 1), "'abc' is not a number"),
    "underscore": (good().replace("1.0", "1_0", 1), "'1_0'"),
    "digits of another script": (good().replace("1.0", "\u0661", 1), "'\u0661' is not a number"),
    "decimal comma": (good().replace(",", ";").replace("1.0", "1,0"), "'1,0' is not a number; decimals have a point"),
    "long row": (good().rstrip("\n") + ",1", "line 4 has 52 values, expected 51"),
    "row of an extra column too few": (good().replace("RAnkle_c", "RAnkle_c,frame", 1), "line 2 has 51 values"),
    "tabs in the header, commas below": (good().replace(",", "\t", 50), "line 2 has 1 values, expected 51"),
    "huge": (good().replace("1.0", "1e300", 1), "'1e300'"),
    "short row": (good().rstrip("\n").rsplit(",", 1)[0], "line 4 has 50 values"),
    "negative confidence": (good().replace("1.0,1.0,1.0", "1.0,1.0,-1.0", 1), "negative confidence"),
    "negative, and no marker": (good().replace("1.0,1.0,1.0", "-1,-1,-0.5", 1), "negative confidence -0.5"),
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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_refused_by_name(encoding):
    with pytest.raises(InputError, match="is UTF-16 text, expected UTF-8") as error:
        skeleton_csv.read(good().encode(encoding), max_frames=10)
    assert "CSV UTF-8" in error.value.fix


def test_bytes_that_are_not_utf8_are_refused():
    with pytest.raises(InputError, match=r"not UTF-8 text \(byte 3\)"):
        skeleton_csv.read(b"Nos\xff" + good().encode(), max_frames=10)


def test_too_many_rows_are_refused_before_they_are_held():
    with pytest.raises(InputTooLarge, match="more than 10 frames"):
        skeleton_csv.read(good(11).encode(), max_frames=10)


# --- what the replaced service's clients send ------------------------------------------------------------------------

KEYPOINTS = np.random.default_rng(7).uniform(100, 400, (4, 17, 3)).round(3)
PLAIN = skeleton_csv.write(KEYPOINTS).decode()


def table() -> list[list[str]]:
    """The header and the rows, to be changed."""
    return [line.split(",") for line in PLAIN.splitlines()]


def text_of(rows: list[list[str]], separator: str = ",", end: str = "\n") -> str:
    return "".join(separator.join(row) + end for row in rows)


def read(text: str) -> tuple[np.ndarray, dict[str, str]]:
    """The keypoints, and the notices' messages by their codes."""
    found = skeleton_csv.read_with_notices(text.encode(), max_frames=10)
    return found.keypoints, {notice.code: notice.message for notice in found.notices}


def with_frame_numbers() -> list[list[str]]:
    header, *rows = table()
    return [["frame", *header], *([str(number), *row] for number, row in enumerate(rows))]


SILENT = {
    "plain": PLAIN,
    "tabs": text_of(table(), "\t"),
    "semicolons": text_of(table(), ";"),
    "CRLF": text_of(table(), end="\r\n"),
    "CR alone": text_of(table(), end="\r"),
    "spaces around names": text_of([[f" {name}  " for name in table()[0]], *table()[1:]]),
    "spaces around numbers": PLAIN.replace(",", " , "),
    "quotes": text_of([[f'"{cell}"' for cell in row] for row in table()]),
    "two byte order marks": "\ufeff\ufeff" + PLAIN,
    "byte order mark, tabs, CRLF, spaces": "\ufeff" + text_of(table(), " \t ", "\r\n"),
    "lines without anything": "\n \n" + PLAIN.replace("\n", "\n\n  \n") + "\n\n   ",
    "columns the other way round": text_of([row[::-1] for row in table()]),
    "a separator at each line's end": PLAIN.replace("\n", ",\n"),
    "a separator at the header's end": PLAIN.replace("\n", ",\n", 1),
    "a separator at each row's end": text_of([table()[0], *([*row, ""] for row in table()[1:])]),
    "tabs at each line's end": text_of([[*row, "", ""] for row in table()], "\t"),
}


@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT.keys())
def test_another_spelling_of_the_same_table_has_the_same_bits_and_no_notice(text):
    keypoints, notices = read(text)
    assert keypoints.tobytes() == KEYPOINTS.tobytes()
    assert notices == {}


def test_columns_that_nobody_reads_are_named():
    keypoints, notices = read(text_of(with_frame_numbers(), "\t"))
    assert keypoints.tobytes() == KEYPOINTS.tobytes()
    assert notices == {"extra-columns": "columns that are not used: 'frame'"}


def test_an_extra_column_may_hold_anything():
    rows = [[*row, cell] for row, cell in zip(table(), ["note", "a,b", "", "nan", "-3"], strict=True)]
    assert set(read(text_of(rows, ";"))[1]) == {"extra-columns"}


def test_eighteen_joints_are_taken_without_the_neck():
    text = text_of([[*row, *more] for row, more in zip(table(), [["Neck_x", "Neck_y", "Neck_c"], *[["1"] * 3] * 4],
                                                       strict=True)])  # fmt: skip
    keypoints, notices = read(text)
    assert keypoints.tobytes() == KEYPOINTS.tobytes()
    assert notices == {"extra-columns": "columns that are not used: 'Neck_x', 'Neck_y', 'Neck_c'"}


def test_a_column_without_a_name_is_told_where_it_holds_something():
    rows = [["", *table()[0]], *([str(number), *row] for number, row in enumerate(table()[1:]))]  # pandas' index
    assert read(text_of(rows))[1] == {"extra-columns": "columns that are not used: '(no name)'"}


def test_many_columns_and_long_names_make_no_long_message():
    rows = [[*row, *(["x" * 500] * 100 if not number else ["1"] * 100)] for number, row in enumerate(table())]
    assert len(read(text_of(rows))[1]["extra-columns"]) < 700


BLANKS = ["", " ", "nan", "NaN", "NA", "N/A", "null", "NULL", "None", "<NA>", "#N/A", "-nan"]


@pytest.mark.parametrize("blank", BLANKS)
def test_a_joint_with_blank_cells_is_missing(blank):
    rows = table()
    rows[2][3:6] = [blank] * 3  # LEye in the second frame
    keypoints, notices = read(text_of(rows))
    expected = KEYPOINTS.copy()
    expected[1, 1] = 0
    assert keypoints.tobytes() == expected.tobytes()
    assert notices == {"blank-cells": "3 cells are blank or no number: 1 of 68 joints are taken as missing"}


@pytest.mark.parametrize("channel", [0, 1, 2], ids="xyc")
def test_half_a_joint_is_no_joint(channel):
    rows = table()
    rows[1][channel] = ""
    keypoints, notices = read(text_of(rows))
    assert not keypoints[0, 0].any() and keypoints[1:].tobytes() == KEYPOINTS[1:].tobytes()
    assert "1 cells are blank or no number: 1 of 68 joints" in notices["blank-cells"]


def test_a_row_of_blank_cells_is_a_frame_in_which_nobody_was_seen():
    rows = table()
    rows[2] = [""] * 51
    keypoints, notices = read(text_of(rows))
    assert not keypoints[1].any() and keypoints.any(axis=(1, 2)).sum() == 3
    assert "51 cells are blank or no number: 17 of 68 joints" in notices["blank-cells"]


def test_without_any_confidence_positions_are_kept():
    rows = table()
    for row in rows[1:]:
        row[2::3] = [""] * 17
    keypoints, notices = read(text_of(rows))
    assert keypoints[..., :2].tobytes() == KEYPOINTS[..., :2].tobytes() and not keypoints[..., 2].any()
    assert "every confidence is taken as 0, and 0 of 68 joints are taken as missing" in notices["blank-cells"]


def test_a_joint_of_minus_ones_is_missing():
    rows = table()
    rows[1][0:3], rows[3][48:51] = ["-1", "-1.0", "-1"], ["-1"] * 3
    keypoints, notices = read(text_of(rows))
    assert not keypoints[0, 0].any() and not keypoints[2, 16].any() and keypoints.any(axis=-1).sum() == 66
    assert notices == {"missing-marker": "2 of 68 joints are -1,-1,-1 and taken as missing"}


@given(st.data())
def test_the_order_of_columns_and_the_separator_say_nothing(data):
    order = data.draw(st.permutations(range(52)))
    separator = data.draw(st.sampled_from(",\t;"))
    rows = [[row[position] for position in order] for row in with_frame_numbers()]
    keypoints, notices = read(text_of(rows, separator))
    assert keypoints.tobytes() == KEYPOINTS.tobytes() and set(notices) == {"extra-columns"}
